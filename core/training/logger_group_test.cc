#include "core/training/logger_group.h"

#include <gmock/gmock.h>

#include <fstream>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/plugins/host_table.h"
#include "tests/support/folder_test.h"

namespace fathom::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Keeps what it is told; fails at the call named by `fails_at`.
class NotingLogger final : public Logger, public Stateful {
 public:
  struct Options {
    std::string fails_at;
    static void describe(OptionSet<Options>& o) { o("fails_at", &Options::fails_at, ""); }
  };
  explicit NotingLogger(const Options& options) : options_(options) {}
  void log_metrics(std::span<const Metric> metrics, int64_t step) override {
    note("metrics " + std::string(metrics[0].name) + "@" + std::to_string(step));
  }
  void log_hyperparams(const Json&) override { note("hyperparams"); }
  void log_text(std::string_view, std::string_view, int64_t) override { note("text"); }
  void log_histogram(std::string_view, std::span<const float> values, int64_t) override {
    note("histogram " + std::to_string(values.size()));
  }
  void log_audio(std::string_view, const Audio& a, int64_t) override { note("audio " + std::to_string(a.channels)); }
  void log_image(std::string_view, const Image& i, int64_t) override { note("image " + std::to_string(i.height)); }
  void save() override { note("save"); }
  void finalize(std::string_view status) override { note("finalize " + std::string(status)); }
  Json save_state() const override {
    note("save_state");
    return {{"calls", calls().size()}};
  }
  void load_state(const Json& state) override { note("load_state " + json_text(state)); }

  static std::vector<std::string>& calls() {
    static std::vector<std::string> all;
    return all;
  }

 private:
  void note(const std::string& call) const {
    if (call.substr(0, call.find(' ')) == options_.fails_at)
      throw Error(Code::kIo, "the disk is full").at("/some/file");
    calls().push_back(call);
  }
  Options options_;
};

// A logger with nothing but its mandatory function.
const fathom_logger_v1& least_table() {
  static const fathom_logger_v1 table = [] {
    fathom_logger_v1 t{};
    t.struct_size = offsetof(fathom_logger_v1, log_metrics) + sizeof(void*);
    t.log_metrics = [](void*, const fathom_metric_values*, int64_t) -> fathom_status {
      NotingLogger::calls().push_back("least metrics");
      return FATHOM_OK;
    };
    return t;
  }();
  return table;
}

class LoggerGroupTest : public FolderTest {
 protected:
  void SetUp() override {
    host_slot() = plugins::host_table();
    NotingLogger::calls().clear();
    set_log_file((folder_ / "log.txt").string());
  }
  void TearDown() override { set_log_file(""); }

  static LoggerHandle noting(const std::string& name, const std::string& fails_at = "") {
    using Kind = NotingLogger::ComponentKind;
    auto* kept = new std::string(name);  // descriptors live for ever
    auto* component = new fathom_component{};
    component->struct_size = sizeof(fathom_component);
    component->kind = Kind::kind;
    component->name = to_abi(*kept);
    component->create = &Kind::create<NotingLogger>;
    component->destroy = &Kind::destroy;
    component->vtable = Kind::vtable();
    component->query = &Kind::query<NotingLogger>;
    const std::string config = json_text(Json{{"fails_at", fails_at}});
    const fathom_create_args args = {sizeof(args), to_abi(config), {}, {}, component->name, {}};
    void* self = nullptr;
    check(component->create(&args, &self));
    return LoggerHandle(fathom_object{component, self});
  }
  static LoggerHandle least() {
    auto* component = new fathom_component{};
    component->struct_size = sizeof(fathom_component);
    component->kind = FATHOM_KIND_LOGGER;
    component->name = to_abi("least");
    component->destroy = [](void*) {};
    component->vtable = &least_table();
    return LoggerHandle(fathom_object{component, nullptr});
  }
  static void log_one(LoggerGroup& group, int64_t step) {
    const fathom_metric_value value = {to_abi("loss"), 1};
    group.log_metrics({&value, 1}, step);
  }
  static void log_media(LoggerGroup& group) {
    const float numbers[] = {0, 1, 2, 3, 4, 5};
    const int64_t shape[] = {2, 3};
    const fathom_float_array array = {sizeof(array), numbers, shape, 2};
    group.log_text("t", "text", 0);
    group.log_histogram("h", array, 0);
    group.log_audio("a", array, 8000, 0);
    group.log_image("i", array, 0);
  }
  size_t warnings() const {
    const std::string text = read_file((folder_ / "log.txt").string());
    size_t count = 0;
    for (size_t at = 0; (at = text.find("the run goes on without it", at)) != std::string::npos; ++at) ++count;
    return count;
  }
};

