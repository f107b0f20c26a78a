#include "core/data/data_loader.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include "core/typing/value_source.h"

namespace fathom {
// Threads that make batches ahead of the consumer. A generation counter makes work for an abandoned epoch harmless.
class DataLoader::Workers {
 public:
  Workers(const DataLoader& loader, int64_t count, int64_t in_flight) : loader_(loader), in_flight_(in_flight) {
    for (int64_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Workers() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  // Waits until no worker reads the loader's order any more, so that the caller may change it.
  void pause() {
    std::unique_lock lock(mutex_);
    next_ = end_ = 0;
    ready_.wait(lock, [this] { return busy_ == 0; });
    done_.clear();
  }
  void start(int64_t first, int64_t end) {
    {
      const std::lock_guard lock(mutex_);
      next_ = consumed_ = first;
      end_ = end;
    }
    wake_.notify_all();
  }
  std::optional<Values> take(int64_t batch) {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return done_.count(batch) > 0; });
    Made made = std::move(done_.at(batch));
    done_.erase(batch);
    consumed_ = batch + 1;
    lock.unlock();
    wake_.notify_one();
    if (made.error) std::rethrow_exception(made.error);
    return std::move(made.values);
  }

 private:
  struct Made {
    std::optional<Values> values;
    std::exception_ptr error;
  };

  void work() {
    const at::NoGradGuard no_grad;  // per thread; batches are data
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || (next_ < end_ && next_ < consumed_ + in_flight_); });
      if (stopping_) return;
      const int64_t batch = next_++;
      ++busy_;
      lock.unlock();
      Made made;
      try {
        made.values = loader_.make_batch(batch);
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      --busy_;
      done_[batch] = std::move(made);
      ready_.notify_all();
    }
  }

  const DataLoader& loader_;
  const int64_t in_flight_;
  std::mutex mutex_;
  std::condition_variable wake_, ready_;
  int64_t next_ = 0, end_ = 0, consumed_ = 0;
  int busy_ = 0;
  bool stopping_ = false;
  std::map<int64_t, Made> done_;
  std::vector<std::thread> threads_;
};

DataLoader::DataLoader(DatasetHandle dataset, LoaderOptions options, uint64_t seed, std::string where)
    : dataset_(std::move(dataset)),
      options_(options),
      seed_(seed),
      where_(std::move(where)),
      ports_(dataset_.ports()),
      dataset_size_(dataset_.size()),
      iterable_(dataset_.query<fathom_iterable_v1>(FATHOM_ITERABLE_EXTENSION)),
      planner_(dataset_.query<fathom_batch_plan_v1>(FATHOM_BATCH_PLAN_EXTENSION)) {
  if (dataset_size_ < 0 && !iterable_)
    throw Error(Code::kInternal, "the dataset '" + dataset_.name() + "' has no size and is no iterable one");
  if (iterable_ && (options_.shuffle || options_.use_bucketing)) {
    throw Error(Code::kFailed, "an iterable dataset gives its items in its own order")
        .seen(options_.shuffle ? "shuffle=true" : "use_bucketing=true")
        .next("set it to false; the dataset may shuffle by the seed of the epoch");
  }
  if (!iterable_ && !planner_ && options_.use_bucketing) {
    for (int64_t i = 0; i < dataset_size_; ++i) {
      lengths_.push_back(dataset_.length_hint(i));
      if (lengths_.back() >= 0) continue;
      throw Error(Code::kFailed,
                  "use_bucketing needs the length of every item beforehand, which the dataset does not know")
          .seen("item " + std::to_string(i) + " of '" + dataset_.name() + "'")
          .next("give every item a duration, or set use_bucketing=false");
    }
  }
  if (!iterable_ && (planner_ || options_.use_bucketing)) planned_batches_ = plan(0).size();
  const std::string owner = where_.empty() ? dataset_.name() : where_ + " (" + dataset_.name() + ")";
  for (fathom_port& port : ports_) port.source = typing::intern_source(owner, to_view(port.name));
  // Items of an iterable come one after another: one thread is as many as can help.
  const int64_t threads = iterable_ ? std::min<int64_t>(options_.num_workers, 1) : options_.num_workers;
  if (threads > 0) workers_ = std::make_unique<Workers>(*this, threads, threads * options_.prefetch_factor);
}

