#include "plugins/loggers/console_logger.h"

#include <gmock/gmock.h>

#include <cmath>

#include "plugins/loggers/logger_test.h"

namespace fathom::loggers {
namespace {

using ::testing::ElementsAre;

class ConsoleLoggerTest : public LoggerTest {};

TEST_F(ConsoleLoggerTest, ARowIsALine) {
  const auto logger = make_logger<ConsoleLogger>();
  log_row(*logger, 12, {{"train_loss", 0.123456789}, {"epoch", 0}});
  log_row(*logger, 13, {{"a b", std::nan("")}, {"c", 1e30}});
  logger->log_text("note", "hello", 14);
  EXPECT_THAT(messages(),
              ElementsAre("step 12: train_loss=0.123457 epoch=0", "step 13: a b=nan c=1e+30", "step 14: note: hello"));
}

TEST_F(ConsoleLoggerTest, APrefixStandsBeforeMetricsOnly) {
  const auto logger = make_logger<ConsoleLogger>({{"prefix", "run"}});
  log_row(*logger, 0, {{"loss", 1}, {"epoch", 2}});
  EXPECT_THAT(messages(), ElementsAre("step 0: run-loss=1 epoch=2"));
}

}  // namespace
}  // namespace fathom::loggers
