// Optimizers and schedules against the real torch.optim on options drawn at random: cases nobody recorded. Skipped
// where FATHOM_PYTHON (default python3) has no torch. FATHOM_SEED draws others.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/e2e/process.h"

namespace fathom::e2e {
namespace {

std::string value_or(const char* variable, const std::string& otherwise) {
  const char* given = std::getenv(variable);
  return given != nullptr && *given != '\0' ? given : otherwise;
}

TEST(PythonFreshCases, AreMetAsTheRecordedOnesAre) {
  const std::string python = value_or("FATHOM_PYTHON", "python3"), seed = value_or("FATHOM_SEED", "1");
  if (run({python, "-c", "import torch"}).status != 0)
    GTEST_SKIP() << python << " has no torch; set FATHOM_PYTHON to one that has";
  const std::string folder = testing::TempDir() + "fathom_fresh_cases";
  std::filesystem::remove_all(folder);
  const Result written = run({python, FATHOM_SOURCE_DIR "/tests/e2e/fresh_optim_cases.py", seed, folder, "12"});
  ASSERT_EQ(written.status, 0) << written.err;
  for (const char* suite : {"optimizers", "schedulers"}) {
    const Result result = run({FATHOM_BINARY_DIR "/bin/fathom-conformance", suite, folder + "/" + suite});
    EXPECT_EQ(result.status, 0) << result.out << result.err;
    EXPECT_NE(result.out.find(" passed, 0 failed"), std::string::npos) << result.out;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fathom::e2e
