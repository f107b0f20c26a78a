// Recipes on the sets of dataset_meta: features, statistics and speakers computed first, then trained on.
#include <gmock/gmock.h>

#include "tests/e2e/speech_synthesis.h"

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

class SpeechSynthesisSets : public SpeechSynthesis {
 protected:
  // The bundled clips as those of two voices.
  std::string voices(const std::string& name) const {
    std::istringstream lines(read_file(kSpeech + "/" + name));
    std::string out;
    int64_t number = 0;
    for (std::string line; number < 4 && std::getline(lines, line);) {
      Json item = parse_text(line);
      item["speaker"] = number++ % 2 == 0 ? "ann" : "bob";
      out += json_text(item) + "\n";
    }
    const std::string path = folder_ + "/" + name;
    write_file_atomically(path, out);
    return path;
  }
  // These recipes have no data_dir.
  std::vector<std::string> words_of_sets(const std::string& run, const std::string& name,
                                         const std::vector<std::string>& more) const {
    std::vector<std::string> words = words_of(run, name, more);
    std::erase_if(words, [](const std::string& word) { return word.starts_with("data_dir="); });
    return words;
  }
  std::string set(const std::string& manifest) const {
    return "{mini: {manifest_path: " + manifest + ", audio_dir: " + kSpeech + ", feature_dir: " + folder_ +
           "/features}}";
  }
};

TEST_F(SpeechSynthesisSets, FastPitchOfSeveralVoicesTrainsOnComputedFeatures) {
  const std::string train = voices("train.json"), validation = voices("validation.json");
  const Result prepared = run({fathom_program(), "tts", "features", train, validation, "--audio-dir", kSpeech,
                               "--feature-dir", folder_ + "/features", "--stats-path", folder_ + "/stats.json",
                               "--speaker-map-path", folder_ + "/speakers.json", "--threads", "1"});
  ASSERT_EQ(prepared.status, 0) << prepared.err;
  EXPECT_EQ(parse_text(read_file(folder_ + "/speakers.json")), (Json{{"ann", 0}, {"bob", 1}}));
  const Json stats = parse_text(read_file(folder_ + "/stats.json"));
  for (const char* speaker : {"ann", "bob", "default"}) {
    EXPECT_GT(stats[speaker]["pitch_mean"], 150) << stats.dump();
    EXPECT_LT(stats[speaker]["pitch_mean"], 280);
    EXPECT_GT(stats[speaker]["energy_std"], 0);
  }
  write_file_atomically(folder_ + "/ipa.txt", "MODERN  ˈmɑdɝn\n");
  const std::vector<std::string> words = {"max_epochs=1",
                                          "n_speakers=2",
                                          "batch_size=2",
                                          "weighted_sampling_steps_per_epoch=3",
                                          "train_ds_meta=" + set(train),
                                          "val_ds_meta=" + set(validation),
                                          "feature_stats_path=" + folder_ + "/stats.json",
                                          "speaker_path=" + folder_ + "/speakers.json",
                                          "phoneme_dict_path=" + folder_ + "/ipa.txt",
                                          "model.symbols_embedding_dim=32",
                                          "model.input_fft.n_layer=1",
                                          "model.output_fft.n_layer=1",
                                          "model.input_fft.d_inner=32",
                                          "model.output_fft.d_inner=32",
                                          "trainer.check_val_every_n_epoch=1",
                                          "trainer.log_every_n_steps=1",
                                          "++trainer.precision=bf16-mixed"};
  const Result trained = run(words_of_sets("run", "fastpitch_22050", words));
  ASSERT_EQ(trained.status, 0) << trained.err;
  for (const char* name : {"t_energy_loss", "val_energy_loss", "val_pitch_loss"})
    EXPECT_THAT(trained.err + trained.out, HasSubstr(name));
  const Result spoken = run({fathom_program(), "synthesize", folder_ + "/run/checkpoints/FastPitch.nemo", "--text",
                             "modern", "--speaker", "1", "--output", folder_ + "/said.wav", "--threads", "1"});
  EXPECT_EQ(spoken.status, 0) << spoken.err;
  std::vector<std::string> wrong = words;
  wrong.push_back("pitch_feature._target_=nemo.PitchFeaturiser");
  EXPECT_THAT(run(words_of_sets("wrong", "fastpitch_22050", wrong)).err, HasSubstr("PitchFeaturizer"));
}

TEST_F(SpeechSynthesisSets, VocodersTrainOnPieces) {
  const std::string train = voices("train.json"), validation = voices("validation.json");
  for (const std::string recipe : {"hifigan_22050", "hifigan_44100"}) {
    const Result trained =
        run(words_of_sets(recipe, recipe,
                          {"max_epochs=1", "batch_size=2", "weighted_sampling_steps_per_epoch=2",
                           "train_ds_meta=" + set(train), "val_ds_meta=" + set(validation), "train_n_samples=4096",
                           "val_n_samples=8192", "+model.debug=true", "model.generator.upsample_initial_channel=32",
                           "trainer.check_val_every_n_epoch=1", "++trainer.precision=bf16-mixed"}));
    ASSERT_EQ(trained.status, 0) << trained.err;
    EXPECT_THAT(trained.err + trained.out, HasSubstr("val_loss"));
  }
}

}  // namespace
}  // namespace fathom::e2e
