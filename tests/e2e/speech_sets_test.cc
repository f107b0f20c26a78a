// Trainings on tar files, buckets of them and mixed sets: killed in mid-epoch and resumed, the bits of one that was
// not.
#include <archive.h>
#include <archive_entry.h>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class SpeechSets : public TrainingTest {
 protected:
  void SetUp() override {
    TrainingTest::SetUp();
    std::istringstream lines(read_file(kDigits + "/train.json"));
    // 240 clips from all over the manifest, in 6 shards of 40.
    std::string line;
    for (int64_t i = 0; std::getline(lines, line); ++i) {
      if (i % 8 == 0 && clips_.size() < 240) clips_.push_back(parse_text(line));
    }
    ASSERT_EQ(clips_.size(), 240u);
    for (int64_t shard = 0; shard < 6; ++shard) write_shard(shard);
    write_file_atomically(folder_ + "/tarred.json", manifest(0, 240, true));
    write_file_atomically(folder_ + "/short.json", manifest(0, 120, true));
    write_file_atomically(folder_ + "/long.json", manifest(120, 240, true));
    write_file_atomically(folder_ + "/first.json", manifest(0, 60, false));
    write_file_atomically(folder_ + "/second.json", manifest(60, 240, false));
  }

  void write_shard(int64_t number) const {
    archive* out = archive_write_new();
    archive_write_set_format_ustar(out);
    ASSERT_EQ(archive_write_open_filename(out, (folder_ + "/audio_" + std::to_string(number) + ".tar").c_str()),
              ARCHIVE_OK);
    for (int64_t i = 40 * number; i < 40 * (number + 1); ++i) {
      const std::string file = clips_[static_cast<size_t>(i)]["audio_filepath"];
      const std::string bytes = read_file(kDigits + "/" + file);
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, fs::path(file).filename().c_str());
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_perm(entry, 0644);
      archive_entry_set_size(entry, static_cast<int64_t>(bytes.size()));
      archive_write_header(out, entry);
      archive_write_data(out, bytes.data(), bytes.size());
      archive_entry_free(entry);
    }
    archive_write_free(out);
  }
  std::string manifest(size_t begin, size_t end, bool tarred) const {
    std::string out;
    for (size_t i = begin; i < end; ++i) {
      Json line = clips_[i];
      const std::string file = line["audio_filepath"];
      line["audio_filepath"] = tarred ? fs::path(file).filename().string() : kDigits + "/" + file;
      if (tarred) line["shard_id"] = i / 40;
      out += json_text(line) + "\n";
    }
    return out;
  }

  std::vector<std::string> training(const std::string& run, const std::vector<std::string>& data) const {
    std::vector<std::string> more = {"++exp_manager.checkpoint_callback_params.every_n_train_steps=5",
                                     "++exp_manager.checkpoint_callback_params.every_n_epochs=null",
                                     "++exp_manager.resume_if_exists=true",
                                     "++exp_manager.resume_ignore_no_checkpoint=true",
                                     "++trainer.num_sanity_val_steps=0",
                                     "model.train_ds.batch_size=16"};
    more.insert(more.end(), data.begin(), data.end());
    return words(run, more);
  }
  void expect_the_same_bits_after_kill_9(const std::vector<std::string>& data) const {
    const Result uninterrupted = run(training("whole", data));
    ASSERT_EQ(uninterrupted.status, 0) << uninterrupted.err;
    Process killed(training("cut", data));
    const bool under_way = killed.read([&](const Result&) {
      if (!fs::exists(folder_ + "/cut/checkpoints")) return false;
      for (const auto& entry : fs::directory_iterator(folder_ + "/cut/checkpoints")) {
        if (entry.path().string().ends_with("last.ckpt")) return true;
      }
      return false;
    });
    ASSERT_TRUE(under_way) << "the run ended before it could be killed";
    killed.kill(SIGKILL);
    EXPECT_EQ(killed.wait().status, 128 + SIGKILL);

    const Result resumed = run(training("cut", data));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_NE(resumed.err.find("resumed from"), std::string::npos) << resumed.err;
    const auto whole = final_weights("whole"), cut = final_weights("cut");
    ASSERT_EQ(whole.size(), cut.size());
    for (const auto& [name, bytes] : whole) EXPECT_TRUE(cut.at(name) == bytes) << name << " differs";
    EXPECT_EQ(without_timing(read_file(folder_ + "/whole/metrics.csv")),
              without_timing(read_file(folder_ + "/cut/metrics.csv")));
  }
  std::vector<std::string> tarred(const std::vector<std::string>& more) const {
    std::vector<std::string> out = {"++model.train_ds.is_tarred=true",
                                    "model.train_ds.manifest_filepath=" + folder_ + "/tarred.json",
                                    "++model.train_ds.tarred_audio_filepaths=" + folder_ + "/audio__OP_0..5_CL_.tar",
                                    "++model.train_ds.shuffle_n=32"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }

  std::vector<Json> clips_;
};

