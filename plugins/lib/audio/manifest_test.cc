#include "plugins/lib/audio/manifest.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "fathom/error.h"
#include "plugins/lib/recorded_test_data.h"

namespace fathom::audio {
namespace {

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() : folder_(::testing::TempDir() + "/manifest_test_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~ManifestTest() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
    return folder_ + "/" + name;
  }
  // The error of reading `content`.
  std::string error_of(const std::string& content) const {
    try {
      read_manifests({write("m.json", content)});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  std::string folder_;
};

TEST_F(ManifestTest, ReadsTheDigits) {
  const auto entries = read_manifests({test_data::digits("test.json"), test_data::digits("validation.json")});
  ASSERT_EQ(entries.size(), 500u);
  EXPECT_EQ(entries[0].text, "zero");
  EXPECT_DOUBLE_EQ(entries[0].duration, 0.298);
  EXPECT_EQ(entries[0].named_as, "flac/0_george_0.flac");
  EXPECT_TRUE(std::filesystem::exists(entries[0].audio_file));
  EXPECT_EQ(entries[251].line, 2);
  EXPECT_EQ(entries[251].where(), test_data::digits("validation.json") + ":2");
}

TEST_F(ManifestTest, KnowsNemosKeys) {
  write("words.txt", "from a file");
  const auto entries = read_manifests(
      {write("m.json",
             "{\"audio_filename\": \"a.wav\", \"duration\": 1, \"text_filepath\": \"words.txt\"}\n\n"
             "{\"audio_filepath\": \"/b.wav\", \"duration\": 2.5, \"normalized_text\": \"n\", \"offset\": 0.5, "
             "\"speaker\": \"s\", \"orig_sample_rate\": 16000, \"other\": [1]}\r\n"
             "{\"audio_filepath\": \"c.wav\", \"duration\": 3}")});
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].text, "from a file");
  EXPECT_EQ(entries[0].audio_file, folder_ + "/a.wav");
  EXPECT_EQ(entries[1].text, "n");
  EXPECT_EQ(entries[1].audio_file, "/b.wav");
  EXPECT_DOUBLE_EQ(entries[1].offset, 0.5);
  EXPECT_EQ(entries[1].orig_sample_rate, 16000);
  EXPECT_EQ(entries[1].line, 3);
  EXPECT_FALSE(entries[2].has_text);
}

TEST_F(ManifestTest, ErrorsNameFileAndLine) {
  const std::string good = "{\"audio_filepath\": \"a.wav\", \"duration\": 1}\n";
  for (const auto& [line, word] : std::vector<std::pair<std::string, std::string>>{
           {"{\"audio_filepath\": \"a.wav\", \"duration\": 1", "not a JSON object"},
           {"[1, 2]", "not a JSON object"},
           {"{\"duration\": 1}", "audio_filepath"},
           {"{\"audio_filepath\": \"a.wav\"}", "duration"},
           {"{\"audio_filepath\": \"a.wav\", \"duration\": \"long\"}", "wrong type"},
           {"{\"audio_filepath\": \"a.wav\", \"duration\": -1}", "negative"},
           {"{\"audio_filepath\": \"a.wav\", \"duration\": 1, \"text\": 5}", "wrong type"},
           {"{\"audio_filepath\": \"a.wav\", \"duration\": 1, \"text_filepath\": \"no.txt\"}", "no.txt"}}) {
    const std::string error = error_of(good + line + "\n");
    EXPECT_NE(error.find("m.json:2"), std::string::npos) << line << "\n" << error;
    EXPECT_NE(error.find(word), std::string::npos) << line << "\n" << error;
  }
  EXPECT_NE(error_of("\n \n").find("no entries"), std::string::npos);
  EXPECT_THROW(read_manifests({folder_ + "/none.json"}), Error);
  EXPECT_THROW(read_manifests({folder_}), Error);
}

TEST_F(ManifestTest, FiltersByDurationAndCounts) {
  auto entries = read_manifests({test_data::digits("test.json")});
  const size_t all = entries.size();
  const Dropped dropped = filter_by_duration(entries, 0.3, 0.5);
  EXPECT_GT(dropped.count, 0);
  EXPECT_EQ(entries.size() + dropped.count, all);
  for (const auto& entry : entries) EXPECT_TRUE(entry.duration >= 0.3 && entry.duration <= 0.5);
}

TEST_F(ManifestTest, SplitsPathsAtCommas) {
  EXPECT_EQ(split_manifest_paths(" a.json, b c.json ,"), (std::vector<std::string>{"a.json", "b c.json"}));
}

}  // namespace
}  // namespace fathom::audio
