// The recorded checkpoint files of ../shared, through the suites of the conformance runner. Skips where they are not
// here.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/conformance/suite.h"

namespace fathom::checkpoint {
namespace {

namespace fs = std::filesystem;
using conformance::Case;

const fs::path kGolden = fs::path(FATHOM_SOURCE_DIR).parent_path() / "shared" / "golden";

std::vector<conformance::Suite> suites() {
  std::vector<conformance::Suite> out;
  conformance::add_checkpoint_suites(out);
  return out;
}

void run(const conformance::Suite& suite, const Case& c) {
  const conformance::Outcome outcome = suite.run(c);
  EXPECT_TRUE(outcome.passed) << c.id << ": " << outcome.detail;
}

TEST(CheckpointGolden, RecordedCheckpoints) {
  if (!fs::exists(kGolden / "lightning_ckpt")) GTEST_SKIP() << "no recordings at " << kGolden;
  size_t count = 0;
  for (const char* name : {"plain", "lightning", "hostile"}) {
    std::ifstream lines(kGolden / "lightning_ckpt" / (std::string(name) + ".jsonl"));
    for (std::string line; std::getline(lines, line); ++count) {
      const auto body = nlohmann::json::parse(line);
      run(suites().at(0),
          {body.at("id"), std::string("lightning_ckpt/") + name, (kGolden / "lightning_ckpt").string(), body, line});
    }
  }
  EXPECT_GT(count, 50u);
}

TEST(CheckpointGolden, RecordedArchives) {
  if (!fs::exists(kGolden / "nemo_models" / "archives")) GTEST_SKIP() << "no recordings at " << kGolden;
  for (const auto& entry : fs::directory_iterator(kGolden / "nemo_models" / "archives")) {
    std::ifstream meta(entry.path() / "meta.json");
    run(suites().at(1),
        {entry.path().filename(), "nemo_models/archives", entry.path().string(), nlohmann::json::parse(meta), ""});
  }
}

}  // namespace
}  // namespace fathom::checkpoint