TEST_F(SpeechSets, TarFilesGoOnAfterKill9) { expect_the_same_bits_after_kill_9(tarred({})); }

TEST_F(SpeechSets, BucketsGoOnAfterKill9) {
  expect_the_same_bits_after_kill_9(
      tarred({"model.train_ds.manifest_filepath=[[" + folder_ + "/short.json],[" + folder_ + "/long.json]]",
              "++model.train_ds.tarred_audio_filepaths=[[" + folder_ + "/audio__OP_0..2_CL_.tar],[" + folder_ +
                  "/audio__OP_3..5_CL_.tar]]",
              "model.train_ds.batch_size=1", "++model.train_ds.bucketing_batch_size=8",
              "++model.train_ds.bucketing_strategy=fully_randomized"}));
}

TEST_F(SpeechSets, MixedSetsGoOnAfterKill9) {
  expect_the_same_bits_after_kill_9(
      {"++model.train_ds.is_concat=true",
       "model.train_ds.manifest_filepath=[" + folder_ + "/first.json," + folder_ + "/second.json]",
       "++model.train_ds.concat_sampling_technique=temperature", "++model.train_ds.concat_sampling_temperature=5"});
}

TEST_F(SpeechSets, AShardThatDoesNotMatchEndsTheRunBeforeItBegins) {
  const std::string shard = folder_ + "/audio_3.tar";
  const std::string whole = read_file(shard);
  write_file_atomically(shard, whole.substr(0, whole.size() / 2));
  const Result cut = run(training("cut", tarred({})));
  EXPECT_EQ(cut.status, 65) << cut.err;
  for (const char* part : {"audio_3.tar", "it ends before a member does", "take another copy of it"})
    EXPECT_TRUE(contains(cut.err, part)) << cut.err;
  fs::copy_file(folder_ + "/audio_2.tar", shard, fs::copy_options::overwrite_existing);
  const Result other = run(training("other", tarred({})));
  EXPECT_EQ(other.status, 65) << other.err;
  for (const char* part : {"tarred.json:121", "shard_id 3", "audio_3.tar does not hold"})
    EXPECT_TRUE(contains(other.err, part)) << other.err;
}

// A wav file of 16 bits at 8 kHz.
std::string short_wav(uint32_t samples) {
  const auto number = [](auto value) { return std::string(reinterpret_cast<const char*>(&value), sizeof value); };
  const uint32_t size = 2 * samples;
  return "RIFF" + number(36 + size) + "WAVEfmt " + number(uint32_t{16}) + number(uint16_t{1}) + number(uint16_t{1}) +
         number(uint32_t{8000}) + number(uint32_t{16000}) + number(uint16_t{2}) + number(uint16_t{16}) + "data" +
         number(size) + std::string(size, '\1');
}

TEST_F(SpeechSets, ATransducerTrainsOverClipsWithoutFramesAndWithoutText) {
  // 5 ms are less than a frame; a batch may have nothing but such clips, or no word in it.
  write_file_atomically(folder_ + "/short.wav", short_wav(40));
  std::string clips;
  for (int64_t i = 0; i < 8; ++i) {
    Json line = clips_[static_cast<size_t>(i)];
    line["audio_filepath"] = kDigits + "/" + line["audio_filepath"].get<std::string>();
    if (i >= 4) line = {{"audio_filepath", folder_ + "/short.wav"}, {"duration", 0.005}, {"text", "one"}};
    if (i % 4 < 2) line["text"] = "";
    clips += json_text(line) + "\n";
  }
  write_file_atomically(folder_ + "/odd.json", clips);
  const Result trained = run(recipe_in(
      "odd", "digits_transducer",
      {"data_dir=" + kDigits, "model.train_ds.manifest_filepath=" + folder_ + "/odd.json", "trainer.max_epochs=1",
       "model.train_ds.batch_size=2", "model.train_ds.shuffle=false", "model.train_ds.min_duration=null",
       "++trainer.num_sanity_val_steps=0", "++trainer.limit_val_batches=1", "++trainer.limit_test_batches=0",
       "++trainer.log_every_n_steps=1", "~model.optim.sched"}));
  EXPECT_EQ(trained.status, 0) << trained.err;
  EXPECT_TRUE(contains(trained.err, "has no frames: it costs nothing and trains nothing")) << trained.err;
  EXPECT_FALSE(contains(read_file(folder_ + "/odd/metrics.csv"), "nan"));
}

}  // namespace
}  // namespace fathom::e2e
