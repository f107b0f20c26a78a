// What the tests of loggers share: a folder of their own, a host that keeps what is logged, rows of metrics.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fathom/logger.h"
#include "tests/support/folder_test.h"

namespace fathom::loggers {

class LoggerTest : public FolderTest {
 protected:
  void SetUp() override {
    static fathom_host host{};
    messages().clear();
    host.log = [](int32_t, fathom_str, fathom_str text) { messages().push_back(to_string(text)); };
    host_slot() = &host;
  }
  // What was said to the program's log since the test began.
  static std::vector<std::string>& messages() {
    static std::vector<std::string> all;
    return all;
  }
  template <typename L>
  std::unique_ptr<L> make_logger(const Json& config = Json::object()) {
    const auto options = parse_options<typename L::Options>(config, "logger");
    const Json context = {{"save_dir", folder_.string()}, {"name", "default"}, {"version", "v7"}};
    if constexpr (std::is_constructible_v<L, const typename L::Options&, const Json&>)
      return std::make_unique<L>(options, context);
    else
      return std::make_unique<L>(options);
  }
  static void log_row(Logger& logger, int64_t step, const std::vector<std::pair<const char*, double>>& values) {
    std::vector<Metric> metrics;
    for (const auto& [name, value] : values) metrics.push_back({name, value});
    logger.log_metrics(metrics, step);
  }
};

}  // namespace fathom::loggers
