// Names of the component kinds, as they stand in descriptions, listings and messages. Thread-safe: no state.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "fathom/abi/base.h"

namespace fathom::plugins {

inline constexpr std::array<std::pair<fathom_kind, std::string_view>, 14> kKinds = {{
    {FATHOM_KIND_MODULE, "module"},
    {FATHOM_KIND_MODEL, "model"},
    {FATHOM_KIND_DATASET, "dataset"},
    {FATHOM_KIND_LOSS, "loss"},
    {FATHOM_KIND_METRIC, "metric"},
    {FATHOM_KIND_TOKENIZER, "tokenizer"},
    {FATHOM_KIND_OPTIMIZER, "optimizer"},
    {FATHOM_KIND_SCHEDULER, "scheduler"},
    {FATHOM_KIND_LOGGER, "logger"},
    {FATHOM_KIND_CALLBACK, "callback"},
    {FATHOM_KIND_RESOLVER, "resolver"},
    {FATHOM_KIND_EXPORTER, "exporter"},
    {FATHOM_KIND_ACCELERATOR, "accelerator"},
    {FATHOM_KIND_COMMAND, "command"},
}};

// A set of kinds: bit (1 << kind).
inline constexpr uint32_t kind_bit(fathom_kind kind) { return 1u << kind; }
inline constexpr uint32_t kAllKinds = ((1u << (kKinds.size() + 1)) - 1) & ~1u;

// Kinds whose sections may select the class by `name`; elsewhere `name` is an ordinary option.
inline constexpr uint32_t kNamedKinds = kind_bit(FATHOM_KIND_OPTIMIZER) | kind_bit(FATHOM_KIND_SCHEDULER) |
                                        kind_bit(FATHOM_KIND_LOGGER) | kind_bit(FATHOM_KIND_CALLBACK) |
                                        kind_bit(FATHOM_KIND_METRIC) | kind_bit(FATHOM_KIND_TOKENIZER);

// Empty for a number that is no kind.
inline std::string_view kind_name(fathom_kind kind) {
  for (const auto& [value, name] : kKinds) {
    if (value == kind) return name;
  }
  return {};
}
inline std::optional<fathom_kind> parse_kind(std::string_view text) {
  for (const auto& [value, name] : kKinds) {
    if (name == text) return value;
  }
  return std::nullopt;
}
// "module or loss".
inline std::string kinds_text(uint32_t kinds) {
  if ((kinds & kAllKinds) == kAllKinds) return "component";
  std::string text;
  for (const auto& [value, name] : kKinds) {
    if ((kinds & kind_bit(value)) != 0) text += (text.empty() ? "" : " or ") + std::string(name);
  }
  return text.empty() ? "component" : text;
}

}  // namespace fathom::plugins
