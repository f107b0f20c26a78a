#include "core/archive/nemo_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class NemoArchiveTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  struct Raw {
    Raw(std::string n, std::string b, mode_t t = AE_IFREG, std::string l = {})
        : name(std::move(n)), bytes(std::move(b)), type(t), link(std::move(l)) {}
    std::string name, bytes;
    mode_t type;
    std::string link;
  };
  // An archive of any members, which the writer under test would refuse.
  std::string raw_archive(const std::vector<Raw>& members, bool gzip = false) {
    archive* out = archive_write_new();
    archive_write_set_format_gnutar(out);
    if (gzip) archive_write_add_filter_gzip(out);
    archive_write_open_filename(out, path_.c_str());
    for (const auto& member : members) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, member.name.c_str());
      archive_entry_set_filetype(entry, member.type);
      archive_entry_set_perm(entry, 0644);
      if (member.type == AE_IFLNK) archive_entry_set_symlink(entry, member.link.c_str());
      if (member.type == AE_IFREG && !member.link.empty()) archive_entry_set_hardlink(entry, member.link.c_str());
      archive_entry_set_size(entry, static_cast<la_int64_t>(member.bytes.size()));
      archive_write_header(out, entry);
      archive_write_data(out, member.bytes.data(), member.bytes.size());
      archive_entry_free(entry);
    }
    archive_write_close(out);
    archive_write_free(out);
    return path_;
  }

  std::string refusal(const std::string& path) {
    try {
      NemoArchive::open(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadData);
      return error.what();
    }
    return "nothing was refused";
  }

  const std::string folder_ = testing::TempDir() + "fathom_nemo_archive_test";
  const std::string path_ = folder_ + "/model.nemo";
  const Raw config_{"./model_config.yaml", "target: a.B\n", AE_IFREG, ""};
};

