#include "plugins/lib/audio/tar_index.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/file.h"
#include "core/base/temporary_folder.h"

namespace fathom::audio {
namespace {

// An archive of these files, as libarchive writes it.
void write_tar(const std::string& path, int format, const std::vector<std::pair<std::string, std::string>>& files) {
  archive* out = archive_write_new();
  archive_write_set_format(out, format);
  ASSERT_EQ(archive_write_open_filename(out, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, bytes] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, name.ends_with('/') ? AE_IFDIR : AE_IFREG);
    archive_entry_set_size(entry, static_cast<int64_t>(bytes.size()));
    archive_entry_set_perm(entry, 0644);
    ASSERT_GE(archive_write_header(out, entry), ARCHIVE_WARN);  // it warns of names that the locale has not
    archive_write_data(out, bytes.data(), bytes.size());
    archive_entry_free(entry);
  }
  archive_write_free(out);
}

std::string refusal_of(const std::string& path) {
  try {
    tar_members(path);
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
  return "";
}
::testing::AssertionResult says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "'" << part << "' is not in: " << text;
}

TEST(TarIndex, FindsTheFilesThatProgramsWrite) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tar";
  const std::string long_name = std::string(90, 'd') + "/" + std::string(140, 'n') + "-\xc3\xa9.wav";
  const std::vector<std::pair<std::string, std::string>> files = {
      {"one.wav", "first"}, {"sub/", ""}, {"sub/two.wav", std::string(1300, 'x')}, {long_name, "third"}, {"e.wav", ""}};
  for (const int format : {ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE}) {
    write_tar(path, format, files);
    const std::string bytes = read_file(path);
    const auto members = tar_members(path);
    ASSERT_EQ(members.size(), 4u) << format;
    for (size_t i = 0; i < members.size(); ++i) {
      const auto& [name, content] = files[i == 0 ? 0 : i + 1];
      EXPECT_EQ(members[i].name, name);
      EXPECT_EQ(bytes.substr(static_cast<size_t>(members[i].begin), static_cast<size_t>(members[i].size)), content);
    }
  }
}

TEST(TarIndex, SaysWhatIsWrongWithAFile) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tar";
  write_tar(path, ARCHIVE_FORMAT_TAR_USTAR, {{"one.wav", std::string(700, 'a')}, {"two.wav", std::string(700, 'b')}});
  const std::string whole = read_file(path);
  // In the middle of the second file; of its header.
  folder.write("a.tar", whole.substr(0, 512 + 1024 + 512 + 300));
  EXPECT_TRUE(says(refusal_of(path), "two.wav, 300 of 700 bytes")) << "the member and what is there of it";
  EXPECT_TRUE(says(refusal_of(path), "65 "));
  folder.write("a.tar", whole.substr(0, 512 + 1024 + 100));
  EXPECT_TRUE(says(refusal_of(path), "inside of a header"));
  // Without the mark of its end it is whole.
  folder.write("a.tar", whole.substr(0, 2 * (512 + 1024)));
  EXPECT_EQ(tar_members(path).size(), 2u);
  folder.write("a.tar", "\x1f\x8b" + std::string(600, 'z'));
  EXPECT_TRUE(says(refusal_of(path), "decompress it"));
  folder.write("a.tar", std::string(2000, 'z'));
  EXPECT_TRUE(says(refusal_of(path), "checksum"));
  EXPECT_TRUE(says(refusal_of(folder.path() + "/none.tar"), "66 "));
  EXPECT_TRUE(says(refusal_of(folder.path()), "it is a folder"));
}

}  // namespace
}  // namespace fathom::audio
