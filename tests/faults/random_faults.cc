// random_faults [RUNS] [SECONDS] [SEED]: trainings that fail at random points, one after another, until each is
// through; then compared with one that was left alone. Ends with status 1 at the first difference, and keeps its
// folder.
#include <cstdio>
#include <map>
#include <random>

#include "tests/faults/fault_run.h"

namespace fathom::faults {
namespace {

int main_impl(int runs, double seconds, unsigned seed) {
  const std::string folder = fs::temp_directory_path() / ("fathom_faults_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  write_config(folder);
  std::mt19937 random(seed);
  const auto among = [&](const std::vector<std::string>& words) { return words[random() % words.size()]; };
  const auto started = std::chrono::steady_clock::now();
  std::map<std::string, Outcome> whole;
  std::map<int, int> statuses;
  int done = 0, faults = 0;
  for (; done < runs; ++done) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() > seconds) break;
    Setting setting;
    setting.accumulate = std::stoi(among({"1", "2", "4", "5"}));
    setting.val_check_interval = among({"1.0", "0.5", "0.25", "1", "5", "7"});
    setting.workers = std::stoi(among({"0", "1", "2"}));
    setting.safety = random() % 2 == 0;
    // Whoever loads the data and whether safety checkpoints are written changes nothing.
    const std::string key = std::to_string(setting.accumulate) + " " + setting.val_check_interval;
    if (whole.count(key) == 0) {
      const auto result = e2e::run(words(folder, "whole", setting));
      if (result.status != 0) {
        std::fprintf(stderr, "%s\n%s\n", setting.name().c_str(), result.err.c_str());
        return 1;
      }
      whole[key] = outcome_of(folder + "/whole");
      fs::remove_all(folder + "/whole");
    }
    std::string told;
    int status = -1;
    for (int times = 0; status != 0; ++times) {
      std::vector<std::string> environment;
      if (times < 4) {
        const std::string fault = among({"kill", "kill", "term", "throw", "full", "torn"}) + " " +
                                  among({"any", "any", "save"}) + " " + std::to_string(1 + random() % 60);
        environment.push_back("FATHOM_FAULT=" + fault);
        told += fault + "; ";
        ++faults;
      }
      const auto result = e2e::run(words(folder, "run", setting), environment);
      status = result.status;
      ++statuses[status];
      const bool asked = status < 128 || status == 128 + SIGKILL || status == 128 + SIGXFSZ;
      if (!asked || (times > 4 && status != 0)) {
        std::fprintf(stderr, "%s: %s ends with %d, which nobody asked for\n%s\n", setting.name().c_str(), told.c_str(),
                     status, result.err.c_str());
        return 1;
      }
    }
    const std::string problem = difference(whole[key], outcome_of(folder + "/run"));
    if (!problem.empty()) {
      std::fprintf(stderr, "%s: after %s%s\nkept: %s\n", setting.name().c_str(), told.c_str(), problem.c_str(),
                   folder.c_str());
      return 1;
    }
    fs::remove_all(folder + "/run");
  }
  fs::remove_all(folder);
  std::printf("%d runs with %d faults in %.0f s (seed %u): the same bits each time. Ended with", done, faults,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(), seed);
  for (const auto& [status, times] : statuses) std::printf(" %d: %d times;", status, times);
  std::printf("\n");
  return 0;
}

}  // namespace
}  // namespace fathom::faults

int main(int argc, char** argv) {
  return fathom::faults::main_impl(argc > 1 ? std::atoi(argv[1]) : 50, argc > 2 ? std::atof(argv[2]) : 600,
                                   argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : std::random_device()());
}
