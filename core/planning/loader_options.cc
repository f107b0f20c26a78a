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
void check_max_seconds(const Json& section, const std::string& path, const LoaderOptions& options) {
  if (!options.max_seconds) {
    if (!is_given(section, "on_too_long")) return;
    throw Error(Code::kFailed, "on_too_long is about items longer than max_seconds, which is not set")
        .at(path + ".on_too_long")
        .seen(json_text(section["on_too_long"]))
        .next("set max_seconds, or remove on_too_long");
  }
  if (!(*options.max_seconds > 0) || !std::isfinite(*options.max_seconds)) {
    throw Error(Code::kFailed, "max_seconds must be positive")
        .at(path + ".max_seconds")
        .seen(json_text(section["max_seconds"]))
        .expected("seconds of a batch, its padding included");
  }
  const auto contradicts = [&](const char* key, bool given, const char* why) {
    if (!given) return;
    throw Error(Code::kFailed, std::string("max_seconds and ") + key + " contradict each other: " + why)
        .at(path + "." + key)
        .seen(std::string(key) + "=" + json_text(section[key]) + ", max_seconds=" + json_text(section["max_seconds"]))
        .next(std::string("remove one of the two (~") + path + "." + key + ", or set it to null)");
  };
  contradicts("batch_size", is_given(section, "batch_size"),
              "a batch is filled to so many seconds or to so many items");
  contradicts("use_bucketing", options.use_bucketing, "batches filled to a limit are of like length already");
  contradicts("num_buckets", is_given(section, "num_buckets"), "batches filled to a limit are of like length already");
  contradicts("drop_last", options.drop_last, "no batch is the last one that lacks items");
}

}  // namespace

const std::vector<std::string>& LoaderOptions::keys() {
  static const std::vector<std::string> known = {"batch_size",      "shuffle",       "drop_last",   "num_workers",
                                                 "prefetch_factor", "use_bucketing", "num_buckets", "max_seconds",
                                                 "on_too_long",     "on_error"};
  return known;
}

std::string LoaderOptions::batching() const {
  if (max_seconds) return "max_seconds=" + json_text(Json(*max_seconds));
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
  out.on_too_long = read_policy(section, path, "on_too_long");
  out.on_error = read_policy(section, path, "on_error");
  check_max_seconds(section, path, out);
  return out;
}

}  // namespace fathom
