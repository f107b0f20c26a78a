// Speech synthesis that takes its time: recipes that must learn, and copies that a trained recogniser hears.
#include <gmock/gmock.h>

#include <numeric>

#include "tests/e2e/speech_synthesis.h"

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

double mean(const std::vector<double>& values, size_t from, size_t to) {
  return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(from),
                         values.begin() + static_cast<std::ptrdiff_t>(to), 0.0) /
         static_cast<double>(to - from);
}

class SpeechRecipes : public SpeechSynthesis {};

TEST_F(SpeechRecipes, AVocoderLearnsIn200Batches) {
  const Result trained = run(words_of("run", "ljspeech_mini_hifigan", {}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  for (const char* name : {"d_loss", "g_loss"}) {
    const std::vector<double> losses = metric("run", name);
    ASSERT_GE(losses.size(), 30u) << name;
    EXPECT_LT(mean(losses, losses.size() - 8, losses.size()), 0.9 * mean(losses, 0, 3)) << name;
  }
  const std::vector<double> validation = metric("run", "val_loss");
  ASSERT_GE(validation.size(), 3u);
  EXPECT_LT(validation.back(), 0.8 * validation.front());
}

TEST_F(SpeechRecipes, AnAcousticModelLearnsIn200Batches) {
  const Result trained = run(words_of("run", "ljspeech_mini_fastpitch", {"sup_data_path=" + folder_ + "/sup"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  for (const auto& [name, share] : {std::pair{"t_loss", 0.4}, {"t_mel_loss", 0.2}, {"t_dur_loss", 0.75}}) {
    const std::vector<double> losses = metric("run", name);
    ASSERT_GE(losses.size(), 30u) << name;
    EXPECT_LT(mean(losses, losses.size() - 8, losses.size()), share * mean(losses, 0, 3)) << name;
  }
  const std::vector<double> aligned = metric("run", "t_ctc_loss");
  EXPECT_LT(mean(aligned, aligned.size() - 8, aligned.size()), 0.95 * mean(aligned, 0, 4));
  const std::vector<double> validation = metric("run", "val_loss");
  ASSERT_GE(validation.size(), 3u);
  EXPECT_LT(validation.back(), 0.7 * validation.front());
}

TEST_F(SpeechRecipes, Tacotron2Learns) {
  const Result trained = run(words_of("run", "ljspeech_mini_tacotron2", {}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  for (const char* name : {"train_loss", "train_mel_loss", "train_gate_loss"}) {
    const std::vector<double> losses = metric("run", name);
    ASSERT_GE(losses.size(), 60u) << name;
    EXPECT_LT(mean(losses, losses.size() - 10, losses.size()), 0.6 * mean(losses, 0, 3)) << name;
  }
}

TEST_F(SpeechRecipes, VitsLearns) {
  const Result trained = run(words_of("run", "ljspeech_mini_vits", {}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  for (const char* name : {"loss_gen_all", "loss_mel", "loss_kl"}) {
    const std::vector<double> losses = metric("run", name);
    ASSERT_GE(losses.size(), 40u) << name;
    EXPECT_LT(mean(losses, losses.size() - 10, losses.size()), 0.8 * mean(losses, 0, 5)) << name;
  }
  // The likelihood of durations that the alignment still changes: it need not fall in so few steps, but must not burst.
  const std::vector<double> durations = metric("run", "loss_dur");
  ASSERT_GE(durations.size(), 40u);
  EXPECT_LT(mean(durations, durations.size() - 10, durations.size()), 1.5 * mean(durations, 0, 5));
}

TEST_F(SpeechRecipes, ModelsThatWereKilledGoOnToTheBit) {
  for (const char* recipe : {"ljspeech_mini_vits", "ljspeech_mini_tacotron2"}) expect_exact_resume(recipe);
}

TEST_F(SpeechRecipes, VitsSaysItsTextAndRefusesWhatItCannot) {
  const Result trained =
      run(words_of("run", "ljspeech_mini_vits", {"trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string nemo = folder_ + "/run/checkpoints/ljspeech_mini_vits.nemo", wav = folder_ + "/said.wav";
  const std::vector<std::string> words = {fathom_program(), "synthesize", nemo,     "--text", "Hello, world.",
                                          "--output",       wav,          "--seed", "3"};
  const Result said = run(words);
  ASSERT_EQ(said.status, 0) << said.err;
  const std::string once = read_file(wav);
  EXPECT_GT(once.size(), 1000u);
  ASSERT_EQ(run(words).status, 0);
  EXPECT_EQ(read_file(wav), once) << "the same seed";
  std::vector<std::string> voice = words;
  voice.insert(voice.end(), {"--speaker", "4"});
  const Result none = run(voice);
  EXPECT_NE(none.status, 0);
  EXPECT_THAT(none.err, HasSubstr("speaker"));
  // A segment that no clip is as long as, in words.
  const Result segment = run(words_of("segment", "ljspeech_mini_vits", {"model.segment_size=256000"}));
  EXPECT_NE(segment.status, 0);
  EXPECT_THAT(segment.err, HasSubstr("shorter than the segment"));
  const Result gradients = run(words_of("gradients", "ljspeech_mini_vits", {"model.preprocessor.use_grads=false"}));
  EXPECT_NE(gradients.status, 0);
  EXPECT_THAT(gradients.err, HasSubstr("preprocessor.use_grads"));
}

// Without any trained vocoder: the spectrograms of real clips, made audible again, are still what a recogniser of ours
// was trained to hear.
TEST_F(SpeechRecipes, CopiesOfDigitsAreStillHeard) {
  const Result trained = run(recipe_in("asr", "digits_quartznet",
                                       {"data_dir=" + kDigits, "trainer.max_epochs=12",
                                        "trainer.check_val_every_n_epoch=12", "model.optim.sched.warmup_steps=50"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string asr = folder_ + "/asr/checkpoints/digits_quartznet.nemo";
  std::istringstream lines(read_file(kDigits + "/test.json"));
  std::string manifest;
  std::vector<std::string> copy = {fathom_program(), "tts", "vocode"};
  int64_t number = 0;
  for (std::string line; std::getline(lines, line); ++number) {
    if (number % 5 != 0) continue;
    Json item = parse_text(line);
    item["audio_filepath"] = kDigits + "/" + item["audio_filepath"].get<std::string>();
    copy.push_back(item["audio_filepath"]);
    manifest += json_text(item) + "\n";
  }
  write_file_atomically(folder_ + "/clips.json", manifest);
  const Json front_end = {{"sample_rate", 8000}, {"n_fft", 512}, {"n_window_stride", 128}, {"mag_power", 1}};
  copy.insert(copy.end(), {"--output-dir", folder_ + "/copies", "--front-end", json_text(front_end)});
  const Result copied = run(copy);
  ASSERT_EQ(copied.status, 0) << copied.err;

  const Result real = run({fathom_program(), "transcribe", asr, "--manifest", folder_ + "/clips.json", "--json"});
  ASSERT_EQ(real.status, 0) << real.err;
  const Result judged = run({fathom_program(), "tts", "evaluate", folder_ + "/clips.json", "--synthesis-dir",
                             folder_ + "/copies", "--asr", asr});
  ASSERT_EQ(judged.status, 0) << judged.err;
  const Json summary = parse_text(judged.out.substr(judged.out.find("{\"summary\""))).at("summary");
  EXPECT_LE(summary["wer"].get<double>(), parse_text(real.out)["wer"].get<double>() + 0.1);
  EXPECT_LT(summary["wer"].get<double>(), 0.4) << "the recogniser learnt nothing";
  EXPECT_LT(summary["mcd"].get<double>(), 3) << judged.out;
  EXPECT_LT(summary["gross_pitch_error"].get<double>(), 0.05);
}

}  // namespace
}  // namespace fathom::e2e
