#include "plugins/lib/audio/manifest_line.h"

#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "fathom/error.h"
#include "plugins/lib/recorded_test_data.h"

namespace fathom::audio {
namespace {

// What the parser says of a line; nothing where it refuses it.
std::optional<ManifestEntry> parsed(const std::string& line) {
  try {
    return parse_manifest_line(line, "m.json", 1, false);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// The scan must give what the parser gives, or nothing. Returns whether it gave something.
bool scan_agrees(const std::string& line) {
  const auto scanned = scan_manifest_line(line);
  if (!scanned) return false;
  const auto entry = parsed(line);
  EXPECT_TRUE(entry) << "accepted by the scan alone: " << line;
  if (!entry) return true;
  EXPECT_EQ(std::bit_cast<uint64_t>(scanned->duration), std::bit_cast<uint64_t>(entry->duration)) << line;
  EXPECT_EQ(scanned->text, entry->text) << line;
  EXPECT_EQ(scanned->label, entry->label) << line;
  return true;
}

TEST(ManifestLine, TheDigitsNeedNoParser) {
  std::ifstream in(test_data::digits("train.json"));
  int64_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines) EXPECT_TRUE(scan_agrees(line)) << line;
  EXPECT_EQ(lines, 2000);
}

TEST(ManifestLine, PlainLinesAreScanned) {
  for (const char* line :
       {R"({"audio_filepath": "a.wav", "duration": 1.5, "text": "one two three four"})",
        R"({"audio_filepath":"a.wav","duration":12,"text":""})",
        R"( { "audio_filename" : "a.wav" , "duration" : 0.10 , "normalized_text" : "n" } )",
        R"({"text": "t", "audio_filepath": "a", "text_filepath": "unread.txt", "duration": 14.084999999999999})",
        R"({"audio_filepath": "ä.wav", "duration": 0, "text": "für 日本", "snr": -3.25, "ok": true, "none": null})",
        R"({"label": "l", "audio_filepath": "a", "command": "go", "target": "t"})",
        R"({"audio_filepath": "a", "normalized_text": "n", "text": "t", "offset": 3, "speaker": "s", "lang": "en"})"})
    EXPECT_TRUE(scan_agrees(line)) << line;
}

TEST(ManifestLine, KnowsTheKeysOfALabel) {
  const auto label = [](const std::string& rest) { return parsed(R"({"audio_filepath": "a")" + rest + "}")->label; };
  EXPECT_EQ(label(R"(, "label": "l", "target": "t", "command": "c")"), "c");
  EXPECT_EQ(label(R"(, "label": "l", "target": "t")"), "t");
  EXPECT_EQ(label(R"(, "label": "l")"), "l");
  EXPECT_EQ(label(R"(, "text": "x")"), std::nullopt);
  EXPECT_EQ(label(R"(, "label": "l", "command": 1)"), std::nullopt) << "the first key counts";
}

// Whatever is out of the ordinary is the parser's, whether it takes it or not.
TEST(ManifestLine, KeepsWhatOtherKeysSay) {
  const ManifestEntry entry = parse_manifest_line(
      R"({"audio_filepath": "a.wav", "lang": "en", "pnc": "no", "itn": true, "speed": 2, "gain": 0.5, "tags": ["x"], "pnc": "yes", "none": null})",
      "m.json", 1, false);
  const std::map<std::string, std::string, std::less<>> expected = {{"itn", "true"}, {"pnc", "yes"}, {"speed", "2"}};
  EXPECT_EQ(entry.extras, expected) << "texts, truth values and whole numbers of keys without a place of their own";
}

TEST(ManifestLine, TheRestIsLeftToTheParser) {
  for (const std::string& line : {std::string(R"({"audio_filepath": "a\"b", "duration": 1})"),
                                  std::string(R"({"audio_filepath": "a", "duration": 1e2})"),
                                  std::string(R"({"audio_filepath": "a", "duration": -1})"),
                                  std::string(R"({"audio_filepath": "a", "duration": 01})"),
                                  std::string(R"({"audio_filepath": "a", "duration": 1.})"),
                                  std::string(R"({"audio_filepath": "a", "duration": .5})"),
                                  std::string(R"({"audio_filepath": "a", "duration": "1"})"),
                                  std::string(R"({"audio_filepath": "a", "text": 1})"),
                                  std::string(R"({"audio_filepath": "a", "duration": 1, "duration": 2})"),
                                  std::string(R"({"audio_filepath": ""})"),
                                  std::string(R"({"audio_filepath": null, "audio_filename": "b"})"),
                                  std::string(R"({"duration": 1})"),
                                  std::string(R"({"audio_filepath": "a", "text_filepath": "t.txt"})"),
                                  std::string(R"({"audio_filepath": "a"} x)"),
                                  std::string(R"({"audio_filepath": "a",})"),
                                  std::string(R"({"audio_filepath": "a" "duration": 1})"),
                                  std::string(R"({"audio_filepath": "a", "more": [1]})"),
                                  std::string(R"({"audio_filepath": "a", "more": nul})"),
                                  std::string("{\"audio_filepath\": \"a\xff\"}"),
                                  std::string("{\"audio_filepath\": \"a\tb\"}"),
                                  std::string(R"({"audio_filepath": "a", "n": 123456789012345678901234567890})"),
                                  std::string("[1]"),
                                  std::string("{"),
                                  std::string(R"({"audio_filepath": "a)"),
                                  std::string()})
    EXPECT_FALSE(scan_manifest_line(line)) << line;
}

// Lines put together at random, then damaged at random.
TEST(ManifestLine, TheScanAgreesWithTheParserOnRandomLines) {
  std::mt19937_64 random(2024);
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  const auto pick = [&](const std::vector<std::string>& from) { return from[below(from.size())]; };
  const auto digits = [&](size_t most) {
    std::string out;
    for (size_t i = 0, count = 1 + below(most); i < count; ++i) out += static_cast<char>('0' + below(10));
    return out;
  };
  const std::vector<std::string> keys = {
      "audio_filepath",   "audio_filename", "duration", "offset",         "text",  "normalized_text", "speaker", "lang",
      "orig_sample_rate", "text_filepath",  "other",    "dur\\u0061tion", "label", "command",         "target"};
  const std::vector<std::string> words = {"one", " ", "zwölf", "日本語", "'", "a longer word", "\x7f", "/"},
                                 escapes = {"\\n", "\\u00e9", "\\\"", "\\ud800", "\\", "\t"};
  const std::vector<std::string> odd = {"null", "true", "false", "[]", "{}",  "[1, \"a\"]",
                                        "1e3",  "-0",   "-1.5",  "00", "nan", ""};
  const std::vector<std::string> spaces = {"", "", " ", "  ", "\t", "\r"};
  const auto text = [&] {
    std::string out;
    for (size_t i = below(6); i > 0; --i) out += pick(below(24) == 0 ? escapes : words);
    return '"' + out + '"';
  };
  const auto number = [&] {
    return digits(below(4) == 0 ? 22 : 4) + (below(3) == 0 ? "" : "." + digits(below(4) == 0 ? 20 : 6));
  };
  int64_t scanned = 0, refused = 0;
  constexpr int64_t kLines = 200000;
  for (int64_t i = 0; i < kLines; ++i) {
    std::string line = pick(spaces) + "{";
    const size_t count = below(12) == 0 ? 0 : 1 + below(5);
    std::vector<bool> used(keys.size());
    for (size_t k = 0; k < count; ++k) {
      size_t key = k == 0 && below(8) != 0 ? 0 : below(keys.size());
      while (used[key] && below(12) != 0) key = below(keys.size());
      used[key] = true;
      const bool numeric = key == 2 || key == 3 || key == 8;
      const std::string value = below(16) == 0 ? pick(odd) : numeric == (below(16) != 0) ? number() : text();
      line += (k > 0 ? "," : "") + pick(spaces) + '"' + keys[key] + '"' + pick(spaces) + ':' + pick(spaces) + value +
              pick(spaces);
    }
    line += "}" + pick(spaces);
    if (below(4) == 0) {
      const size_t at = below(line.size());
      switch (below(3)) {
        case 0: line[at] = static_cast<char>(below(256)); break;
        case 1: line.erase(at, 1 + below(3)); break;
        default: line.insert(at, 1, "\"{}[]:,\\ 0.\xc3"[below(12)]);
      }
    }
    scanned += scan_agrees(line) ? 1 : 0;
    refused += parsed(line) ? 0 : 1;
    if (HasFailure()) return;
  }
  EXPECT_GT(scanned, kLines / 10);
  EXPECT_GT(refused, kLines / 10);
}

TEST(ManifestLine, NumbersAreTheParsersToTheBit) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 100000; ++i) {
    // As Python writes the quotient of two numbers: up to 17 digits.
    char number[40];
    std::snprintf(number, sizeof(number), "%.*g", 1 + static_cast<int>(random() % 17),
                  static_cast<double>(random() % 100000000) / static_cast<double>(1 + random() % 48000));
    const std::string line = std::string(R"({"audio_filepath": "a", "duration": )") + number + "}";
    const bool plain = scan_agrees(line);
    EXPECT_TRUE(plain || line.find('e') != std::string::npos) << line;
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace fathom::audio
