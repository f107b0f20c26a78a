// An encoder-decoder with prompts (Canary), from configs/asr to text.
#include <gmock/gmock.h>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

const std::string kTokenizers = FATHOM_SOURCE_DIR "/tests/data/tokenizers";

class Multitask : public TrainingTest {
 protected:
  std::vector<std::string> canary(const std::vector<std::string>& more, const std::string& run = "run") const {
    std::vector<std::string> all = {"data_dir=" + kDigits, "tokenizers_dir=" + kTokenizers,
                                    "trainer.check_val_every_n_epoch=1", "++trainer.limit_val_batches=1",
                                    "++trainer.limit_test_batches=1"};
    all.insert(all.end(), more.begin(), more.end());
    return recipe_in(run, "digits_canary", all);
  }
  Result transcribe(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {fathom_program(), "transcribe", folder_ + "/run/checkpoints/digits_canary.nemo"};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }
};

TEST_F(Multitask, TrainsIsRestoredAndTranscribesAsItsPromptAsks) {
  const Result trained = run(canary({"trainer.max_epochs=2", "++trainer.limit_train_batches=6"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const Result plain = transcribe({any_clip()});
  ASSERT_EQ(plain.status, 0) << plain.err;
  EXPECT_TRUE(Json::parse(plain.out)["pred_text"].is_string());
  const Result asked = transcribe({any_clip(), "--prompt", "target_lang=en", "--prompt", "pnc=yes"});
  EXPECT_EQ(asked.status, 0) << asked.err;

  const Result unknown = transcribe({any_clip(), "--prompt", "target_lang=xx"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.err, HasSubstr("<|xx|>"));
  const Result other = transcribe({any_clip(), "--prompt", "mood=good"});
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.err, HasSubstr("mood"));
  EXPECT_EQ(transcribe({any_clip(), "--prompt", "pnc"}).status, 2);
  const Result times = transcribe({any_clip(), "--timestamps"});
  EXPECT_EQ(times.status, 69);
  EXPECT_THAT(times.err, HasSubstr("canary2"));
}

TEST_F(Multitask, GoesOnWhereItWasStopped) {
  const auto part = [&](const std::string& name, const std::string& epochs) {
    return run(canary({"trainer.max_epochs=" + epochs, "++trainer.limit_train_batches=3", "~model.optim.sched",
                       "++exp_manager.resume_if_exists=true", "++exp_manager.resume_ignore_no_checkpoint=true"},
                      name));
  };
  const Result once = part("once", "2"), first = part("twice", "1"), second = part("twice", "2");
  for (const Result* result : {&once, &first, &second}) ASSERT_EQ(result->status, 0) << result->err;
  EXPECT_EQ(final_weights("once", "digits_canary.nemo"), final_weights("twice", "digits_canary.nemo"));
}

TEST_F(Multitask, ALineWithoutItsFieldsIsNamed) {
  const std::string manifest = folder_ + "/m.json";
  const std::string audio = R"({"audio_filepath": ")" + any_clip() + R"(", "duration": 0.298, "text": "zero")";
  write_file_atomically(manifest, audio + R"(, "source_lang": "en", "target_lang": "en", "task": "asr", "pnc": "no"})" +
                                      "\n" + audio + R"(, "source_lang": "en", "taskname": "asr", "pnc": "no"})" +
                                      "\n");
  const Result result = run(canary({"model.train_ds.manifest_filepath=" + manifest, "~model.train_ds.tags"}));
  EXPECT_EQ(result.status, 65) << result.err;
  EXPECT_THAT(result.err, HasSubstr(manifest + ":2"));
  EXPECT_THAT(result.err, HasSubstr("no target_lang"));
}

TEST_F(Multitask, WhatIsNotThereIsRefusedByName) {
  const Result beam = run(canary({"model.decoding.beam.beam_size=4"}));
  EXPECT_EQ(beam.status, 69) << beam.err;
  EXPECT_THAT(beam.err, HasSubstr("model.decoding.beam.beam_size"));
  EXPECT_THAT(beam.err, HasSubstr("decoding.beam.beam_size=1"));
  const Result seconds = run(canary({"+model.train_ds.batch_duration=100"}));
  EXPECT_EQ(seconds.status, 69) << seconds.err;
  EXPECT_THAT(seconds.err, HasSubstr("max_seconds"));
}

}  // namespace
}  // namespace fathom::e2e
