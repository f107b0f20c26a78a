#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class BadInput : public TrainingTest {
 protected:
  std::string manifest(const std::string& text) const {
    const std::string path = folder_ + "/manifest.json";
    write_file_atomically(path, text);
    return path;
  }
  Result train_on(const std::string& manifest_path) const {
    return run(words("run", {"model.train_ds.manifest_filepath=" + manifest_path, "trainer.max_epochs=1",
                             "++trainer.num_sanity_val_steps=0", "~trainer.limit_train_batches"}));
  }
  void expect(const Result& result, int status, const std::vector<std::string>& parts) const {
    EXPECT_EQ(result.status, status) << result.err;
    for (const auto& part : parts)
      EXPECT_NE(result.err.find(part), std::string::npos) << "'" << part << "' is not in:\n" << result.err;
  }
};

TEST_F(BadInput, Manifests) {
  expect(train_on(folder_ + "/none.json"), 66, {"none.json"});
  expect(train_on(manifest("")), 65, {"manifest.json"});
  expect(train_on(manifest("{\"audio_filepath\": \"" + any_clip() +
                           "\", \"duration\": 0.5, \"text\": \"one\"}\nnot json\n")),
         65, {"manifest.json:2"});
  expect(train_on(manifest("{\"audio_filepath\": \"" + any_clip() + "\", \"text\": \"one\"}\n")), 65,
         {"manifest.json:1", "duration"});
}

TEST_F(BadInput, AudioFiles) {
  const auto one = [](const std::string& audio) {
    return "{\"audio_filepath\": \"" + audio + "\", \"duration\": 0.5, \"text\": \"one\"}\n";
  };
  expect(train_on(manifest(one(folder_ + "/gone.wav"))), 66, {"gone.wav", "manifest.json:1"});
  write_file_atomically(folder_ + "/empty.wav", "");
  expect(train_on(manifest(one(folder_ + "/empty.wav"))), 65, {"empty.wav"});
  write_file_atomically(folder_ + "/text.wav", std::string(5000, 'x'));
  expect(train_on(manifest(one(folder_ + "/text.wav"))), 65, {"text.wav"});
}

TEST_F(BadInput, TextOutsideTheLabelsIsDroppedWithACount) {
  std::string lines;
  for (int i = 0; i < 16; ++i)
    lines += "{\"audio_filepath\": \"" + any_clip() + "\", \"duration\": 0.5, \"text\": \"one " +
             (i == 0 ? std::string("\xd0\x96 \xd0\x96") : std::string()) + "\"}\n";
  const Result result = train_on(manifest(lines));
  expect(result, 0, {"label"});
}

TEST_F(BadInput, NemoFiles) {
  write_file_atomically(folder_ + "/text.nemo", "this is no archive");
  expect(fathom({"transcribe", folder_ + "/text.nemo", any_clip()}), 65, {"text.nemo"});
  ASSERT_EQ(run(words("run", {"trainer.max_epochs=1"})).status, 0);
  std::string nemo;
  for (const auto& entry : fs::directory_iterator(folder_ + "/run/checkpoints")) {
    if (entry.path().extension() == ".nemo") nemo = entry.path();
  }
  ASSERT_FALSE(nemo.empty());
  const std::string bytes = read_file(nemo);
  for (const size_t size : {bytes.size() / 2, size_t{700}, bytes.size() - 3000}) {
    write_file_atomically(folder_ + "/cut.nemo", std::string_view(bytes).substr(0, size));
    expect(fathom({"transcribe", folder_ + "/cut.nemo", any_clip()}), 65, {"cut.nemo"});
  }
  expect(fathom({"transcribe", nemo, folder_ + "/gone.wav"}), 66, {"gone.wav"});
  write_file_atomically(folder_ + "/noise.wav", std::string(100, 'n'));
  expect(fathom({"transcribe", nemo, folder_ + "/noise.wav"}), 65, {"noise.wav"});
}

TEST_F(BadInput, PluginsThatAreNone) {
  fs::create_directories(folder_ + "/plugins");
  write_file_atomically(folder_ + "/plugins/fake.so", "no ELF");
  const Result listed = fathom({"plugins", "list", "--plugin-dir", folder_ + "/plugins"});
  EXPECT_EQ(listed.status, 0) << listed.err;
  EXPECT_NE(listed.out.find("fake.so"), std::string::npos) << listed.out;
  expect(fathom({"plugins", "list", "--plugin-dir", "relative"}), 2, {"relative"});
  expect(fathom({"plugins", "list", "--plugin-dir", folder_ + "/none"}), 66, {"none"});
}

}  // namespace
}  // namespace fathom::e2e
