#include "core/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "fathom/error.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  const std::string folder_ = testing::TempDir() + "fathom_file_test";
};

TEST_F(FileTest, AtomicWriteReplacesTheWholeFile) {
  const std::string path = folder_ + "/a";
  write_file_atomically(path, "one");
  write_file_atomically(path, std::string(200000, 'x'));
  EXPECT_EQ(read_file(path).size(), 200000u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "no temporary file may stay behind";
}

TEST_F(FileTest, AFailedWriteLeavesTheOldFile) {
  const std::string path = folder_ + "/a";
  write_file_atomically(path, "old");
  EXPECT_THROW(write_file_atomically(path,
                                     [](FileWriter& w) {
                                       w.write("new");
                                       throw std::runtime_error("cut");
                                     }),
               std::runtime_error);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, AFullDiskIsAnIoErrorAndLeavesTheOldFile) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "/dev/full is not here";
  const std::string path = folder_ + "/a";
  write_file_atomically(path, "old");
  fs::create_symlink("/dev/full", path + ".tmp." + std::to_string(::getpid()));  // the writer's temporary name
  try {
    write_file_atomically(path, std::string(1 << 20, 'x'));
    FAIL() << "the write must fail";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kIo);
    EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos);
  }
  EXPECT_EQ(read_file(path), "old");
}

// As root, /dev/null itself was replaced by a file.
TEST_F(FileTest, DevicesAndPipesAreWrittenToAndStay) {
  const std::string pipe = folder_ + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = read_file(pipe); });
  write_file_atomically(pipe, std::string(200000, 'x'));
  reader.join();
  EXPECT_EQ(read.size(), 200000u);
  EXPECT_TRUE(fs::is_fifo(pipe));
  fs::create_symlink(pipe, folder_ + "/link");  // as /dev/stdout is one
  std::thread again([&] { read = read_file(pipe); });
  write_file_atomically(folder_ + "/link", "y");
  again.join();
  EXPECT_EQ(read, "y");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2);
}

TEST_F(FileTest, MissingFilesAndFoldersAreNoInput) {
  try {
    read_file(folder_ + "/none");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNoInput);
    EXPECT_NE(std::string(error.what()).find("/none"), std::string::npos);
  }
  EXPECT_THROW(read_file(folder_), Error);
}

}  // namespace
}  // namespace fathom
