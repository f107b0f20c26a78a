// Restoring a model where the machine is in the way: no room, no right to read, a folder in the place of a file, a
// config or labels that are not the weights'. Each ends with a sentence and its exit status, and leaves nothing behind.
#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class BadModels : public TrainingTest {
 protected:
  void SetUp() override {
    TrainingTest::SetUp();
    fs::create_directories(at("tmp"));
    nemo_ = at("model.nemo");
    fs::copy_file(small_quartznet(), nemo_);
  }
  std::string at(const std::string& name) const { return folder_ + "/" + name; }
  // Where it unpacks to is the test's own folder.
  Result here(std::vector<std::string> words, const std::function<void()>& prepare = {}) const {
    words.insert(words.begin(), fathom_program());
    return run(words, {"TMPDIR=" + at("tmp")}, prepare);
  }
  Result validate(std::vector<std::string> more, const std::function<void()>& prepare = {}) const {
    std::vector<std::string> words =
        recipe("digits_quartznet", {"data_dir=" + kDigits, "++trainer.limit_val_batches=1"});
    words[1] = "validate";
    words.insert(words.end(), more.begin(), more.end());
    return run(words, {"TMPDIR=" + at("tmp")}, prepare);
  }
  std::vector<std::string> listing() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) names.push_back(entry.path());
    std::sort(names.begin(), names.end());
    return names;
  }
  void expect(const Result& result, int status, const std::vector<std::string>& parts,
              const std::vector<std::string>& before) const {
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_TRUE(result.err.starts_with("error: ") || contains(result.err, "\nerror: ")) << result.err;
    for (const auto& part : parts) EXPECT_TRUE(contains(result.err, part)) << part << " is not in:\n" << result.err;
    EXPECT_EQ(listing(), before) << result.err;
  }
  // False where root's rights cannot be given up.
  bool modes_count() const {
    const std::string path = at("secret");
    write_file_atomically(path, "x");
    fs::permissions(path, fs::perms::none);
    const bool refused = run({"cat", path}, {}, as_ordinary_user).status != 0;
    fs::remove(path);
    return refused;
  }
  // The model with a file of its archive in another form.
  void change(const std::string& member_name, const std::function<std::string(std::string)>& edit) const {
    const auto archive = checkpoint::NemoArchive::open(nemo_);
    std::vector<checkpoint::NemoMember> members;
    for (const auto& member : archive.members()) {
      const std::string bytes(member.bytes);
      members.push_back(checkpoint::NemoMember::of_text(member.name, member.name == member_name ? edit(bytes) : bytes));
    }
    checkpoint::write_nemo_archive(nemo_, members);
  }
  std::string nemo_;
};

TEST_F(BadModels, NoRoomToUnpackOrToWrite) {
  const auto before = listing();
  const auto full = with_full_disk(64);
  const std::vector<std::string> unpacking = {"cannot unpack", "File too large", at("tmp"), "TMPDIR"};
  expect(here({"transcribe", nemo_, any_clip()}, full), 74, unpacking, before);
  expect(validate({"model_path=" + nemo_}, full), 74, unpacking, before);
  for (const char* to : {"out.nemo", "out.ckpt", "out.safetensors"})
    expect(here({"convert", nemo_, at(to)}, full), 74, {"cannot write", "File too large", to}, before);
  expect(here({"convert", nemo_, at("parts"), "--split-by-module"}, full), 74, {"cannot write", "File too large"},
         before);
}

TEST_F(BadModels, NoFolderToUnpackTo) {
  const auto before = listing();
  const std::vector<std::string> words = {fathom_program(), "transcribe", nemo_, any_clip()};
  expect(run(words, {"TMPDIR=" + at("none")}), 73, {"temporary", at("none"), "set TMPDIR"}, before);
  if (!modes_count()) GTEST_SKIP() << "root's rights cannot be given up here";
  fs::permissions(at("tmp"), fs::perms::owner_read | fs::perms::owner_exec);
  expect(run(words, {"TMPDIR=" + at("tmp")}, as_ordinary_user), 73,
         {"temporary folder", "Permission denied", at("tmp"), "set TMPDIR"}, before);
}

TEST_F(BadModels, FilesThatMayNotBeRead) {
  if (!modes_count()) GTEST_SKIP() << "root's rights cannot be given up here";
  const std::string config = at("config.yaml");
  write_file_atomically(config, here({"inspect", nemo_, "--config"}).out);
  const auto before = listing();
  fs::permissions(config, fs::perms::none);
  expect(validate({"model_path=" + nemo_, "override_config_path=" + config}, as_ordinary_user), 74,
         {"Permission denied", config, "chmod"}, before);
  fs::permissions(nemo_, fs::perms::none);
  const std::vector<std::string> parts = {"Permission denied", nemo_, "chmod"};
  expect(here({"transcribe", nemo_, any_clip()}, as_ordinary_user), 74, parts, before);
  expect(here({"inspect", nemo_}, as_ordinary_user), 74, parts, before);
  expect(here({"convert", nemo_, at("out.pt")}, as_ordinary_user), 74, parts, before);
  expect(here({"diff", nemo_, nemo_}, as_ordinary_user), 74, parts, before);
  expect(validate({"model_path=" + nemo_}, as_ordinary_user), 74, parts, before);
  // A folder that may not be written to.
  fs::permissions(nemo_, fs::perms::owner_read);
  fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  const Result refused = here({"convert", nemo_, at("out.pt")}, as_ordinary_user);
  fs::permissions(folder_, fs::perms::owner_all);
  expect(refused, 73, {"Permission denied", at("out.pt")}, before);
}

TEST_F(BadModels, FoldersInThePlaceOfFiles) {
  fs::create_directories(at("folder.nemo"));
  fs::create_directories(at("config.yaml"));
  const auto before = listing();
  const std::vector<std::string> parts = {"folder.nemo", "no model_config.yaml"};
  expect(here({"transcribe", at("folder.nemo"), any_clip()}), 65, parts, before);
  expect(here({"inspect", at("folder.nemo")}), 65, parts, before);
  expect(here({"convert", at("folder.nemo"), at("out.pt")}), 65, parts, before);
  expect(validate({"model_path=" + at("folder.nemo")}), 65, parts, before);
  expect(validate({"model_path=" + nemo_, "override_config_path=" + at("config.yaml")}), 66,
         {"a folder", "config.yaml"}, before);
  expect(here({"convert", nemo_, at("folder.nemo")}), 73, {"folder.nemo"}, before);
}

TEST_F(BadModels, LabelsThatAreNotTheDecoders) {
  const std::string place = std::string(checkpoint::kNemoConfig);
  change(place,
         [](std::string config) { return config.replace(config.find("num_classes: 16"), 15, "num_classes: 15"); });
  auto before = listing();
  expect(here({"transcribe", nemo_, any_clip()}), 65, {"decoder.num_classes", "15, and 16 labels"}, before);
  // Labels and decoder agree, the weights do not.
  change(place, [](std::string config) {
    return config.erase(config.find("  - z\n", config.find("\ndecoder:")), std::string("  - z\n").size());
  });
  before = listing();
  expect(here({"transcribe", nemo_, any_clip()}), 65, {"decoder.decoder_layers.0.weight", "model.nemo"}, before);
}

}  // namespace
}  // namespace fathom::e2e
