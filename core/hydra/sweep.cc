#include "core/hydra/sweep.h"

#include <fnmatch.h>

#include <algorithm>
#include <random>

#include "core/config/errors.h"
#include "core/hydra/decimal_range.h"

namespace fathom::config {
namespace {

constexpr size_t kMaxJobs = 1'000'000;

std::string scalar_text(const Scalar& scalar) {
  Element element;
  if (const auto* i = std::get_if<int64_t>(&scalar)) element.value = *i;
  if (const auto* d = std::get_if<double>(&scalar)) element.value = *d;
  if (const auto* b = std::get_if<bool>(&scalar)) element.value = *b;
  if (const auto* s = std::get_if<std::string>(&scalar)) return *s;
  return value_text(element);
}

bool matches(const std::string& name, const std::vector<Scalar>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const Scalar& pattern) {
    return fnmatch(scalar_text(pattern).c_str(), name.c_str(), FNM_NOESCAPE) == 0;
  });
}

void shuffle(std::vector<std::string>& values) {
  std::shuffle(values.begin(), values.end(), std::mt19937(std::random_device{}()));
}

std::vector<std::string> sweep_values(const Override& override, const ConfigRepository* repository) {
  std::vector<std::string> values;
  if (override.value.is<ChoiceSweep>()) {
    const ChoiceSweep& sweep = override.value.as<ChoiceSweep>();
    for (const Element& e : sweep.list) {
      if (e.is_sweep()) {
        throw ConfigError("HydraException", "a sweep inside a sweep has no list of values: '" + override.word + "'");
      }
      values.push_back(value_text(e));
    }
    if (sweep.shuffle) shuffle(values);
  } else if (override.value.is<RangeSweep>()) {
    const RangeSweep& sweep = override.value.as<RangeSweep>();
    for (const Scalar& number : range_values(sweep)) values.push_back(scalar_text(number));
    if (sweep.shuffle) shuffle(values);
  } else if (override.value.is<Glob>()) {
    const Glob& glob = override.value.as<Glob>();
    if (repository == nullptr) throw ConfigError("HydraException", "glob() needs a config search path");
    for (const std::string& name : repository->group_options(override.key)) {
      if (matches(name, glob.include) && !matches(name, glob.exclude)) values.push_back(name);
    }
  } else {
    throw ConfigError("HydraException",
                      "BasicSweeper does not support sweep type : INTERVAL_SWEEP (interval in '" + override.word + "')")
        .with_next("name the values: " + override.key_element() + "=choice(…) or range(…)");
  }
  return values;
}

std::string prefixed_key(const Override& override) {
  constexpr const char* kPrefixes[] = {"", "+", "++", "~"};
  return kPrefixes[static_cast<int>(override.type)] + override.key_element();
}

}  // namespace

std::vector<Job> sweep_jobs(const std::vector<Override>& overrides, const ConfigRepository* repository) {
  std::vector<std::pair<std::string, Job>> dimensions;
  for (const Override& override : overrides) {
    const std::string key = prefixed_key(override);
    std::vector<std::string> values;
    if (override.is_sweep()) {
      values = sweep_values(override, repository);
    } else {
      values.push_back(value_text(override.value));
    }
    for (std::string& value : values) value = key + "=" + value;
    const auto known =
        std::find_if(dimensions.begin(), dimensions.end(), [&](const auto& d) { return d.first == key; });
    if (known != dimensions.end()) {
      known->second = std::move(values);
    } else {
      dimensions.emplace_back(key, std::move(values));
    }
  }
  std::vector<Job> jobs = {{}};
  for (const auto& [key, words] : dimensions) {
    if (jobs.size() * words.size() > kMaxJobs) {
      throw ConfigError("HydraException", "the sweep has more than " + std::to_string(kMaxJobs) + " jobs");
    }
    std::vector<Job> longer;
    longer.reserve(jobs.size() * words.size());
    for (const Job& job : jobs) {
      for (const std::string& word : words) {
        longer.push_back(job);
        longer.back().push_back(word);
      }
    }
    jobs = std::move(longer);
  }
  return jobs;
}

std::vector<std::vector<Job>> split_batches(const std::vector<Job>& jobs, std::optional<int64_t> max_batch_size) {
  std::vector<std::vector<Job>> batches;
  if (max_batch_size && *max_batch_size == -1) max_batch_size.reset();
  if (max_batch_size && *max_batch_size <= 0) {
    throw ConfigError("HydraException", "hydra.sweeper.max_batch_size must be positive")
        .with_seen(std::to_string(*max_batch_size));
  }
  const size_t size = max_batch_size ? static_cast<size_t>(*max_batch_size) : std::max<size_t>(jobs.size(), 1);
  for (size_t i = 0; i < jobs.size(); i += size) {
    batches.emplace_back(jobs.begin() + static_cast<int64_t>(i),
                         jobs.begin() + static_cast<int64_t>(std::min(jobs.size(), i + size)));
  }
  return batches;
}

}  // namespace fathom::config
