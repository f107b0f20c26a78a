// ConcatOrder: NeMo's ConcatDataset and ConcatMapDataset.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "fathom/nearest_names.h"
#include "plugins/asr/data/numpy_random.h"
#include "plugins/asr/data/set_orders.h"
#include "plugins/asr/data/set_random.h"

namespace fathom::asr {
namespace {

constexpr uint64_t kConcatStream = 0x636f6e636174ULL;

// Which set the next item is taken from.
class SetChooser {
 public:
  SetChooser(std::vector<double> chances, size_t sets, uint32_t seed)
      : chances_(std::move(chances)), sets_(sets), random_(seed) {}
  size_t next() {
    if (chances_.empty()) return turn_++ % sets_;
    return static_cast<size_t>(random_.choice(chances_));
  }

 private:
  const std::vector<double> chances_;  // none: in turn
  const size_t sets_;
  NumpyRandom random_;
  size_t turn_ = 0;
};

}  // namespace

// What numpy's global generator is to NeMo: seeded by the run's seed, and drawn from in every epoch.
class ConcatOrder::Shuffles {
 public:
  explicit Shuffles(uint64_t seed) : seed_(seed), random_(static_cast<uint32_t>(seed)) {}
  uint64_t seed() const { return seed_; }
  void shuffle(std::vector<int64_t>& items) { random_.shuffle(items); }
  int64_t epoch = 0;  // the next one

 private:
  uint64_t seed_;
  NumpyRandom random_;
};

ConcatOrder::ConcatOrder(ConcatOptions options, std::vector<int64_t> sizes, const std::string& where, Pass pass)
    : options_(std::move(options)), sizes_(std::move(sizes)), pass_(std::move(pass)) {
  check(where);
  if (options_.exhaust) fixed_ = exhausting_order(static_cast<uint32_t>(options_.seed.value_or(0)));
}

void ConcatOrder::check(const std::string& where) const {
  const auto refuse = [&](const std::string& key, const std::string& what, const std::string& seen,
                          const std::string& expected) {
    throw Error(Code::kFailed, what).at(where + "." + key).seen(seen).expected(expected);
  };
  const std::vector<std::string> known = {"temperature", "random", "round-robin"};
  if (std::find(known.begin(), known.end(), options_.technique) == known.end()) {
    throw Error(Code::kFailed, "there is no such way to choose among data sets")
        .at(where + ".concat_sampling_technique")
        .seen(options_.technique)
        .expected("temperature, random or round-robin")
        .candidates(nearest_names(options_.technique, known));
  }
  if (!(options_.temperature > 0) || !std::isfinite(options_.temperature))
    refuse("concat_sampling_temperature", "the temperature must be positive", json_text(Json(options_.temperature)),
           "1: as large as the sets are; larger: closer to equal shares");
  if (!(options_.scale > 0) || !std::isfinite(options_.scale))
    refuse("concat_sampling_scale", "the scale must be positive", json_text(Json(options_.scale)),
           "1: as many items in an epoch as the sets have");
  if (options_.seed && (*options_.seed < 0 || *options_.seed > 0xffffffffLL))
    refuse("concat_sampling_seed", "the seed is out of range", std::to_string(*options_.seed), "0 to 2^32 - 1");
  for (size_t i = 0; i < sizes_.size(); ++i) {
    if (sizes_[i] > 0) continue;
    throw Error(Code::kBadData, "a data set has no items, so that none can be drawn from it")
        .at(where + ".manifest_filepath[" + std::to_string(i) + "]")
        .next("take it out of the list; the log says what its filters left out");
  }
  if (!options_.exhaust && size() == 0)
    refuse("concat_sampling_scale", "an epoch of so few items has none", json_text(Json(options_.scale)),
           "a larger one");
  if (options_.technique != "random") return;
  if (!options_.probabilities) {
    if (options_.exhaust)
      refuse("concat_sampling_probabilities", "random sampling needs a probability for every set", "none",
             std::to_string(sizes_.size()) + " numbers");
    return;
  }
  const std::vector<double>& given = *options_.probabilities;
  const std::string seen = json_text(Json(given));
  const char* const key = "concat_sampling_probabilities";
  if (given.size() != sizes_.size())
    refuse(key, "there must be one probability for every data set", seen, std::to_string(sizes_.size()) + " numbers");
  if (std::any_of(given.begin(), given.end(), [](double p) { return !(p >= 0); }))
    refuse(key, "a probability is negative", seen, "numbers from 0 to 1");
  const double sum = std::accumulate(given.begin(), given.end(), 0.0);
  if (!(std::abs(sum - 1) <= 1e-6))
    refuse(key, "the probabilities do not sum to 1", seen + ", sum " + json_text(Json(sum)), "a sum of 1");
}

std::vector<int64_t> ConcatOrder::slice(size_t set) const {
  const int64_t share = sizes_[set] / options_.rank.world, begin = share * options_.rank.rank;
  const bool is_last = options_.rank.rank == options_.rank.world - 1;
  std::vector<int64_t> items(static_cast<size_t>((is_last ? sizes_[set] : begin + share) - begin));
  std::iota(items.begin(), items.end(), begin);
  return items;
}

int64_t ConcatOrder::size() const {
  if (options_.exhaust) return static_cast<int64_t>(fixed_.size());
  int64_t count = 0;
  for (const int64_t size : sizes_) count += pass_ ? size : size / options_.rank.world;
  return options_.scale == 1 ? count : static_cast<int64_t>(static_cast<double>(count) * options_.scale);
}

std::vector<double> ConcatOrder::chances() const {
  if (options_.technique == "round-robin") return {};
  std::vector<double> out(sizes_.size(), 1.0 / static_cast<double>(sizes_.size()));
  if (options_.technique == "random") return options_.probabilities.value_or(out);
  double sum = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<double>(pass_ ? sizes_[i] : static_cast<int64_t>(slice(i).size()));
    sum += out[i];
  }
  double powers = 0;
  for (double& chance : out) {
    chance = std::pow(chance / sum, 1 / options_.temperature);
    powers += chance;
  }
  for (double& chance : out) chance /= powers;
  return out;
}

