#include "core/base/log.h"

#include <gmock/gmock.h>

#include <filesystem>

namespace fathom {
namespace {

using ::testing::HasSubstr;

TEST(Log, AFullDiskIsToldOnceAndEndsNothing) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "/dev/full is not here";
  set_log_file("/dev/full");
  testing::internal::CaptureStderr();
  log_warning("test", "{}", "first");
  log_warning("test", "{}", "second");
  set_log_file("");
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_THAT(told, HasSubstr("first"));
  EXPECT_THAT(told, HasSubstr("second"));
  const size_t once = told.find("do not reach the log file");
  ASSERT_NE(once, std::string::npos) << told;
  EXPECT_THAT(told, HasSubstr("No space left"));
  EXPECT_EQ(told.find("do not reach the log file", once + 1), std::string::npos) << told;
}

}  // namespace
}  // namespace fathom
