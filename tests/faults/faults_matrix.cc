// Every kind of end, at every kind of place: the same command again gives the bits of the run that was left alone.
#include <gtest/gtest.h>

#include <map>
#include <span>

#include "tests/faults/fault_run.h"

namespace fathom::faults {
namespace {

class Faults : public testing::TestWithParam<Setting> {
 protected:
  static std::string folder() { return testing::TempDir() + "fathom_faults_" + std::to_string(::getpid()); }
  void SetUp() override {
    fs::remove_all(folder());
    fs::create_directories(folder());
    write_config(folder());
  }
  void TearDown() override {
    if (!HasFailure()) fs::remove_all(folder());
  }
};

struct Place {
  const char* name;
  const char* event;  // FATHOM_FAULT's event and its count
};

constexpr Place kPlaces[] = {{"in mid-epoch", "train_batch_end 17"},
                             {"during validation", "validation_batch_end 6"},
                             {"when a checkpoint's content is put together", "save 3"},
                             {"at the end of an epoch", "train_epoch_end 2"},
                             // Tried where the setting asks for all places.
                             {"before an optimizer step", "before_step 5"},
                             {"at the end of training", "train_end 1"}};
constexpr size_t kPlacesAlways = 4;

TEST_P(Faults, TheSameCommandAgainGivesTheSameBits) {
  const auto run_it = [&](const std::string& run, const std::string& fault) {
    return e2e::run(words(folder(), run, GetParam()),
                    fault.empty() ? std::vector<std::string>() : std::vector<std::string>{"FATHOM_FAULT=" + fault});
  };
  const auto whole_run = run_it("whole", "");
  ASSERT_EQ(whole_run.status, 0) << whole_run.err;
  const Outcome whole = outcome_of(folder() + "/whole");
  // The status each kind ends with.
  const std::map<std::string, std::vector<int>> kinds = {
      {"kill", {128 + SIGKILL}}, {"term", {75}}, {"throw", {1, 70}}, {"full", {1, 73, 74}}, {"torn", {128 + SIGXFSZ}}};
  int number = 0;
  for (const auto& [kind, statuses] : kinds) {
    for (const Place& place : std::span(kPlaces).first(GetParam().all_places ? std::size(kPlaces) : kPlacesAlways)) {
      SCOPED_TRACE(kind + " " + place.name);
      const std::string run = "run" + std::to_string(number++);
      const auto failed = run_it(run, kind + " " + place.event);
      // A request to stop that comes when training is over, and a disk that is full when all is written, stop nothing.
      const bool late = std::string(place.event).starts_with("train_end");
      if (!(late && failed.status == 0)) {
        EXPECT_NE(std::find(statuses.begin(), statuses.end(), failed.status), statuses.end()) << failed.status << "\n"
                                                                                              << failed.err;
      }
      const auto resumed = run_it(run, "");
      ASSERT_EQ(resumed.status, 0) << failed.err << "\n---\n" << resumed.err;
      EXPECT_EQ(difference(whole, outcome_of(folder() + "/" + run)), "") << failed.err << "\n---\n" << resumed.err;
      for (const auto& entry : fs::recursive_directory_iterator(folder() + "/" + run)) {
        const std::string name = entry.path().filename();
        EXPECT_EQ(name.find(".tmp."), std::string::npos) << name << " was left";
        EXPECT_FALSE(name.ends_with("-unfinished")) << name << " was left";
      }
      if (!HasFailure()) fs::remove_all(folder() + "/" + run);
    }
  }
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const int accumulate : {1, 4}) {
    for (const char* interval : {"1.0", "0.5", "5"}) all.push_back({accumulate, interval, 0, false, false});
  }
  all[0].all_places = true;
  all.push_back({4, "5", 2, true, true});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Settings, Faults, testing::ValuesIn(settings()), [](const auto& info) {
  const Setting& s = info.param;
  return "accumulate" + std::to_string(s.accumulate) + "_val" +
         (s.val_check_interval == "1.0"   ? "1_0"
          : s.val_check_interval == "0.5" ? "0_5"
                                          : s.val_check_interval) +
         "_workers" + std::to_string(s.workers) + (s.safety ? "_safety" : "");
});

}  // namespace
}  // namespace fathom::faults
