#include "plugins/lib/audio/python_json.h"

#include <gtest/gtest.h>

#include <fstream>

#include "plugins/lib/audio/manifest_line.h"
#include "tests/support/error_of.h"

namespace fathom::audio {
namespace {

TEST(PythonJson, WhatOnlyPythonTakesIsRewritten) {
  EXPECT_EQ(strict_json(R"({"a": NaN, "b": -Infinity, "c": Infinity})"),
            R"({"a": ["NaN"], "b": ["-Infinity"], "c": ["Infinity"]})");
  EXPECT_EQ(strict_json("[123456789012345678901234567890]"), "[123456789012345678901234567890e0]");
  EXPECT_EQ(strict_json("[-" + std::string(400, '9') + ", 1e999, 1e-999]"),
            "[-1.7976931348623157e308, 1.7976931348623157e308, 0.0]");
  EXPECT_EQ(strict_json(R"(["\ud83d", "\ude00x", "\ud83d\ude00", "\\ud83d", "\u00e4"])"),
            R"(["\ufffd", "\ufffdx", "\ud83d\ude00", "\\ud83d", "\u00e4"])");
}

TEST(PythonJson, TheRestStays) {
  for (const char* text : {R"({"NaN": "NaN and Infinity", "n": -12.5e-3, "m": 0, "q": "\"NaN"})", "nan", "-", "[1,",
                           "\"", "\"\\", "\"\\u12", "1.2.3", "{\"a\": 01}", ""})
    EXPECT_EQ(strict_json(text), text);
}

// Of keys that nobody reads, such values are nobody's business; where a number or a text is wanted, they are wrong.
TEST(PythonJson, ManifestLines) {
  const auto line = [](const std::string& extra) {
    return R"({"audio_filepath": "a.wav", "duration": 1.5, "text": "t", )" + extra + "}";
  };
  for (const char* extra : {R"("pred_wer": NaN)", R"("snr": Infinity)", R"("snr": [-Infinity, 1])",
                            R"("id": 123456789012345678901234567890)", R"("note": "\ud83d")"}) {
    const ManifestEntry entry = parse_manifest_line(line(extra), "m.json", 1, true);
    EXPECT_EQ(entry.text, "t") << extra;
    EXPECT_EQ(entry.duration, 1.5) << extra;
  }
  EXPECT_EQ(parse_manifest_line(line(R"("text": "\udc00b", "duration": 2)"), "m.json", 1, true).text,
            "\xef\xbf\xbd"
            "b");
  EXPECT_EQ(parse_manifest_line(line(R"("duration": 2)"), "m.json", 1, true).duration, 2) << "the last one counts";
  for (const char* wrong : {R"("duration": NaN)", R"("text": Infinity)", R"("offset": -Infinity)", R"("note": nan)",
                            R"("note": +Infinity)", R"("note": "\ud8")"}) {
    const std::string error = error_of([&] { parse_manifest_line(line(wrong), "m.json", 1, true); });
    EXPECT_NE(error.find("m.json:1"), std::string::npos) << wrong << ": " << error;
  }
}

}  // namespace
}  // namespace fathom::audio
