#include "plugins/lib/audio/manifest.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "fathom/error.h"
#include "plugins/lib/recorded_test_data.h"
#include "tests/support/error_of.h"
#include "tests/support/sanitized.h"

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
  // The error of opening `content`.
  std::string error_of_content(const std::string& content) const {
    return error_of([&] { Manifest::open({write("m.json", content)}); });
  }
  static std::string line(const std::string& text, const std::string& duration = "1") {
    return "{\"audio_filepath\": \"a.wav\", \"duration\": " + duration + ", \"text\": \"" + text + "\"}";
  }
  std::string folder_;
};

TEST_F(ManifestTest, ReadsTheDigits) {
  const Manifest manifest = Manifest::open({test_data::digits("test.json"), test_data::digits("validation.json")});
  ASSERT_EQ(manifest.size(), 500);
  const ManifestEntry first = manifest.entry(0);
  EXPECT_EQ(first.text, "zero");
  EXPECT_DOUBLE_EQ(first.duration, 0.298);
  EXPECT_EQ(manifest.duration(0), first.duration);
  EXPECT_EQ(first.named_as, "flac/0_george_0.flac");
  EXPECT_TRUE(std::filesystem::exists(first.audio_file));
  EXPECT_EQ(manifest.entry(251).line, 2);
  EXPECT_EQ(manifest.entry(251).where(), test_data::digits("validation.json") + ":2");
}

TEST_F(ManifestTest, KnowsNemosKeys) {
  write("words.txt", "from a file");
  const Manifest manifest = Manifest::open(
      {write("m.json",
             "{\"audio_filename\": \"a.wav\", \"duration\": 1, \"text_filepath\": \"words.txt\"}\n\n"
             "{\"audio_filepath\": \"/b.wav\", \"duration\": 2.5, \"normalized_text\": \"n\", \"offset\": 0.5, "
             "\"speaker\": \"s\", \"orig_sample_rate\": 16000, \"other\": [1]}\r\n"
             "{\"audio_filepath\": \"c.wav\", \"duration\": 3}")});
  ASSERT_EQ(manifest.size(), 3);
  EXPECT_EQ(manifest.entry(0).text, "from a file");
  EXPECT_EQ(manifest.entry(0).audio_file, folder_ + "/a.wav");
  const ManifestEntry second = manifest.entry(1);
  EXPECT_EQ(second.text, "n");
  EXPECT_EQ(second.audio_file, "/b.wav");
  EXPECT_DOUBLE_EQ(second.offset, 0.5);
  EXPECT_EQ(second.orig_sample_rate, 16000);
  EXPECT_EQ(second.line, 3);
  EXPECT_FALSE(manifest.entry(2).has_text);
}

TEST_F(ManifestTest, ErrorsNameFileAndLine) {
  const std::string good = line("x") + "\n";
  for (const auto& [line, word] : std::vector<std::pair<std::string, std::string>>{
           {"{\"audio_filepath\": \"a.wav\", \"duration\": 1", "not a JSON object"},
           {"[1, 2]", "not a JSON object"},
           {"{\"audio_filepath\": \"\xff.wav\", \"duration\": 1}", "not a JSON object"},
           {"{\"duration\": 1}", "audio_filepath"},
           {"{\"audio_filepath\": \"a.wav\"}", "duration"},
           {"{\"audio_filepath\": \"a.wav\", \"duration\": \"long\"}", "wrong type"},
           {"{\"audio_filepath\": \"a.wav\", \"duration\": -1}", "negative"},
           {"{\"audio_filepath\": \"a.wav\", \"duration\": 1, \"text\": 5}", "wrong type"},
           {"{\"audio_filepath\": \"a.wav\", \"duration\": 1, \"text_filepath\": \"no.txt\"}", "no.txt"}}) {
    const std::string error = error_of_content(good + line + "\n");
    EXPECT_NE(error.find("m.json:2"), std::string::npos) << line << "\n" << error;
    EXPECT_NE(error.find(word), std::string::npos) << line << "\n" << error;
  }
  EXPECT_NE(error_of_content("\n \n").find("no entries"), std::string::npos);
  EXPECT_NE(error_of_content("").find("no entries"), std::string::npos);
  EXPECT_NE(error_of([&] { Manifest::open({folder_ + "/none.json"}); }).find("No such file"), std::string::npos);
  EXPECT_NE(error_of([&] { Manifest::open({folder_}); }).find("it is a folder"), std::string::npos);
}

