// Threads that make batches ahead of the one who takes them, in any order, and hand them out in theirs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/data/left_out_items.h"
#include "fathom/values.h"

namespace fathom {

struct MadeBatch {
  std::optional<Values> values;      // nothing past the end of an iterable dataset
  std::vector<BrokenItem> left_out;  // of it
  int64_t items = 0;                 // in it
  double seconds = 0;                // of audio in it; 0 where the dataset does not tell
};

// start() and take() are one thread's.
class BatchWorkers {
 public:
  // `make` is called from many threads at once. At most `in_flight` batches are ahead.
  BatchWorkers(std::function<MadeBatch(int64_t batch)> make, int64_t threads, int64_t in_flight);
  ~BatchWorkers();

  // Returns when no thread makes a batch any more, so that what `make` reads may change; what was made is dropped.
  void pause();
  void start(int64_t first, int64_t end);
  // Waits for the batch; rethrows what making it threw.
  MadeBatch take(int64_t batch);

 private:
  struct Outcome {
    MadeBatch batch;
    std::exception_ptr error;
  };
  void work();

  const std::function<MadeBatch(int64_t)> make_;
  const int64_t in_flight_;
  std::mutex mutex_;
  std::condition_variable wake_, ready_;
  int64_t next_ = 0, end_ = 0, consumed_ = 0;
  int busy_ = 0;
  bool stopping_ = false;
  std::map<int64_t, Outcome> done_;
  std::vector<std::thread> threads_;
};

}  // namespace fathom
