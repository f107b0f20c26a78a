#include "plugins/lib/text/normalization/text_normalizer.h"

#include <algorithm>
#include <array>
#include <fstream>

#include "fathom/error.h"
#include "plugins/lib/text/normalization/normalization_rules.h"

namespace fathom::text {
namespace {

// The first that reads something decides: those of more signs come before those of fewer.
constexpr std::array<NormalizationRule, 14> kRules = {
    &read_electronic, &read_telephone, &read_date,  &read_time,   &read_money,        &read_fraction, &read_measure,
    &read_ordinal,    &read_roman,     &read_label, &read_number, &read_abbreviation, &read_serial,   &read_symbol};

std::optional<Reading> first_reading(const WrittenText& text, size_t at, const SpeechStyle& style) {
  for (const NormalizationRule rule : kRules) {
    if (auto reading = rule(text, at, style)) return reading;
  }
  return std::nullopt;
}

}  // namespace

Whitelist read_whitelist(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::kNoInput, "the whitelist of the text normaliser cannot be read").at(path);
  Whitelist out;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const size_t tab = line.find('\t');
    if (tab == std::string::npos || tab == 0 || tab + 1 == line.size()) {
      throw Error(Code::kBadData, "a line of the whitelist has no two sides")
          .at(path + ":" + std::to_string(number))
          .seen(line.substr(0, 80))
          .expected("WRITTEN<tab>SPOKEN");
    }
    out.emplace_back(line.substr(0, tab), line.substr(tab + 1));
  }
  return out;
}

TextNormalizer::TextNormalizer(const SpeechStyle& style, Whitelist whitelist)
    : style_(style), whitelist_(std::move(whitelist)) {
  if (style_.any_case) {
    for (auto& [written, spoken] : whitelist_) written = lower_ascii(written);
  }
  std::stable_sort(whitelist_.begin(), whitelist_.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

std::string TextNormalizer::normalize(std::string_view given) const {
  const WrittenText text(given);
  const auto listed = [&](size_t at) -> std::optional<Reading> {
    for (const auto& [written, spoken] : whitelist_) {
      const bool same = style_.any_case ? text.starts_any_case(at, written) : text.starts(at, written);
      const size_t end = at + written.size();
      if (same && !(text.in_word(end - 1) && text.in_word(end))) return Reading{end, spoken};
    }
    return std::nullopt;
  };
  std::string out;
  out.reserve(given.size() + given.size() / 4);
  for (size_t at = 0; at < given.size();) {
    const bool begins = text.begins_word(at) || !text.in_word(at);
    std::optional<Reading> reading = begins ? listed(at) : std::nullopt;
    if (!reading && begins) reading = first_reading(text, at, style_);
    if (reading) {
      out += reading->spoken;
      at = reading->end;
      continue;
    }
    // The whole word, or one byte of what is none.
    size_t end = at + 1;
    while (text.in_word(at) && text.in_word(end)) ++end;
    out += given.substr(at, end - at);
    at = end;
  }
  return out;
}

}  // namespace fathom::text
