// Speech synthesis from configs/tts to sound: vocoders that train against critics, and what is heard of copies.
#include "tests/e2e/speech_synthesis.h"

#include <gmock/gmock.h>

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

TEST_F(SpeechSynthesis, AVocoderThatWasKilledGoesOnToTheBit) {
  const std::vector<std::string> words = {"trainer.max_epochs=3", "trainer.check_val_every_n_epoch=1",
                                          "++trainer.ckpt_every=1s", "++exp_manager.resume_if_exists=true",
                                          "++exp_manager.resume_ignore_no_checkpoint=true"};
  const Result once = run(words_of("once", "ljspeech_mini_hifigan", words));
  ASSERT_EQ(once.status, 0) << once.err;
  Process killed(words_of("twice", "ljspeech_mini_hifigan", words));
  const std::string checkpoints = folder_ + "/twice/checkpoints";
  const bool under_way = killed.read([&](const Result&) {
    if (!fs::exists(checkpoints)) return false;
    return std::any_of(fs::directory_iterator(checkpoints), fs::directory_iterator(),
                       [](const auto& entry) { return entry.path().extension() == ".ckpt"; });
  });
  ASSERT_TRUE(under_way) << "the run ended before it could be killed";
  killed.kill(SIGKILL);
  EXPECT_EQ(killed.wait().status, 128 + SIGKILL);
  const Result resumed = run(words_of("twice", "ljspeech_mini_hifigan", words));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(last_checkpoint("once"), last_checkpoint("twice"));
}

TEST_F(SpeechSynthesis, AVocoderIsRestoredAndHeard) {
  const Result trained = run(words_of("run", "ljspeech_mini_hifigan", {"trainer.max_epochs=1"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string nemo = folder_ + "/run/checkpoints/ljspeech_mini_hifigan.nemo";
  const std::string clip = kSpeech + "/wavs/LJ001-0002.flac";
  const Result copied =
      run({fathom_program(), "tts", "vocode", clip, "--vocoder", nemo, "--output-dir", folder_ + "/copies"});
  ASSERT_EQ(copied.status, 0) << copied.err;
  EXPECT_GT(fs::file_size(folder_ + "/copies/LJ001-0002.wav"), 1.8 * 16000 * 2);
  const Result none = run({fathom_program(), "tts", "vocode", folder_ + "/none.wav", "--vocoder", nemo, "--output-dir",
                           folder_ + "/copies"});
  EXPECT_EQ(none.status, 66);
  EXPECT_THAT(none.err, HasSubstr("none.wav"));
  // A GAN's audio must be as long as what it is compared with.
  const Result odd =
      run(words_of("odd", "ljspeech_mini_hifigan", {"trainer.max_epochs=1", "model.train_ds.dataset.n_segments=8000"}));
  EXPECT_EQ(odd.status, 65);
  EXPECT_THAT(odd.err, HasSubstr("multiple of n_window_stride"));
  const Result hop = run(words_of("hop", "ljspeech_mini_hifigan", {"model.preprocessor.n_window_stride=200"}));
  EXPECT_EQ(hop.status, 1);
  EXPECT_THAT(hop.err, HasSubstr("256, the product of generator.upsample_rates"));
}

}  // namespace
}  // namespace fathom::e2e
