// fathom::Error: the one exception type of the host, the core and the C++ authoring layer.
//
// An error says what happened, where, the value seen, what was expected, the nearest candidates and the next step;
// each part is optional but the first. Library code throws; only the host turns a code into an exit status.
//
//   throw Error(Code::kBadData, "manifest line is not JSON").at(path, line).seen(text).next("fix or remove the line");
//
// No exception crosses the plugin boundary: the authoring layer carries the parts over it (see plugin.h).
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fathom/abi/base.h"

namespace fathom {

// Same numbers as the exit codes of the command line.
enum class Code : int {
  kFailed = FATHOM_FAILED,
  kUsage = FATHOM_USAGE,
  kBadData = FATHOM_BAD_DATA,
  kNoInput = FATHOM_NO_INPUT,
  kUnavailable = FATHOM_UNAVAILABLE,
  kInternal = FATHOM_INTERNAL,
  kCantCreate = FATHOM_CANT_CREATE,
  kIo = FATHOM_IO,
  kInterrupted = FATHOM_INTERRUPTED,
};

class Error : public std::exception {
 public:
  Error(Code code, std::string what) : code_(code), what_(std::move(what)) { render(); }

  // Builders, to be chained on a temporary.
  Error&& at(std::string where) && { return set(&Error::where_, std::move(where)); }
  Error&& at(std::string_view file, int64_t line) && {
    return set(&Error::where_, std::string(file) + ":" + std::to_string(line));
  }
  Error&& seen(std::string value) && { return set(&Error::seen_, std::move(value)); }
  Error&& expected(std::string text) && { return set(&Error::expected_, std::move(text)); }
  Error&& candidates(std::string names) && { return set(&Error::candidates_, std::move(names)); }
  Error&& candidates(const std::vector<std::string>& names) && {
    std::string joined;
    for (const auto& name : names) joined += (joined.empty() ? "" : ", ") + name;
    return set(&Error::candidates_, std::move(joined));
  }
  Error&& next(std::string step) && { return set(&Error::next_, std::move(step)); }

  Code code() const { return code_; }
  const std::string& message() const { return what_; }
  const std::string& where() const { return where_; }
  const std::string& seen() const { return seen_; }
  const std::string& expected() const { return expected_; }
  const std::string& candidates() const { return candidates_; }
  const std::string& next() const { return next_; }

  // The whole text, several lines: what, then one indented line per part that is there.
  const char* what() const noexcept override { return text_.c_str(); }

  // Adds "where" only if the thrower had none: for callers that know the key or file.
  void locate(const std::string& where) {
    if (where_.empty()) {
      where_ = where;
      render();
    }
  }
  // Puts a section's key before the name of an option in it: "decay" becomes "exp_manager.ema.decay".
  void locate_within(const std::string& section) {
    where_ = section + "." + where_;
    render();
  }

 private:
  Error&& set(std::string Error::*part, std::string value) {
    this->*part = std::move(value);
    render();
    return std::move(*this);
  }
  void render() {
    text_ = what_;
    auto add = [this](const char* label, const std::string& value) {
      if (!value.empty()) text_ += std::string("\n  ") + label + ": " + value;
    };
    add("at", where_);
    add("seen", seen_);
    add("expected", expected_);
    add("did you mean", candidates_);
    add("next", next_);
  }

  Code code_;
  std::string what_, where_, seen_, expected_, candidates_, next_, text_;
};

}  // namespace fathom
