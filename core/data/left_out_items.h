// Items that cannot be read and are left out of their batches (on_error=skip): counted and told, an epoch at a time.
// One thread, the loader's consumer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fathom/error.h"

namespace fathom {

struct BrokenItem {
  int64_t index = 0;
  Error error;
};

// Whether an error is the data's and not the program's: bad data, a file that is not there, input and output.
bool is_of_the_data(const Error& error);

// The error with the name of the item in it ("item 17 of model.train_ds"), which becomes its place where it has none.
Error error_of_item(const Error& error, const std::string& item);

class LeftOutItems {
 public:
  // `owner`: whose items they are, for messages.
  explicit LeftOutItems(std::string owner) : owner_(std::move(owner)) {}
  ~LeftOutItems() { finish_epoch(); }
  void start_epoch(int64_t epoch, int64_t first_batch);
  // The first few are named, the others only counted.
  void add(const std::vector<BrokenItem>& items);
  // Says how many it were, if any. Once.
  void finish_epoch();

 private:
  std::string owner_;
  int64_t epoch_ = 0, first_batch_ = 0, count_ = 0;
};

}  // namespace fathom