TEST_F(ManifestTest, LinesOfAnyLengthAndEndingAreFound) {
  // Around the size of what is read at once, blank lines and CRLF among them.
  std::string content;
  std::vector<std::string> texts;
  for (const size_t size : {size_t{10}, size_t{500000}, size_t{600000}, size_t{1 << 20}, size_t{3000000}, size_t{0}}) {
    texts.push_back(std::string(size, static_cast<char>('a' + texts.size())));
    content += line(texts.back()) + (texts.size() % 2 == 0 ? "\r\n\n  \n" : "\n");
  }
  content.pop_back();
  const Manifest manifest = Manifest::open({write("m.json", content)});
  ASSERT_EQ(manifest.size(), static_cast<int64_t>(texts.size()));
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_TRUE(manifest.entry(static_cast<int64_t>(i)).text == texts[i]) << i;
  EXPECT_EQ(manifest.entry(5).line, 10);
}

TEST_F(ManifestTest, LinesEndAsPythonEndsThem) {
  const std::string mark = "\xef\xbb\xbf";
  for (const std::string& end : {std::string("\n"), std::string("\r"), std::string("\r\n")}) {
    for (const size_t size : {size_t{1}, size_t{400}, size_t{700000}}) {  // within what is read at once, and beyond it
      std::string content = mark;
      for (int i = 0; i < 7; ++i)
        content += line(std::to_string(i) + std::string(size, 'x')) + end + (i == 3 ? end : "");
      const Manifest manifest = Manifest::open({write("m.json", content)});
      ASSERT_EQ(manifest.size(), 7) << size;
      for (int i = 0; i < 7; ++i) {
        EXPECT_TRUE(manifest.entry(i).text == std::to_string(i) + std::string(size, 'x'));
        EXPECT_EQ(manifest.entry(i).line, i < 4 ? i + 1 : i + 2) << size;
      }
    }
  }
  // Many of one kind and none of the other must not be searched again and again.
  std::string many;
  for (int i = 0; i < 200000; ++i) many += line("x") + "\r";
  EXPECT_EQ(Manifest::open({write("m.json", many)}).size(), 200000);
  EXPECT_NE(error_of_content(line("x") + "\n" + mark + line("y")).find("m.json:2"), std::string::npos)
      << "a mark inside the text is none";
}

TEST_F(ManifestTest, APipeIsReadOnceAndKept) {
  const std::string pipe = folder_ + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] {
    std::ofstream out(pipe, std::ios::binary);
    for (int i = 0; i < 30000; ++i) out << line(std::to_string(i)) << "\n";
  });
  const Manifest manifest = Manifest::open({pipe});
  writer.join();
  ASSERT_EQ(manifest.size(), 30000);
  EXPECT_EQ(manifest.entry(29999).text, "29999");
  EXPECT_EQ(manifest.entry(0).text, "0");
  EXPECT_EQ(manifest.entry(1).where(), pipe + ":2");
  EXPECT_NE(error_of([&] { Manifest::open({"/dev/null"}); }).find("neither file nor pipe"), std::string::npos);
}

TEST_F(ManifestTest, LinesWithoutADurationAreTakenWhereNoneIsNeeded) {
  const std::string path = write("m.json", "{\"audio_filepath\": \"a.wav\"}\n" + line("x", "2"));
  ManifestFilter filter;
  filter.needs_duration = false;
  filter.max_duration = 1;
  const Manifest manifest = Manifest::open({path}, filter);
  ASSERT_EQ(manifest.size(), 1) << "an unknown duration is in no range";
  EXPECT_EQ(manifest.duration(0), -1);
  EXPECT_EQ(manifest.dropped_by_duration().count, 1);
}

