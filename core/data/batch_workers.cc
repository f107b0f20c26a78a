#include "core/data/batch_workers.h"

#include <ATen/core/grad_mode.h>

namespace fathom {

BatchWorkers::BatchWorkers(std::function<MadeBatch(int64_t)> make, int64_t threads, int64_t in_flight)
    : make_(std::move(make)), in_flight_(in_flight) {
  for (int64_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

BatchWorkers::~BatchWorkers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void BatchWorkers::pause() {
  std::unique_lock lock(mutex_);
  next_ = end_ = 0;
  ready_.wait(lock, [this] { return busy_ == 0; });
  done_.clear();
}

void BatchWorkers::start(int64_t first, int64_t end) {
  {
    const std::lock_guard lock(mutex_);
    next_ = consumed_ = first;
    end_ = end;
  }
  wake_.notify_all();
}

MadeBatch BatchWorkers::take(int64_t batch) {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [&] { return done_.count(batch) > 0; });
  Outcome outcome = std::move(done_.at(batch));
  done_.erase(batch);
  consumed_ = batch + 1;
  lock.unlock();
  wake_.notify_one();
  if (outcome.error) std::rethrow_exception(outcome.error);
  return std::move(outcome.batch);
}

void BatchWorkers::work() {
  const at::NoGradGuard no_grad;  // per thread; batches are data
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || (next_ < end_ && next_ < consumed_ + in_flight_); });
    if (stopping_) return;
    const int64_t batch = next_++;
    ++busy_;
    lock.unlock();
    Outcome outcome;
    try {
      outcome.batch = make_(batch);
    } catch (...) {
      outcome.error = std::current_exception();
    }
    lock.lock();
    --busy_;
    done_[batch] = std::move(outcome);
    ready_.notify_all();
  }
}

}  // namespace fathom