DataLoader::~DataLoader() = default;

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
  if (!planner_) {
    return bucketed_batches(lengths_, options_.batch_size, options_.num_buckets, options_.shuffle, options_.drop_last,
                            seed_, epoch);
  }
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
  epoch_ = epoch;
  next_batch_ = first_batch;
  peeked_.reset();
  exhausted_ = false;
  const int64_t batches = size();
  end_batch_ = last_batch < 0 || (batches >= 0 && batches < last_batch) ? batches : last_batch;
  if (iterable_) {
    if (end_batch_ < 0 || batches < 0) end_batch_ = last_batch < 0 ? std::numeric_limits<int64_t>::max() : last_batch;
    check(iterable_->start(iterable_.self(), mix_seed(seed_, static_cast<uint64_t>(epoch), 0),
                           first_batch * options_.batch_size));
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
  std::optional<Values> made;
  if (workers_) {
    made = workers_->take(batch);
  } else {
    const at::NoGradGuard no_grad;
    made = make_batch(batch);
  }
  if (!made) next_batch_ = end_batch_;  // an iterable has ended
  return made;
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

Values DataLoader::collate(const std::vector<DatasetHandle::Sample>& samples) const {
  Values batch = dataset_.collate(samples);
  for (auto& [name, value] : batch) {
    for (const fathom_port& port : ports_) {
      if (to_view(port.name) != name) continue;
      value.set_type(port.type);
      value.set_source(port.source);
    }
  }
  return batch;
}

std::optional<Values> DataLoader::first_items(int64_t count) const {
  std::vector<DatasetHandle::Sample> samples;
  for (int64_t i = 0; i < std::min(count, dataset_size_); ++i)
    samples.push_back(dataset_.get(i, mix_seed(seed_, 0, static_cast<uint64_t>(i))));
  if (samples.empty()) return std::nullopt;
  return collate(samples);
}

std::optional<Values> DataLoader::iterated_batch() const {
  std::vector<DatasetHandle::Sample> samples;
  while (!exhausted_ && static_cast<int64_t>(samples.size()) < options_.batch_size) {
    void* sample = nullptr;
    check(iterable_->next(iterable_.self(), &sample));
    if (sample == nullptr)
      exhausted_ = true;
    else
      samples.push_back(dataset_.own(sample));
  }
  const bool full = static_cast<int64_t>(samples.size()) == options_.batch_size;
  if (samples.empty() || (options_.drop_last && !full)) return std::nullopt;
  return collate(samples);
}

std::optional<Values> DataLoader::make_batch(int64_t batch) const {
  if (iterable_) return iterated_batch();
  const bool planned = planned_batches_ >= 0;
  const auto at = static_cast<size_t>(batch);
  const int64_t first = planned ? batches_.starts[at] : batch * options_.batch_size;
  const int64_t end = planned ? batches_.starts[at + 1] : std::min(first + options_.batch_size, dataset_size_);
  const std::vector<int64_t>& items = planned ? batches_.items : order_;
  std::vector<DatasetHandle::Sample> samples;
  samples.reserve(static_cast<size_t>(end - first));
  for (int64_t i = first; i < end; ++i) {
    const int64_t index = items[static_cast<size_t>(i)];
    samples.push_back(
        dataset_.get(index, mix_seed(seed_, static_cast<uint64_t>(epoch_), static_cast<uint64_t>(index))));
  }
  return collate(samples);
}

std::string DataLoader::name_of_batch(int64_t batch) const {
  const std::string owner = where_.empty() ? dataset_.name() : where_;
  if (iterable_) return "batch " + std::to_string(batch) + " of " + owner;
  const bool planned = planned_batches_ >= 0;
  const auto at = static_cast<size_t>(batch);
  const int64_t first = planned ? batches_.starts[at] : batch * options_.batch_size;
  const int64_t end = planned ? batches_.starts[at + 1] : std::min(first + options_.batch_size, dataset_size_);
  const std::vector<int64_t>& items = planned ? batches_.items : order_;
  std::string text;
  for (int64_t i = first; i < end; ++i)
    text += (text.empty() ? "" : ", ") + std::to_string(items[static_cast<size_t>(i)]);
  return "items " + text + " of " + owner;
}

}  // namespace fathom
