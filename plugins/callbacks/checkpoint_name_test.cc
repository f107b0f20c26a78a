#include "plugins/callbacks/checkpoint_name.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "fathom/support.h"
#include "plugins/callbacks/nemo_model_checkpoint.h"
#include "plugins/callbacks/time_span.h"

namespace fathom::callbacks {
namespace {

std::string number(double value, const char* spec) { return python_format({value, false}, spec); }
std::string integer(int64_t value, const char* spec) { return python_format({static_cast<double>(value), true}, spec); }

TEST(PythonFormat, Floats) {
  EXPECT_EQ(number(1.5, ""), "1.5");
  EXPECT_EQ(number(2, ""), "2.0");
  EXPECT_EQ(number(1e16, ""), "1e+16");
  EXPECT_EQ(number(1e-5, ""), "1e-05");
  EXPECT_EQ(number(1234567.891, ",.2f"), "1,234,567.89");
  EXPECT_EQ(number(-1.5, "08.2f"), "-0001.50");
  EXPECT_EQ(number(1.5, "+.1f"), "+1.5");
  EXPECT_EQ(number(1.5, "*^9.1f"), "***1.5***");
  EXPECT_EQ(number(1.5, "<6.1f"), "1.5   ");
  EXPECT_EQ(number(0.25, "%"), "25.000000%");
  EXPECT_EQ(number(1234.5, "g"), "1234.5");
  EXPECT_EQ(number(3.14159, ".3"), "3.14");
  EXPECT_EQ(number(3, ".3"), "3.0");
  EXPECT_EQ(number(123, ".3"), "1.23e+02");
  EXPECT_EQ(number(std::nan(""), ".2f"), "nan");
  EXPECT_EQ(number(-INFINITY, "7.1f"), "   -inf");
  EXPECT_EQ(number(-0.001, "z.1f"), "0.0");
  EXPECT_THROW(number(1, "d"), Error);
  EXPECT_THROW(number(1, ".f"), Error);
  EXPECT_THROW(number(1, "q"), Error);
}

TEST(PythonFormat, Integers) {
  EXPECT_EQ(integer(42, ""), "42");
  EXPECT_EQ(integer(42, "06d"), "000042");
  EXPECT_EQ(integer(-7, "04d"), "-007");
  EXPECT_EQ(integer(1234567, ","), "1,234,567");
  EXPECT_EQ(integer(255, "#x"), "0xff");
  EXPECT_EQ(integer(255, "_b"), "1111_1111");
  EXPECT_EQ(integer(3, ".2f"), "3.00");
  EXPECT_EQ(integer(3, "e"), "3.000000e+00");
  EXPECT_EQ(integer(1234, "010,"), "00,001,234");
  EXPECT_THROW(integer(3, ".2d"), Error);
}

TEST(CheckpointName, Rules) {
  const MetricValues m = {{"epoch", {3, true}}, {"step", {42, true}}, {"x", {0.5, false}}, {"x_long", {2, false}}};
  EXPECT_EQ(format_checkpoint_name("", m, true), "epoch=3-step=42");
  EXPECT_EQ(format_checkpoint_name("{x_long}-{x:.1f}", m, true), "x_long=2.0-x=0.5");
  EXPECT_EQ(format_checkpoint_name("{x_long}-{x:.1f}", m, false), "2.0-0.5");
  EXPECT_EQ(format_checkpoint_name("{gone:.2f}", m, true, "pre"), "pre-gone=0.00");
  EXPECT_EQ(format_checkpoint_name("plain", m, true), "plain");
  for (const char* bad : {"{", "}", "{}", "{{epoch}}", "{x[0]}", "{:.2f}", "{x:q}"}) {
    EXPECT_THROW(format_checkpoint_name(bad, m, true), Error) << bad;
  }
}

TEST(CheckpointName, Recorded) {
  const std::string path = std::string(FATHOM_SOURCE_DIR) + "/../shared/golden/checkpoint_names/name_format.jsonl";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << path << " is not there";
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    const Json c = parse_text(line);
    MetricValues metrics;
    for (const auto& [name, value] : c["metrics"].items()) {
      if (value.is_object())
        metrics[name] = {std::nan(""), false};
      else
        metrics[name] = {value.is_number_integer() ? value.get<double>() : static_cast<double>(value.get<float>()),
                         value.is_number_integer()};
    }
    const std::string filename = c["filename"].is_null() ? "" : c["filename"].get<std::string>();
    const auto format = [&] {
      return format_checkpoint_name(filename, metrics, c["auto_insert_metric_name"].get<bool>(),
                                    c["prefix"].get<std::string>());
    };
    if (c["expect"].contains("error"))
      EXPECT_THROW(format(), Error) << line;
    else
      EXPECT_EQ(format(), c["expect"]["result"].get<std::string>()) << line;
  }
  EXPECT_GT(cases, 50);
}

TEST(Marker, Names) {
  EXPECT_EQ(NeMoModelCheckpoint::marker_of("a/b.ckpt"), "a/b-unfinished");
  EXPECT_EQ(NeMoModelCheckpoint::marker_of("a/b-EMA.ckpt"), "a/b-unfinished");
  EXPECT_EQ(NeMoModelCheckpoint::marker_of("a/b.nemo"), "a/b-unfinished");
  EXPECT_EQ(NeMoModelCheckpoint::marker_of("a/b.ckpt.ckpt"), "a/b.ckpt-unfinished");
  EXPECT_EQ(NeMoModelCheckpoint::marker_of("a/b-EMA"), "a/b-unfinished");
}

TEST(TimeSpan, FormsAndRepr) {
  EXPECT_EQ(read_time_span("00:01:30:00", "t"), 5400);
  EXPECT_EQ(read_time_span("02:00", "t"), 120);
  EXPECT_EQ(read_time_span({{"_target_", "datetime.timedelta"}, {"minutes", 1.5}}, "t"), 90);
  EXPECT_THROW(read_time_span("soon", "t"), Error);
  EXPECT_THROW(read_time_span({{"minute", 1}}, "t"), Error);
  EXPECT_THROW(read_time_span(-1, "t"), Error);
  EXPECT_EQ(timedelta_repr(90061.5), "datetime.timedelta(days=1, seconds=3661, microseconds=500000)");
  EXPECT_EQ(timedelta_repr(0), "datetime.timedelta(0)");
}

}  // namespace
}  // namespace fathom::callbacks
