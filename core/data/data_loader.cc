#include "core/data/data_loader.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "core/data/sampler.h"

namespace fathom {
namespace {

template <typename T>
T read_key(const Json& section, const std::string& path, const char* key, T fallback) {
  if (!section.contains(key) || section[key].is_null()) return fallback;
  return options_detail::read<T>(section[key], path + "." + key);
}

}  // namespace

LoaderOptions LoaderOptions::from_section(const Json& section, const std::string& path, bool shuffle_default) {
  LoaderOptions out;
  out.batch_size = read_key(section, path, "batch_size", out.batch_size);
  out.shuffle = read_key(section, path, "shuffle", shuffle_default);
  out.drop_last = read_key(section, path, "drop_last", out.drop_last);
  out.num_workers = read_key(section, path, "num_workers", out.num_workers);
  out.prefetch_factor = read_key(section, path, "prefetch_factor", out.prefetch_factor);
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
  return out;
}

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
  Values take(int64_t batch) {
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
    Values values;
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

DataLoader::DataLoader(DatasetHandle dataset, LoaderOptions options, uint64_t seed)
    : dataset_(std::move(dataset)), options_(options), seed_(seed), dataset_size_(dataset_.size()) {
  if (options_.num_workers > 0) {
    workers_ = std::make_unique<Workers>(*this, options_.num_workers, options_.num_workers * options_.prefetch_factor);
  }
}

DataLoader::~DataLoader() = default;

int64_t DataLoader::size() const {
  return options_.drop_last ? dataset_size_ / options_.batch_size
                            : (dataset_size_ + options_.batch_size - 1) / options_.batch_size;
}
int64_t DataLoader::dataset_size() const { return dataset_size_; }
const LoaderOptions& DataLoader::options() const { return options_; }
void DataLoader::stop_shuffling() { options_.shuffle = false; }

void DataLoader::start_epoch(int64_t epoch, int64_t first_batch, int64_t last_batch) {
  if (workers_) workers_->pause();
  epoch_ = epoch;
  next_batch_ = first_batch;
  end_batch_ = last_batch < 0 ? size() : std::min(last_batch, size());
  order_ = epoch_order(dataset_size_, options_.shuffle, seed_, epoch);
  if (workers_) workers_->start(next_batch_, end_batch_);
}

std::optional<Values> DataLoader::next() {
  if (next_batch_ >= end_batch_) return std::nullopt;
  const int64_t batch = next_batch_++;
  if (workers_) return workers_->take(batch);
  const at::NoGradGuard no_grad;
  return make_batch(batch);
}

Values DataLoader::make_batch(int64_t batch) const {
  const int64_t first = batch * options_.batch_size;
  const int64_t end = std::min(first + options_.batch_size, dataset_size_);
  std::vector<DatasetHandle::Sample> samples;
  samples.reserve(static_cast<size_t>(end - first));
  for (int64_t i = first; i < end; ++i) {
    const int64_t index = order_[static_cast<size_t>(i)];
    samples.push_back(
        dataset_.get(index, mix_seed(seed_, static_cast<uint64_t>(epoch_), static_cast<uint64_t>(index))));
  }
  return dataset_.collate(samples);
}

}  // namespace fathom
