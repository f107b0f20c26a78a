// A training of a thousand epochs needs no more memory at its end than near its beginning.
#include <fstream>

#include "tests/e2e/toy_run.h"

namespace fathom::e2e {
namespace {

class Memory : public ToyRunTest {};

int64_t resident_bytes(pid_t pid) {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/statm") >> pages >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST_F(Memory, IsFlatOverAThousandEpochs) {
  constexpr int64_t kEpochs = 1000, kWarm = 200;
  // With both loggers, checkpoints (the best and the newest of each epoch) and a line of progress for every batch.
  Process process(toy("run", {"trainer.max_epochs=" + std::to_string(kEpochs),
                              "++trainer.callbacks=[{name: ProgressBar, plain_interval: 0.0}]"}));
  int64_t warm = 0, most = 0, samples = 0, epoch = 0;
  size_t seen = 0;
  const bool stopped = process.read(
      [&](const Result& result) {
        const size_t at = result.err.rfind("\nepoch ");
        if (at == std::string::npos || at + 20 > result.err.size() || at < seen) return false;
        seen = at + 1;
        epoch = std::stoll(result.err.substr(at + 7, 8));
        const int64_t now = resident_bytes(process.pid());
        if (epoch < kWarm || now == 0) return false;  // 0: it has just ended
        if (warm == 0) warm = now;
        most = std::max(most, now);
        ++samples;
        return false;
      },
      200);
  EXPECT_FALSE(stopped);
  const Result result = process.wait();
  ASSERT_EQ(result.status, 0) << result.err.substr(result.err.size() - std::min<size_t>(2000, result.err.size()));
  EXPECT_GE(epoch, kEpochs - 50) << "looked at until near the end";
  EXPECT_GE(samples, 100);
  const double growth = static_cast<double>(most - warm) / static_cast<double>(warm);
  std::printf("resident after %lld epochs %.1f MB, at most %.1f MB until %lld: %+.2f %%\n",
              static_cast<long long>(kWarm), static_cast<double>(warm) / 1e6, static_cast<double>(most) / 1e6,
              static_cast<long long>(kEpochs), growth * 100);
  EXPECT_LT(growth, 0.02);
}

}  // namespace
}  // namespace fathom::e2e