TEST_F(LoggerGroupTest, EveryCallReachesEveryLogger) {
  LoggerGroup group;
  group.add(noting("one"));
  group.add(least());
  group.log_hyperparams(Json::object());
  log_one(group, 3);
  log_media(group);
  group.save();
  group.finalize("success");
  EXPECT_THAT(NotingLogger::calls(), ElementsAre("hyperparams", "metrics loss@3", "least metrics", "text",
                                                 "histogram 6", "audio 2", "image 2", "save", "finalize success"));
  EXPECT_EQ(group.size(), 2u);
  EXPECT_EQ(warnings(), 0u);
}

TEST_F(LoggerGroupTest, OneThatFailsIsToldOnceAndLeftOut) {
  for (const char* call : {"metrics", "hyperparams", "text", "histogram", "audio", "image", "save", "finalize",
                           "save_state", "load_state"}) {
    set_log_file((folder_ / "log.txt").string());
    std::ofstream((folder_ / "log.txt").string(), std::ios::trunc).close();
    NotingLogger::calls().clear();
    LoggerGroup group;
    group.add(noting("bad", call));
    group.add(noting("good"));
    for (int i = 0; i < 3; ++i) {
      group.load_state({{{"name", "bad"}, {"state", 1}}, {{"name", "good"}, {"state", 1}}});
      group.log_hyperparams(Json::object());
      log_one(group, 0);
      log_media(group);
      group.save();
      group.save_state();
      group.finalize("failed");
    }
    EXPECT_EQ(group.size(), 1u) << call;
    EXPECT_EQ(warnings(), 1u) << call;
    const std::string log = read_file((folder_ / "log.txt").string());
    EXPECT_THAT(log, HasSubstr("bad failed to ")) << call;
    EXPECT_THAT(log, HasSubstr("the disk is full")) << call;
    EXPECT_THAT(log, HasSubstr("/some/file")) << call;
    size_t good = 0;
    for (const auto& done : NotingLogger::calls()) good += done.substr(0, done.find(' ')) == call;
    EXPECT_EQ(good, 3u) << call << ": the other one goes on";
  }
}

TEST_F(LoggerGroupTest, StatesGoByNameAndOneThatWasLeftOutKeepsItsLast) {
  LoggerGroup group;
  group.add(noting("bad", "metrics"));
  group.add(noting("good"));
  EXPECT_EQ(group.save_state(),
            (Json{{{"name", "bad"}, {"state", {{"calls", 1}}}}, {{"name", "good"}, {"state", {{"calls", 2}}}}}));
  log_one(group, 0);
  EXPECT_EQ(group.save_state(),
            (Json{{{"name", "bad"}, {"state", {{"calls", 1}}}}, {{"name", "good"}, {"state", {{"calls", 4}}}}}));

  // The config has another order, a second logger of one name and one that is new.
  LoggerGroup resumed;
  for (const char* name : {"new", "b", "a", "b"}) resumed.add(noting(name));
  resumed.add(least());
  NotingLogger::calls().clear();
  resumed.load_state({{{"name", "a"}, {"state", 1}}, {{"name", "b"}, {"state", 2}}, {{"name", "b"}, {"state", 3}}});
  EXPECT_THAT(NotingLogger::calls(), ElementsAre("load_state 2", "load_state 1", "load_state 3"));
  const std::string log = read_file((folder_ / "log.txt").string());
  EXPECT_THAT(log, HasSubstr("no state of logger new"));
  EXPECT_EQ(log.find("no state of logger least"), std::string::npos);
  resumed.load_state({{{"name", "a"}, {"state", nullptr}}});  // it was left out before its first state
  EXPECT_THAT(read_file((folder_ / "log.txt").string()), HasSubstr("no state of logger a;"));
  EXPECT_EQ(resumed.size(), 5u);
}

TEST_F(LoggerGroupTest, WhatIsNoAudioIsItsAuthorsError) {
  const float numbers[] = {0, 1};
  const int64_t flat[] = {2}, cube[] = {1, 1, 2}, none[] = {0, 2};
  const auto array = [&](std::span<const int64_t> shape) {
    const fathom_float_array given = {sizeof(given), numbers, shape.data(), shape.size()};
    return float_array(&given);
  };
  EXPECT_EQ(audio_of(array(flat), 8000).frames, 2);
  EXPECT_THROW(audio_of(array(cube), 8000), Error);
  EXPECT_THROW(audio_of(array(flat), 0), Error);
  EXPECT_THROW(image_of(array(flat)), Error);
  EXPECT_EQ(image_of(array(cube)).width, 2);
  EXPECT_THROW(array(none), Error);
  const int64_t five[] = {5, 1, 1};
  EXPECT_THROW(image_of({numbers, five}), Error);
}

}  // namespace
}  // namespace fathom::training
