#include "core/planning/accumulation_plan.h"

#include <algorithm>
#include <charconv>

#include "fathom/error.h"

namespace fathom {

AccumulationPlan::AccumulationPlan(std::map<int64_t, int64_t> from_epoch) : from_epoch_(std::move(from_epoch)) {
  for (const auto& [epoch, batches] : from_epoch_) {
    if (epoch >= 0 && batches >= 1) continue;
    throw Error(Code::kFailed, epoch < 0 ? "is no epoch" : "is no count of batches")
        .seen(std::to_string(epoch) + ": " + std::to_string(batches))
        .expected("{epoch: batches}, epochs from 0 and batches from 1");
  }
  from_epoch_.try_emplace(0, 1);
}

bool AccumulationPlan::varies() const {
  return std::any_of(from_epoch_.begin(), from_epoch_.end(),
                     [&](const auto& one) { return one.second != from_epoch_.begin()->second; });
}

bool AccumulationPlan::accumulates() const {
  return std::any_of(from_epoch_.begin(), from_epoch_.end(), [](const auto& one) { return one.second > 1; });
}

std::string AccumulationPlan::text() const {
  std::string out;
  for (const auto& [epoch, batches] : from_epoch_)
    out += (out.empty() ? "" : ", ") + std::to_string(epoch) + ": " + std::to_string(batches);
  return "{" + out + "}";
}

std::map<int64_t, int64_t> read_accumulation(const Json& scheduling, const std::string& where) {
  const auto refuse = [&](const std::string& what, const std::string& at, const std::string& seen) {
    throw Error(Code::kFailed, what)
        .at(at)
        .seen(seen)
        .expected("{epoch: batches}, epochs from 0 and batches from 1, such as {4: 2, 8: 4}");
  };
  if (!scheduling.is_object() || scheduling.empty())
    refuse("says not from which epoch on how many batches make a step", where, json_text(scheduling));
  std::map<int64_t, int64_t> out;
  for (const auto& [key, batches] : scheduling.items()) {
    int64_t epoch = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), epoch);
    if (error != std::errc() || end != key.data() + key.size() || epoch < 0) refuse("is no epoch", where, key);
    if (!batches.is_number_integer() || batches < 1)
      refuse("is no count of batches", where + "." + key, json_text(batches));
    out[epoch] = batches.get<int64_t>();
  }
  return out;
}

}  // namespace fathom