// A set that has ended begins again, and another one is chosen.
std::vector<SetItem> ConcatOrder::draw(uint64_t seed, int64_t epoch, Shuffles& shuffles) const {
  struct Queue {
    std::vector<int64_t> items;
    size_t at = 0;
    int64_t pass = 0;
  };
  std::vector<Queue> queues(sizes_.size());
  const auto begin = [&](size_t set) {
    Queue& queue = queues[set];
    queue.items = pass_ ? pass_(set, queue.pass, epoch) : slice(set);
    if (!pass_ && options_.shuffle) shuffles.shuffle(queue.items);
    queue.at = 0;
    ++queue.pass;
  };
  for (size_t set = 0; set < sizes_.size(); ++set) begin(set);
  const uint64_t drawn = mixed_seed(seed ^ kConcatStream, static_cast<uint64_t>(epoch));
  SetChooser chooser(chances(), sizes_.size(), static_cast<uint32_t>(options_.seed.value_or(drawn & 0xffffffff)));
  std::vector<SetItem> out;
  const auto wanted = static_cast<size_t>(size());
  out.reserve(wanted);
  while (out.size() < wanted) {
    const size_t set = chooser.next();
    Queue& queue = queues[set];
    if (queue.at == queue.items.size())
      begin(set);
    else
      out.push_back({set, queue.items[queue.at++]});
  }
  return out;
}

std::vector<SetItem> ConcatOrder::of_epoch(uint64_t seed, int64_t epoch) const {
  if (options_.exhaust) return fixed_;
  const std::lock_guard lock(mutex_);
  if (shuffles_ == nullptr || shuffles_->seed() != seed || shuffles_->epoch > epoch)
    shuffles_ = std::make_shared<Shuffles>(seed);
  // Where nothing is drawn from the shuffles, no epoch needs the one before.
  if (pass_ || !options_.shuffle) shuffles_->epoch = epoch;
  std::vector<SetItem> out;
  while (shuffles_->epoch <= epoch) out = draw(seed, shuffles_->epoch++, *shuffles_);
  return out;
}

std::vector<SetItem> ConcatOrder::exhausting_order(uint32_t seed) const {
  NumpyRandom random(seed);
  const size_t sets = sizes_.size();
  std::vector<std::vector<int64_t>> items;
  items.reserve(sets);
  for (const int64_t size : sizes_) items.push_back(random.permutation(size));
  std::vector<size_t> at(sets);
  std::vector<SetItem> out;
  // True when that was the set's last item.
  const auto take = [&](size_t set) {
    out.push_back({set, items[set][at[set]]});
    if (++at[set] < items[set].size()) return false;
    items[set] = random.permutation(sizes_[set]);
    at[set] = 0;
    return true;
  };
  if (options_.technique == "round-robin") {
    const auto total = static_cast<size_t>(*std::max_element(sizes_.begin(), sizes_.end())) * sets;
    for (size_t i = 0; i < total; ++i) take(i % sets);
    return out;
  }
  std::vector<double> chances;
  for (size_t i = 0; i < sets; ++i) {
    chances.push_back(options_.technique == "random"
                          ? (*options_.probabilities)[i]
                          : std::pow(static_cast<double>(sizes_[i]), 1 / options_.temperature));
  }
  const double sum = std::accumulate(chances.begin(), chances.end(), 0.0);
  for (double& chance : chances) chance /= sum;
  std::vector<bool> gone_through(sets);
  for (size_t left = sets; left > 0;) {
    const auto set = static_cast<size_t>(random.choice(chances));
    if (!take(set) || gone_through[set]) continue;
    gone_through[set] = true;
    --left;
  }
  return out;
}

}  // namespace fathom::asr