TEST_F(ManifestTest, ManyManifestsDoNotUseUpTheOpenFiles) {
  std::vector<std::string> files;
  for (int i = 0; i < 200; ++i) files.push_back(write("m" + std::to_string(i), line(std::to_string(i))));
  const auto open = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = open();
  const Manifest manifest = Manifest::open(files);
  EXPECT_LT(open() - before, 100);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(manifest.entry(i).text, std::to_string(i));
}

TEST_F(ManifestTest, AFileThatChangesIsAnErrorOfTheItemThatNeedsIt) {
  const std::string path = write("m.json", line("one") + "\n" + line("two") + "\n" + line("six") + "\n");
  const Manifest manifest = Manifest::open({path});
  std::ofstream(path, std::ios::app) << line("more") << "\n";
  EXPECT_EQ(manifest.entry(2).text, "six") << "what is appended changes no line";
  std::ofstream(path, std::ios::binary) << line("one") << "\n" << line("TWO") << "\n" << line("six").substr(0, 20);
  EXPECT_EQ(manifest.entry(0).text, "one");
  const std::string changed = error_of([&] { manifest.entry(1); }), cut = error_of([&] { manifest.entry(2); });
  EXPECT_NE(changed.find("has changed"), std::string::npos) << changed;
  EXPECT_NE(changed.find("m.json:2"), std::string::npos) << changed;
  EXPECT_NE(cut.find("cut off"), std::string::npos) << cut;
  EXPECT_NE(cut.find("m.json:3"), std::string::npos) << cut;
}

TEST_F(ManifestTest, FiltersAreCounted) {
  ManifestFilter filter;
  filter.min_duration = 0.3;
  filter.max_duration = 0.5;
  const Manifest manifest = Manifest::open({test_data::digits("test.json")}, filter);
  EXPECT_GT(manifest.dropped_by_duration().count, 0);
  EXPECT_EQ(manifest.size() + manifest.dropped_by_duration().count, 250);
  for (int64_t i = 0; i < manifest.size(); ++i) EXPECT_TRUE(manifest.duration(i) >= 0.3 && manifest.duration(i) <= 0.5);

  int64_t asked = 0;
  ManifestFilter sixes;
  sixes.most = 3;
  sixes.keep = [&](const ManifestLine& line) {
    ++asked;
    return line.text == "six";
  };
  const Manifest three = Manifest::open({test_data::digits("test.json")}, sixes);
  ASSERT_EQ(three.size(), 3);
  EXPECT_EQ(three.entry(2).text, "six");
  EXPECT_LT(asked, 250) << "nobody asks about lines that are not needed";
  // They are checked all the same.
  sixes.most = 1;
  EXPECT_NE(error_of([&] { Manifest::open({write("m.json", line("six") + "\nnonsense\n")}, sixes); }).find(":2"),
            std::string::npos);
}

// A million lines: the index is what stays. (How long it takes is measured by ./dev bench loader.)
TEST_F(ManifestTest, AMillionLinesTakeLittleMemory) {
  const std::string path = folder_ + "/m.json";
  {
    std::ofstream out(path, std::ios::binary);
    for (int i = 0; i < 1000000; ++i)
      out << "{\"audio_filepath\": \"clips/" << i << ".wav\", \"duration\": " << i % 20
          << ".25, \"text\": \"some words that stand for a transcript\"}\n";
  }
  const auto resident = [] {
    std::ifstream status("/proc/self/statm");
    int64_t all = 0, pages = 0;
    status >> all >> pages;
    return pages * ::sysconf(_SC_PAGESIZE);
  };
  const int64_t before = resident();
  const Manifest manifest = Manifest::open({path});
  EXPECT_LT(resident() - before, (kSanitized ? 400 : 80) << 20);
  ASSERT_EQ(manifest.size(), 1000000);
  EXPECT_EQ(manifest.entry(999999).named_as, "clips/999999.wav");
  EXPECT_EQ(manifest.entry(123456).line, 123457);
}

TEST_F(ManifestTest, SplitsPathsAtCommas) {
  EXPECT_EQ(split_manifest_paths(" a.json, b c.json ,"), (std::vector<std::string>{"a.json", "b c.json"}));
}

}  // namespace
}  // namespace fathom::audio
