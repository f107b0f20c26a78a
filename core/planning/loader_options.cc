#include "core/planning/loader_options.h"

#include <cmath>

#include "fathom/nearest_names.h"

namespace fathom {
namespace {

template <typename T>
T read_key(const Json& section, const std::string& path, const char* key, T fallback) {
  if (!section.contains(key) || section[key].is_null()) return fallback;
  return options_detail::read<T>(section[key], path + "." + key);
}

bool is_given(const Json& section, const char* key) { return section.contains(key) && !section[key].is_null(); }

ItemPolicy read_policy(const Json& section, const std::string& path, const char* key) {
  const std::string name = read_key<std::string>(section, path, key, "error");
  if (name == "error") return ItemPolicy::kError;
  if (name == "skip") return ItemPolicy::kSkip;
  throw Error(Code::kFailed, std::string(key) + " knows no such policy")
      .at(path + "." + key)
      .seen(json_text(section[key]))
      .expected("error or skip")
      .candidates(nearest_names(name, {"error", "skip"}));
}

// Batches that are filled to a limit leave nothing for these keys to say.
void check_fill_limit(const Json& section, const std::string& path, const LoaderOptions& options) {
  const auto fill = options.fill_limit();
  if (!fill) {
    if (!is_given(section, "on_too_long")) return;
    throw Error(Code::kFailed, "on_too_long is about items longer than max_seconds or max_tokens; neither is set")
        .at(path + ".on_too_long")
        .seen(json_text(section["on_too_long"]))
        .next("set one of the two, or remove on_too_long");
  }
  const std::string option = fill->option;
  if (!(fill->limit > 0) || !std::isfinite(fill->limit)) {
    throw Error(Code::kFailed, option + " must be positive")
        .at(path + "." + option)
        .seen(json_text(section[option]))
        .expected(std::string(fill->unit) + " of a batch, its padding included");
  }
  const auto contradicts = [&](const char* key, bool given, const char* why) {
    if (!given) return;
    throw Error(Code::kFailed, option + " and " + key + " contradict each other: " + why)
        .at(path + "." + key)
        .seen(std::string(key) + "=" + json_text(section[key]) + ", " + option + "=" + json_text(section[option]))
        .next(std::string("remove one of the two (~") + path + "." + key + ", or set it to null)");
  };
  if (options.max_seconds) contradicts("max_tokens", options.max_tokens.has_value(), "a batch is filled in one unit");
  contradicts("batch_size", is_given(section, "batch_size"), "a batch is filled to a limit or to so many items");
  contradicts("use_bucketing", options.use_bucketing, "batches filled to a limit are of like length already");
  contradicts("num_buckets", is_given(section, "num_buckets"), "batches filled to a limit are of like length already");
  contradicts("drop_last", options.drop_last, "no batch is the last one that lacks items");
}

}  // namespace

const std::vector<std::string>& LoaderOptions::keys() {
  static const std::vector<std::string> known = {"batch_size",      "shuffle",       "drop_last",   "num_workers",
                                                 "prefetch_factor", "use_bucketing", "num_buckets", "max_seconds",
                                                 "max_tokens",      "on_too_long",   "on_error"};
  return known;
}

std::optional<LoaderOptions::FillLimit> LoaderOptions::fill_limit() const {
  if (max_seconds) return FillLimit{"max_seconds", "seconds", *max_seconds};
  if (max_tokens) return FillLimit{"max_tokens", "tokens", *max_tokens};
  return std::nullopt;
}

std::string LoaderOptions::batching() const {
  if (const auto fill = fill_limit()) return std::string(fill->option) + "=" + json_text(Json(fill->limit));
  return use_bucketing ? "num_buckets=" + std::to_string(num_buckets) : std::string();
}

LoaderOptions LoaderOptions::from_section(const Json& section, const std::string& path, bool shuffle_default) {
  LoaderOptions out;
  out.batch_size = read_key(section, path, "batch_size", out.batch_size);
  out.shuffle = read_key(section, path, "shuffle", shuffle_default);
  out.drop_last = read_key(section, path, "drop_last", out.drop_last);
  out.num_workers = read_key(section, path, "num_workers", out.num_workers);
  out.prefetch_factor = read_key(section, path, "prefetch_factor", out.prefetch_factor);
  out.use_bucketing = read_key(section, path, "use_bucketing", out.use_bucketing);
  out.num_buckets = read_key(section, path, "num_buckets", out.num_buckets);
  const auto at_least = [&](const char* key, int64_t value, int64_t lowest) {
    if (value >= lowest) return;
    throw Error(Code::kFailed, std::string(key) + " is too small")
        .at(path + "." + key)
        .seen(std::to_string(value))
        .expected("at least " + std::to_string(lowest));
  };
  at_least("batch_size", out.batch_size, 1);
  at_least("num_workers", out.num_workers, 0);
  at_least("prefetch_factor", out.prefetch_factor, 1);
  at_least("num_buckets", out.num_buckets, 1);
  if (is_given(section, "max_seconds")) out.max_seconds = read_key(section, path, "max_seconds", 0.0);
  if (is_given(section, "max_tokens")) out.max_tokens = read_key(section, path, "max_tokens", 0.0);
  out.on_too_long = read_policy(section, path, "on_too_long");
  out.on_error = read_policy(section, path, "on_error");
  check_fill_limit(section, path, out);
  return out;
}

}  // namespace fathom