TEST_F(NemoArchiveTest, WhatIsWrittenComesBack) {
  const std::string weights(100'000, 'w');
  const std::vector<NemoMember> members = {NemoMember::of_text("aa_vocab.txt", "a\nb\n"),
                                           NemoMember::of_text("model_config.yaml", "x: 1\n"),
                                           NemoMember::of_text("model_weights.ckpt", weights)};
  const std::string path = folder_ + "/new/folder/model.nemo";
  write_nemo_archive(path, members);
  const NemoArchive archive = NemoArchive::open(path);
  EXPECT_FALSE(archive.is_compressed());
  ASSERT_EQ(archive.members().size(), 3u);
  EXPECT_EQ(archive.config_text(), "x: 1\n");
  EXPECT_EQ(archive.at("./aa_vocab.txt").bytes, "a\nb\n");
  EXPECT_EQ(archive.at(kNemoWeights).bytes, weights);
  archive.extract_artifacts(folder_ + "/out");
  EXPECT_EQ(read_file(folder_ + "/out/aa_vocab.txt"), "a\nb\n");
  EXPECT_FALSE(fs::exists(folder_ + "/out/model_weights.ckpt"));
  const std::string first = read_file(path);
  write_nemo_archive(path, members);
  EXPECT_EQ(read_file(path), first) << "equal members give equal bytes";
  EXPECT_EQ(first.substr(0, 2), "./");
}

TEST_F(NemoArchiveTest, AFolderIsAnArchiveToo) {
  fs::create_directories(folder_ + "/unpacked/sub");
  write_file_atomically(folder_ + "/unpacked/model_config.yaml", "x: 1\n");
  write_file_atomically(folder_ + "/unpacked/sub/a.txt", "a");
  const NemoArchive archive = NemoArchive::open(folder_ + "/unpacked");
  EXPECT_TRUE(archive.is_folder());
  EXPECT_EQ(archive.at("sub/a.txt").bytes, "a");
  fs::create_symlink("/etc/hostname", folder_ + "/unpacked/link");
  EXPECT_THAT(refusal(folder_ + "/unpacked"), HasSubstr("link"));
}

TEST_F(NemoArchiveTest, GzipAndNamesWithoutDot) {
  const NemoArchive archive =
      NemoArchive::open(raw_archive({{"model_config.yaml", "x: 1\n"}, {"v.txt", std::string(300'000, 'v')}}, true));
  EXPECT_TRUE(archive.is_compressed());
  EXPECT_EQ(archive.at("v.txt").bytes.size(), 300'000u);
}

TEST_F(NemoArchiveTest, WhatLeadsOutsideIsRefused) {
  for (const char* name : {"../evil", "/etc/evil", "a/../../evil", "./../evil", "a//b"}) {
    EXPECT_THAT(refusal(raw_archive({config_, {name, "x"}})), HasSubstr("outside")) << name;
  }
  EXPECT_THAT(refusal(raw_archive({config_, {"link", "", AE_IFLNK, "/etc/passwd"}})), HasSubstr("link"));
  EXPECT_THAT(refusal(raw_archive({config_, {"hard", "", AE_IFREG, "model_config.yaml"}})), HasSubstr("link"));
  EXPECT_THAT(refusal(raw_archive({config_, {"pipe", "", AE_IFIFO, ""}})), HasSubstr("neither"));
  EXPECT_THAT(refusal(raw_archive({config_, config_})), HasSubstr("one name"));
}

TEST_F(NemoArchiveTest, DamageAndForeignFilesAreRefused) {
  EXPECT_THAT(refusal(raw_archive({{"a.txt", "x"}})), HasSubstr("model_config.yaml"));
  write_file_atomically(path_, "hello, this is a text file and no archive at all");
  EXPECT_THAT(refusal(path_), HasSubstr("not a readable .nemo"));
  write_file_atomically(path_, "");
  EXPECT_THAT(refusal(path_), HasSubstr("empty"));
  write_nemo_archive(
      path_, {NemoMember::of_text("model_config.yaml", "x: 1\n"), NemoMember::of_text("w", std::string(50'000, 'w'))});
  const std::string whole = read_file(path_);
  write_file_atomically(path_, whole.substr(0, 30'000));
  EXPECT_THAT(refusal(path_), HasSubstr("not a readable .nemo"));
  EXPECT_THROW(NemoArchive::open(folder_ + "/none.nemo"), Error);
}

TEST_F(NemoArchiveTest, AGzipBombIsRefused) {
  // 100 MB of zeros in about 100 kB: 1000 times, where 200 and 64 MiB are allowed
  EXPECT_THAT(refusal(raw_archive({config_, {"zeros", std::string(100'000'000, '\0')}}, true)), HasSubstr("absurd"));
}

TEST_F(NemoArchiveTest, AFailedWriteLeavesTheOldArchive) {
  write_nemo_archive(path_, {NemoMember::of_text("model_config.yaml", "old: 1\n")});
  NemoMember broken{"w", 10, [](FileWriter&) { throw Error(Code::kIo, "disk gone"); }};
  EXPECT_THROW(write_nemo_archive(path_, {NemoMember::of_text("model_config.yaml", "new: 1\n"), broken}), Error);
  NemoMember lying{"w", 10, [](FileWriter& writer) { writer.write("12345"); }};
  EXPECT_THROW(write_nemo_archive(path_, {NemoMember::of_text("model_config.yaml", "new: 1\n"), lying}), Error);
  NemoMember longer{"w", 2, [](FileWriter& writer) { writer.write("12345"); }};
  EXPECT_THROW(write_nemo_archive(path_, {NemoMember::of_text("model_config.yaml", "new: 1\n"), longer}), Error);
  EXPECT_THROW(write_nemo_archive(path_, {NemoMember::of_text("../x", "")}), Error);
  EXPECT_EQ(NemoArchive::open(path_).config_text(), "old: 1\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

}  // namespace
}  // namespace fathom::checkpoint
