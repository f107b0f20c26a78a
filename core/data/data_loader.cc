#include "core/data/data_loader.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

#include "core/base/log.h"
#include "core/typing/value_source.h"

namespace fathom {
namespace {

// Python's way to write a number: as short as it can be.
std::string length_text(double length, const char* unit) { return json_text(Json(length)) + " " + unit; }

}  // namespace

DataLoader::DataLoader(DatasetHandle dataset, LoaderOptions options, uint64_t seed, std::string where)
    : dataset_(std::move(dataset)),
      options_(options),
      seed_(seed),
      where_(std::move(where)),
      owner_(where_.empty() ? dataset_.name() : where_),
      ports_(dataset_.ports()),
      dataset_size_(dataset_.size()),
      iterable_(dataset_.query<fathom_iterable_v1>(FATHOM_ITERABLE_EXTENSION)),
      planner_(dataset_.query<fathom_batch_plan_v1>(FATHOM_BATCH_PLAN_EXTENSION)),
      measured_(dataset_.query<fathom_lengths_v1>(FATHOM_LENGTHS_EXTENSION)),
      left_out_(owner_) {
  if (measured_) {
    const fathom_text_sink names = {&units_, [](void* ctx, fathom_str unit) {
                                      static_cast<std::vector<std::string>*>(ctx)->push_back(to_string(unit));
                                    }};
    measured_->units(measured_.self(), &names);
    tells_seconds_ = !iterable_ && std::find(units_.begin(), units_.end(), "seconds") != units_.end();
  }
  const auto fill = options_.fill_limit();
  if (iterable_) {
    refuse_options_of_iterable();
  } else if (dataset_size_ < 0) {
    throw Error(Code::kInternal, "the dataset '" + dataset_.name() + "' has no size and is no iterable one");
  } else if (planner_) {
    if (fill) {
      throw Error(Code::kFailed, "the dataset plans its batches itself, so they are not filled to a limit")
          .at(owner_ + "." + fill->option)
          .seen(length_text(fill->limit, fill->unit))
          .next(std::string("remove ") + fill->option);
    }
  } else if (fill) {
    fill_batches(*fill);
  } else if (options_.use_bucketing) {
    read_lengths("use_bucketing", [&](int64_t item) { return dataset_.length_hint(item); });
  }
  if (!iterable_ && (planner_ || options_.use_bucketing || fill)) planned_batches_ = plan(0).size();
  const std::string owner = where_.empty() ? dataset_.name() : where_ + " (" + dataset_.name() + ")";
  for (fathom_port& port : ports_) port.source = typing::intern_source(owner, to_view(port.name));
  // Items of an iterable come one after another: one thread is as many as can help.
  const int64_t threads = iterable_ ? std::min<int64_t>(options_.num_workers, 1) : options_.num_workers;
  if (threads > 0) {
    workers_ = std::make_unique<BatchWorkers>([this](int64_t batch) { return make_batch(batch); }, threads,
                                              threads * options_.prefetch_factor);
  }
}

DataLoader::~DataLoader() = default;

void DataLoader::refuse_options_of_iterable() const {
  const auto refuse = [&](bool given, const char* option, const char* next) {
    if (!given) return;
    throw Error(Code::kFailed, "an iterable dataset gives its items in its own order").seen(option).next(next);
  };
  const char* const shuffle = "set it to false; the dataset may shuffle by the seed of the epoch";
  refuse(options_.shuffle, "shuffle=true", shuffle);
  refuse(options_.use_bucketing, "use_bucketing=true", shuffle);
  if (const auto fill = options_.fill_limit()) refuse(true, fill->option, "set batch_size instead");
  refuse(options_.on_error == ItemPolicy::kSkip, "on_error=skip",
         "set it to error: only the dataset can tell how it goes on behind an item that is broken");
}

double DataLoader::length_of(int64_t item, std::string_view unit) const {
  double length = -1;
  check(measured_->length(measured_.self(), item, to_abi(unit), &length));
  return length;
}

template <typename Length>
void DataLoader::read_lengths(const char* option, const Length& length_of) {
  lengths_.reserve(static_cast<size_t>(dataset_size_));
  for (int64_t i = 0; i < dataset_size_; ++i) {
    lengths_.push_back(length_of(i));
    if (lengths_.back() >= 0) continue;
    throw Error(Code::kFailed,
                std::string(option) + " needs the length of every item beforehand, which the dataset does not know")
        .seen("item " + std::to_string(i) + " of '" + dataset_.name() + "'")
        .next(std::string("give every item a duration, or do without ") + option);
  }
}

void DataLoader::fill_batches(const LoaderOptions::FillLimit& fill) {
  if (std::find(units_.begin(), units_.end(), fill.unit) == units_.end()) {
    std::string known;
    for (const std::string& unit : units_) known += (known.empty() ? "" : ", ") + unit;
    throw Error(Code::kFailed, std::string("the dataset does not tell how many ") + fill.unit + " an item has")
        .at(owner_ + "." + fill.option)
        .seen("'" + dataset_.name() + "', which tells " + (known.empty() ? "no lengths" : known))
        .next("set batch_size instead; a dataset tells lengths by fathom.lengths/1 (fathom/lengths.h)");
  }
  read_lengths(fill.option, [&](int64_t item) { return length_of(item, fill.unit); });
  check_too_long(fill);
  filled_ = FilledBatches(lengths_, fill.limit);
}

// Items that no batch can take: an error, or left out with a count.
void DataLoader::check_too_long(const LoaderOptions::FillLimit& fill) const {
  int64_t count = 0, first = -1;
  for (int64_t i = 0; i < dataset_size_; ++i) {
    if (!exceeds(lengths_[static_cast<size_t>(i)], 1, fill.limit)) continue;
    if (count++ == 0) first = i;
  }
  if (count == 0) return;
  const std::string what =
      name_of_item(first) + " with " + length_text(lengths_[static_cast<size_t>(first)], fill.unit);
  if (options_.on_too_long == ItemPolicy::kSkip && count < dataset_size_) {
    log_warning("data", "{}: {} of {} items are longer than {}={} and were left out (first: {})", owner_, count,
                dataset_size_, fill.option, json_text(Json(fill.limit)), what);
    return;
  }
  throw Error(Code::kFailed, "an item is longer than a batch may be")
      .at(owner_ + "." + fill.option)
      .seen(what + (count > 1 ? ", and " + std::to_string(count - 1) + " more" : ""))
      .expected("at most " + length_text(fill.limit, fill.unit))
      .next(std::string("raise ") + fill.option +
            ", let the dataset leave long items out (max_duration), or set on_too_long=skip");
}

int64_t DataLoader::size() const {
  if (planned_batches_ >= 0) return planned_batches_;
  if (dataset_size_ < 0) return -1;
  return options_.drop_last ? dataset_size_ / options_.batch_size
                            : (dataset_size_ + options_.batch_size - 1) / options_.batch_size;
}
int64_t DataLoader::dataset_size() const { return dataset_size_; }
const LoaderOptions& DataLoader::options() const { return options_; }
void DataLoader::stop_shuffling() { options_.shuffle = false; }

BatchList DataLoader::plan(int64_t epoch) const {
  if (planner_) return dataset_plan(epoch);
  if (options_.fill_limit()) return filled_.of_epoch(options_.shuffle, seed_, epoch);
  return bucketed_batches(lengths_, options_.batch_size, options_.num_buckets, options_.shuffle, options_.drop_last,
                          seed_, epoch);
}

BatchList DataLoader::dataset_plan(int64_t epoch) const {
  struct Plan {
    BatchList batches;
    int64_t size;
  } made{{}, dataset_size_};
  const fathom_batch_request request = {
      sizeof(fathom_batch_request), seed_, epoch, options_.batch_size, options_.shuffle ? 1 : 0,
      options_.drop_last ? 1 : 0};
  const fathom_batch_sink sink = {&made, [](void* ctx, const int64_t* indices, size_t count) {
                                    return guard([&] {
                                      auto& out = *static_cast<Plan*>(ctx);
                                      for (size_t i = 0; i < count; ++i) {
                                        if (indices[i] >= 0 && indices[i] < out.size) continue;
                                        throw Error(Code::kFailed, "a dataset's batch plan names an item it has not")
                                            .seen(std::to_string(indices[i]))
                                            .expected("0 to " + std::to_string(out.size - 1));
                                      }
                                      if (count > 0) out.batches.add(indices, count);
                                    });
                                  }};
  check(planner_->plan(planner_.self(), &request, &sink));
  return std::move(made.batches);
}

void DataLoader::start_epoch(int64_t epoch, int64_t first_batch, int64_t last_batch) {
  if (workers_) workers_->pause();
  left_out_.start_epoch(epoch, first_batch);
  epoch_ = epoch;
  next_batch_ = first_batch;
  peeked_.reset();
  exhausted_ = false;
  const int64_t batches = size();
  end_batch_ = last_batch < 0 || (batches >= 0 && batches < last_batch) ? batches : last_batch;
  if (iterable_) {
    if (end_batch_ < 0 || batches < 0) end_batch_ = last_batch < 0 ? std::numeric_limits<int64_t>::max() : last_batch;
    iterated_ = first_batch * options_.batch_size;
    check(iterable_->start(iterable_.self(), mix_seed(seed_, static_cast<uint64_t>(epoch), 0), iterated_));
  } else if (planned_batches_ >= 0) {
    batches_ = plan(epoch);
    if (batches_.size() != planned_batches_) {
      throw Error(Code::kFailed, "a dataset's batch plan must give equally many batches in every epoch")
          .seen(std::to_string(batches_.size()) + " in epoch " + std::to_string(epoch))
          .expected(std::to_string(planned_batches_));
    }
  } else {
    order_ = epoch_order(dataset_size_, options_.shuffle, seed_, epoch);
  }
  if (workers_) workers_->start(next_batch_, end_batch_);
}

std::optional<Values> DataLoader::take() {
  if (next_batch_ >= end_batch_) return std::nullopt;
  const int64_t batch = next_batch_++;
  MadeBatch made;
  if (workers_) {
    made = workers_->take(batch);
  } else {
    const at::NoGradGuard no_grad;
    made = make_batch(batch);
  }
  if (!made.values) next_batch_ = end_batch_;  // an iterable has ended
  left_out_.add(made.left_out);
  items_of_batch_ = made.items;
  seconds_of_batch_ = made.seconds;
  if (next_batch_ >= end_batch_) left_out_.finish_epoch();
  return std::move(made.values);
}

std::optional<Values> DataLoader::next() {
  if (peeked_) return std::exchange(peeked_, std::nullopt);
  return take();
}

bool DataLoader::has_next() {
  if (!iterable_) return next_batch_ < end_batch_;
  if (!peeked_) peeked_ = take();
  return peeked_.has_value();
}

std::string DataLoader::name_of_item(int64_t index) const { return "item " + std::to_string(index) + " of " + owner_; }

std::string DataLoader::name_of_batch(int64_t batch, const int64_t* items, int64_t count) const {
  constexpr int64_t kNamed = 8;
  std::string name = "batch " + std::to_string(batch) + " of epoch " + std::to_string(epoch_) + " of " + owner_;
  for (int64_t i = 0; i < std::min(count, kNamed); ++i)
    name += (i > 0 ? ", " : count == 1 ? ", item " : ", items ") + std::to_string(items[i]);
  return count > kNamed ? name + ", …" : name;
}

DatasetHandle::Sample DataLoader::read_item(int64_t index, int64_t epoch) const {
  return dataset_.get(index, mix_seed(seed_, static_cast<uint64_t>(epoch), static_cast<uint64_t>(index)));
}

template <typename Name>
Values DataLoader::collate(const std::vector<DatasetHandle::Sample>& samples, const Name& name) const {
  Values batch;
  try {
    batch = dataset_.collate(samples);
  } catch (const Error& error) {
    throw error_of_item(error, name());
  }
  for (auto& [key, value] : batch) {
    for (const fathom_port& port : ports_) {
      if (to_view(port.name) != key) continue;
      value.set_type(port.type);
      value.set_source(port.source);
    }
  }
  return batch;
}

bool DataLoader::may_be_left_out(const Error& error) const {
  return options_.on_error == ItemPolicy::kSkip && is_of_the_data(error);
}

std::optional<Values> DataLoader::first_items(int64_t count) const {
  std::vector<DatasetHandle::Sample> samples;
  const auto fill = options_.fill_limit();
  for (int64_t i = 0; i < dataset_size_ && static_cast<int64_t>(samples.size()) < count; ++i) {
    if (fill && exceeds(lengths_[static_cast<size_t>(i)], 1, fill->limit)) continue;
    try {
      samples.push_back(read_item(i, 0));
    } catch (const Error& error) {
      if (!may_be_left_out(error)) throw error_of_item(error, name_of_item(i));
    }
  }
  if (samples.empty()) return std::nullopt;
  return collate(samples, [this] { return "the first items of " + owner_; });
}

MadeBatch DataLoader::iterated_batch() const {
  std::vector<DatasetHandle::Sample> samples;
  while (!exhausted_ && static_cast<int64_t>(samples.size()) < options_.batch_size) {
    void* sample = nullptr;
    try {
      check(iterable_->next(iterable_.self(), &sample));
    } catch (const Error& error) {
      throw error_of_item(error, name_of_item(iterated_) + " in epoch " + std::to_string(epoch_));
    }
    if (sample == nullptr) {
      exhausted_ = true;
    } else {
      ++iterated_;
      samples.push_back(dataset_.own(sample));
    }
  }
  const auto count = static_cast<int64_t>(samples.size());
  if (count == 0 || (options_.drop_last && count < options_.batch_size)) return {};
  return {collate(samples,
                  [&] {
                    return "items " + std::to_string(iterated_ - count) + " to " + std::to_string(iterated_ - 1) +
                           " of epoch " + std::to_string(epoch_) + " of " + owner_;
                  }),
          {},
          count};
}

MadeBatch DataLoader::make_batch(int64_t batch) const {
  if (iterable_) return iterated_batch();
  const bool planned = planned_batches_ >= 0;
  const auto at = static_cast<size_t>(batch);
  const int64_t first = planned ? batches_.starts[at] : batch * options_.batch_size;
  const int64_t end = planned ? batches_.starts[at + 1] : std::min(first + options_.batch_size, dataset_size_);
  const int64_t* const items = (planned ? batches_.items : order_).data() + first;
  MadeBatch made;
  std::vector<DatasetHandle::Sample> samples;
  samples.reserve(static_cast<size_t>(end - first));
  for (int64_t i = 0; i < end - first; ++i) {
    try {
      samples.push_back(read_item(items[i], epoch_));
      if (tells_seconds_) made.seconds += std::max(length_of(items[i], "seconds"), 0.0);
    } catch (const Error& error) {
      if (!may_be_left_out(error)) throw error_of_item(error, name_of_item(items[i]));
      made.left_out.push_back({items[i], error});
    }
  }
  const auto name = [&] { return name_of_batch(batch, items, end - first); };
  if (samples.empty()) {
    const Error& error = made.left_out.front().error;
    throw Error(error.code(), "every item of a batch is broken, so nothing is left of it (" + name() + ")")
        .at(error.where().empty() ? name_of_item(items[0]) : error.where())
        .seen(error.message() + (error.seen().empty() ? "" : ": " + error.seen()))
        .next("mend these items or take them out; on_error=skip leaves items out of batches, not whole batches");
  }
  made.items = static_cast<int64_t>(samples.size());
  made.values = collate(samples, name);
  return made;
}

std::string DataLoader::name_of_batch(int64_t batch) const {
  if (iterable_) return "batch " + std::to_string(batch) + " of epoch " + std::to_string(epoch_) + " of " + owner_;
  const bool planned = planned_batches_ >= 0;
  const auto at = static_cast<size_t>(batch);
  const int64_t first = planned ? batches_.starts[at] : batch * options_.batch_size;
  const int64_t end = planned ? batches_.starts[at + 1] : std::min(first + options_.batch_size, dataset_size_);
  return name_of_batch(batch, (planned ? batches_.items : order_).data() + first, end - first);
}

}  // namespace fathom
