#include "core/planning/loader_options.h"

namespace fathom {
namespace {

template <typename T>
T read_key(const Json& section, const std::string& path, const char* key, T fallback) {
  if (!section.contains(key) || section[key].is_null()) return fallback;
  return options_detail::read<T>(section[key], path + "." + key);
}

}  // namespace

const std::vector<std::string>& LoaderOptions::keys() {
  static const std::vector<std::string> known = {"batch_size",      "shuffle",       "drop_last",  "num_workers",
                                                 "prefetch_factor", "use_bucketing", "num_buckets"};
  return known;
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
  return out;
}

}  // namespace fathom
