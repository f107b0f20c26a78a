// fathom-conformance SUITE PATH… [--filter GLOB] [--strict] [--verbose] [--json]: runs recorded cases against the
// program's own code. Ends with "N passed, N failed"; exit status 1 if any failed, 2 for a wrong command line. Cases
// that need what no plugin has are skipped: listed by what they need in a line before that, and counted by themselves.
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "core/plugins/host_table.h"
#include "fathom/error.h"
#include "fathom/json.h"
#include "tests/conformance/case_reader.h"
#include "tests/conformance/deviations.h"
#include "tests/conformance/suites.h"

#ifndef FATHOM_DEVIATIONS
#define FATHOM_DEVIATIONS "tests/golden/deviations.yaml"
#endif

namespace fathom::conformance {
namespace {

constexpr const char* kUsage =
    "usage: fathom-conformance SUITE PATH... [--filter GLOB] [--strict] [--verbose] [--json]\n"
    "  SUITE     a folder of the recorded truth (config, typing) or a file or sub-folder of it (config/merge)\n"
    "  PATH      a .jsonl file, a folder with meta.json, or a folder of either\n"
    "  --filter  only cases whose id contains the text, or matches it as a glob with * and ?\n"
    "  --strict  a case that needs what is not there fails; without it, it is skipped\n"
    "  --verbose also the cases that pass\n"
    "  --json    one JSON object per case, and one with the totals\n";

struct Options {
  std::string suite, filter;
  std::vector<std::string> paths;
  bool strict = false, verbose = false, json = false;
};

bool parse(int argc, char** argv, Options* options) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--verbose") {
      options->verbose = true;
    } else if (word == "--strict") {
      options->strict = true;
    } else if (word == "--json") {
      options->json = true;
    } else if (word == "--filter" && i + 1 < argc) {
      options->filter = argv[++i];
    } else if (word.rfind("--filter=", 0) == 0) {
      options->filter = word.substr(std::strlen("--filter="));
    } else if (word.rfind("--", 0) == 0) {
      return false;
    } else if (options->suite.empty()) {
      options->suite = word;
    } else {
      options->paths.push_back(word);
    }
  }
  return !options->suite.empty() && !options->paths.empty();
}

struct Counts {
  size_t passed = 0, failed = 0, deviating = 0, skipped = 0;
};

class Runner {
 public:
  explicit Runner(Options options)
      : options_(std::move(options)), suites_(all_suites()), deviations_(read_deviations(FATHOM_DEVIATIONS)) {}

  int run() {
    for (const auto& path : options_.paths) {
      read_cases(options_.suite, path, [this](Case item) { run_case(item); });
    }
    report_totals();
    return total_.failed > 0 ? 1 : 0;
  }

 private:
  bool wanted(const Case& item) const {
    return options_.filter.empty() || item.id.find(options_.filter) != std::string::npos ||
           matches_glob(options_.filter, item.id);
  }

  Outcome outcome_of(const Case& item) const {
    const Suite* suite = find_suite(suites_, item.suite);
    if (suite == nullptr) return fail("no suite named '" + item.suite + "' is built into this runner");
    try {
      return suite->run(item);
    } catch (const std::exception& problem) {
      return fail(std::string("the case ended with an unexpected error: ") + problem.what());
    }
  }

  void run_case(const Case& item) {
    if (!wanted(item)) return;
    const Outcome outcome = outcome_of(item);
    const bool skipped = outcome.skipped && !options_.strict;
    const Deviation* deviation = outcome.passed || skipped ? nullptr : find_deviation(deviations_, item);
    std::string group = item.suite;
    if (const auto found = item.body.find("group"); found != item.body.end() && found->is_string()) {
      group += " " + found->get<std::string>();
    }
    Counts& counts = groups_[group];
    const char* result = "passed";
    if (outcome.passed) {
      ++counts.passed;
      ++total_.passed;
    } else if (skipped) {
      result = "skipped";
      ++counts.skipped;
      ++total_.skipped;
      skips_[outcome.detail].push_back(item.id);
    } else if (deviation != nullptr) {
      result = "deviating";
      ++counts.deviating;
      ++total_.deviating;
      reasons_[deviation->reason].push_back(item.id);
    } else {
      result = "failed";
      ++counts.failed;
      ++total_.failed;
    }
    if (options_.json) {
      nlohmann::ordered_json line = {{"id", item.id}, {"suite", item.suite}, {"result", result}};
      if (!outcome.detail.empty()) line["detail"] = outcome.detail;
      if (deviation != nullptr) line["reason"] = deviation->reason;
      std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    } else if (!outcome.passed && !skipped && deviation == nullptr) {
      std::cout << item.id << ": " << outcome.detail << "\n";
    } else if (options_.verbose) {
      std::cout << item.id << ": " << result << (outcome.detail.empty() ? std::string() : ", " + outcome.detail)
                << "\n";
    }
  }

  void report_totals() const {
    if (options_.json) {
      nlohmann::ordered_json total = {{"passed", total_.passed},
                                      {"failed", total_.failed},
                                      {"deviating", total_.deviating},
                                      {"skipped", total_.skipped}};
      for (const auto& [group, counts] : groups_) {
        total["groups"][group] = {{"passed", counts.passed},
                                  {"failed", counts.failed},
                                  {"deviating", counts.deviating},
                                  {"skipped", counts.skipped}};
      }
      std::cout << json_text(total) << "\n";
    } else {
      for (const auto& [group, counts] : groups_) {
        if (counts.failed == 0 && counts.deviating == 0 && !options_.verbose) continue;
        std::cout << group << ": " << counts.passed << " passed, " << counts.failed << " failed, " << counts.deviating
                  << " deviating\n";
      }
      for (const auto& [reason, ids] : reasons_) {
        std::cout << "deviating (" << ids.size() << "): " << reason << "\n";
        for (const auto& id : ids) std::cout << "  " << id << "\n";
      }
    }
    // In one line of its own, so that the last one keeps its form.
    if (total_.skipped > 0 && !options_.json) {
      std::cout << total_.skipped << " skipped";
      const char* separator = ": ";
      for (const auto& [need, ids] : skips_) {
        std::cout << separator << need << " (" << ids.size() << ")";
        separator = "; ";
      }
      std::cout << "\n";
    }
    std::cout << total_.passed << " passed, " << total_.failed << " failed\n";
  }

  Options options_;
  std::vector<Suite> suites_;
  std::vector<Deviation> deviations_;
  std::map<std::string, Counts> groups_;
  std::map<std::string, std::vector<std::string>> reasons_;  // ids by the deviation's reason
  std::map<std::string, std::vector<std::string>> skips_;    // ids by what they need
  Counts total_;
};

int main_impl(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, &options)) {
    std::cerr << kUsage;
    return 2;
  }
  try {
    return Runner(std::move(options)).run();
  } catch (const Error& problem) {
    std::cerr << "fathom-conformance: " << problem.what() << "\n";
    return static_cast<int>(problem.code());
  } catch (const std::exception& problem) {
    std::cerr << "fathom-conformance: " << problem.what() << "\n";
    return 1;
  }
}

}  // namespace
}  // namespace fathom::conformance

int main(int argc, char** argv) {
  // Objects of a collection are linked in, with hidden symbols: this program has a slot of its own.
  fathom::host_slot() = fathom::plugins::host_table();
  return fathom::conformance::main_impl(argc, argv);
}
