#include "core/data/left_out_items.h"

#include "core/base/log.h"

namespace fathom {
namespace {

constexpr int64_t kNamed = 5;

// On one line, for the log.
std::string in_one_line(const Error& error) {
  std::string text = error.message();
  if (!error.where().empty()) text += ", at " + error.where();
  if (!error.seen().empty()) text += ", seen: " + error.seen();
  return text;
}

}  // namespace

bool is_of_the_data(const Error& error) {
  return error.code() == Code::kBadData || error.code() == Code::kNoInput || error.code() == Code::kIo;
}

Error error_of_item(const Error& error, const std::string& item) {
  const bool placed = !error.where().empty();
  return Error(error.code(), placed ? error.message() + " (" + item + ")" : error.message())
      .at(placed ? error.where() : item)
      .seen(error.seen())
      .expected(error.expected())
      .candidates(error.candidates())
      .next(error.next());
}

void LeftOutItems::start_epoch(int64_t epoch, int64_t first_batch) {
  finish_epoch();
  epoch_ = epoch;
  first_batch_ = first_batch;
}

void LeftOutItems::add(const std::vector<BrokenItem>& items) {
  for (const BrokenItem& item : items) {
    if (++count_ <= kNamed)
      log_warning("data", "{}: item {} is left out: {}", owner_, item.index, in_one_line(item.error));
    else if (count_ == kNamed + 1)
      log_warning("data", "{}: further items that are left out of this epoch are only counted", owner_);
  }
}

void LeftOutItems::finish_epoch() {
  if (count_ == 0) return;
  const std::string from = first_batch_ > 0 ? " (from batch " + std::to_string(first_batch_) + " on)" : std::string();
  log_warning("data", "{}: {} item{} left out of epoch {}{}: on_error=skip", owner_, count_,
              count_ == 1 ? " was" : "s were", epoch_, from);
  count_ = 0;
}

}  // namespace fathom
