// Config files and override words as a user may have them by accident: a clear error, exit status 1 or 2, nothing
// written.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "core/base/file.h"
#include "tests/e2e/process.h"

namespace fathom::e2e {
namespace {

namespace fs = std::filesystem;

class ConfigInput : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "fathom_config_input";
    fs::remove_all(folder_);
    fs::create_directories(folder_ + "/conf");
    write("ok", "a: 1\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) {
    write_file_atomically(folder_ + "/conf/" + name + ".yaml", text);
  }
  // Composing `name` fails with `part` in the text, and leaves the folder as it was.
  void fails(const std::string& name, const std::string& part, const std::vector<std::string>& words = {},
             int status = 1) {
    std::vector<std::string> all = {"config", "show", "--resolve", "-cp", folder_ + "/conf", "-cn", name};
    all.insert(all.end(), words.begin(), words.end());
    const auto count = [&] {
      return std::distance(fs::recursive_directory_iterator(folder_), fs::recursive_directory_iterator());
    };
    const auto before = count();
    const Result result = fathom(all);
    EXPECT_EQ(result.status, status) << name << ": " << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << name << " should say '" << part << "': " << result.err;
    EXPECT_TRUE(result.out.empty()) << result.out;
    EXPECT_LT(result.err.size(), 10000) << name;
    EXPECT_EQ(count(), before) << name << " wrote a file";
  }
  std::string folder_;
};

TEST_F(ConfigInput, FilesThatAreNoConfig) {
  write("nul", std::string_view("a: 1\nb: \0x\n", 11));
  fails("nul", "nul.yaml:2:4");
  write("latin", "a: \xff\xfe\n");
  fails("latin", "not UTF-8");
  write("open_list", "a: [1\n");
  fails("open_list", "open_list.yaml:2:1");
  write("twice", "a: 1\na: 2\n");
  fails("twice", "duplicate key a");
  write("list", "- 1\n");
  fails("list", "ListConfig");
  write("deep", std::string(5000, '['));
  fails("deep", "deep.yaml");
  std::string bomb = "k0: &k0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*k" + std::to_string(i - 1);
    bomb += "k" + std::to_string(i) + ": &k" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) bomb += ", " + before;
    bomb += "]\n";
  }
  write("bomb", bomb);
  fails("bomb", "alias");
}

TEST_F(ConfigInput, FilesThatCannotBeRead) {
  fails("nothere", "Cannot find primary config 'nothere'");
  fs::create_directories(folder_ + "/conf/folder.yaml");
  fails("folder", "Cannot find primary config 'folder'");
  write_file_atomically(folder_ + "/file", "");
  fails("ok", "Additional config directory", {"-cd", folder_ + "/file"});
  fails("ok", "Primary config directory not found", {"-cp", folder_ + "/file"});
  if (::geteuid() == 0) return;  // root reads everything
  write("locked", "a: 1\n");
  ASSERT_EQ(::chmod((folder_ + "/conf/locked.yaml").c_str(), 0), 0);
  fails("locked", "locked.yaml");
}

TEST_F(ConfigInput, Circles) {
  write("one", "defaults: [two]\n");
  write("two", "defaults: [one]\n");
  fails("one", "in a circle");
  write("loop", "a: ${b}\nb: ${a}\n");
  fails("loop", "Recursive interpolation");
}

TEST_F(ConfigInput, Words) {
  fails("ok", "not UTF-8", {"a=\xff"});
  fails("ok", "^", {"a=[1"});
  fails("ok", "did the shell split", {"a=[1,", "2]"});
  fails("ok", "bytes more", {std::string(100'000, 'x') + "=1"});
  fails("ok", "+b.c=3", {"b.c=3"});
  fails("ok", "--cfg", {"--cgf", "job"}, 2);
}

TEST_F(ConfigInput, TenThousandKeysAreFine) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += "key_" + std::to_string(i) + ": " + std::to_string(i) + "\n";
  write("many", text);
  const Result result = fathom({"config", "show", "-cp", folder_ + "/conf", "-cn", "many", "key_9999=7"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(result.out.ends_with("key_9998: 9998\nkey_9999: 7\n"));
  fails("many", "key_9999", {"key_99999=7"});  // the nearest names
}

}  // namespace
}  // namespace fathom::e2e
