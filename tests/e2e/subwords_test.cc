// A model on subwords from nothing to its text: trained on the digits, saved with its tokenizer, restored, transcribed,
// fine-tuned with another tokenizer, resumed; and what is said where tokenizer and model do not fit.
#include <gmock/gmock.h>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

const std::string kTokenizers = FATHOM_SOURCE_DIR "/tests/data/tokenizers";

class Subwords : public TrainingTest {
 protected:
  std::vector<std::string> train_words(const std::string& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"data_dir=" + kDigits, "tokenizer_dir=" + kTokenizers + "/digits"};
    all.insert(all.end(), more.begin(), more.end());
    return recipe_in(run, "digits_citrinet", all);
  }
  static std::vector<std::string> short_run() {
    return {"trainer.max_epochs=1", "++trainer.limit_train_batches=3", "++trainer.limit_val_batches=1",
            "++trainer.limit_test_batches=1"};
  }
  std::string nemo_of(const std::string& run) const {
    return folder_ + "/" + run + "/checkpoints/digits_citrinet.nemo";
  }
  static Result transcribe(const std::string& nemo) {
    return fathom({"transcribe", nemo, "--manifest", kDigits + "/test.json", "--batch-size", "50", "--json"});
  }
};

TEST_F(Subwords, LearnToReadDigitsAndAreSavedWithTheirTokenizer) {
  // Enough to be well below what a model that has learnt nothing gets.
  const Result trained = run(train_words("run", {"trainer.max_epochs=4", "trainer.check_val_every_n_epoch=4"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const auto archive = checkpoint::NemoArchive::open(nemo_of("run"));
  std::vector<std::string> names;
  for (const auto& member : archive.members()) {
    const size_t prefix = member.name.find('_');
    if (member.name.ends_with("tokenizer.model") || member.name.ends_with("vocab.txt") ||
        member.name.ends_with("tokenizer.vocab")) {
      EXPECT_EQ(prefix, 32u) << member.name;
      EXPECT_EQ(member.bytes, read_file(kTokenizers + "/digits/" + member.name.substr(prefix + 1)));
      names.push_back(member.name);
    }
  }
  EXPECT_EQ(names.size(), 3u);
  const std::string config = archive.config_text();
  for (const char* part : {"target: nemo.collections.asr.models.EncDecCTCModelBPE", "model_path: nemo:",
                           "vocab_path: nemo:", "spe_tokenizer_vocab: nemo:", "num_classes: 32", "feat_in: 128"})
    EXPECT_THAT(config, HasSubstr(part));

  const Result heard = transcribe(nemo_of("run"));
  ASSERT_EQ(heard.status, 0) << heard.err;
  const auto document = nlohmann::json::parse(heard.out);
  EXPECT_EQ(document["items"].size(), 250u);
  EXPECT_LT(document["wer"].get<double>(), 0.7) << "nothing learnt: about 1";
}

TEST_F(Subwords, GoOnWhereTheyWereStopped) {
  const auto part = [&](const std::string& name, const std::string& epochs) {
    return run(
        train_words(name, {"trainer.max_epochs=" + epochs, "++trainer.limit_train_batches=3",
                           "++trainer.limit_val_batches=1", "++trainer.limit_test_batches=1", "~model.optim.sched",
                           "++exp_manager.resume_if_exists=true", "++exp_manager.resume_ignore_no_checkpoint=true"}));
  };
  const Result once = part("once", "2"), first = part("twice", "1"), second = part("twice", "2");
  for (const Result* result : {&once, &first, &second}) ASSERT_EQ(result->status, 0) << result->err;
  EXPECT_EQ(final_weights("once", "digits_citrinet.nemo"), final_weights("twice", "digits_citrinet.nemo"));
}

TEST_F(Subwords, AreFineTunedWithAnotherTokenizer) {
  ASSERT_EQ(run(train_words("base", short_run())).status, 0);
  const auto tune = [&](const std::string& name, const std::string& dir) {
    write_file_atomically(
        folder_ + "/finetune.yaml",
        "name: finetune\ninit_from_nemo_model: " + nemo_of("base") +
            "\nmodel:\n  char_labels: {update_labels: false, labels: null}\n  tokenizer: {update_tokenizer: true, "
            "dir: " +
            dir + ", type: bpe}\n  train_ds: {manifest_filepath: " + kDigits +
            "/train.json, sample_rate: 8000, batch_size: 8}\n  optim: {name: sgd, lr: 0.0}\n"
            "trainer: {max_steps: 1, limit_val_batches: 1, limit_test_batches: 1}\nexp_manager: {explicit_log_dir: " +
            folder_ + "/" + name + "}\n");
    return fathom({"train", "-cp", folder_, "-cn", "finetune"});
  };
  // One of as many tokens keeps the decoder's weights.
  fs::create_directories(folder_ + "/same");
  fs::copy_file(kTokenizers + "/digits/tokenizer.model", folder_ + "/same/tokenizer.model");
  const Result same = tune("tuned_same", folder_ + "/same");
  ASSERT_EQ(same.status, 0) << same.err;
  const auto before = final_weights("base", "digits_citrinet.nemo"),
             kept = final_weights("tuned_same", "finetune.nemo");
  EXPECT_EQ(kept.at("decoder.decoder_layers.0.weight"), before.at("decoder.decoder_layers.0.weight"));

  fs::create_directories(folder_ + "/other");
  fs::copy_file(kTokenizers + "/char.model", folder_ + "/other/tokenizer.model");
  const Result other = tune("tuned_other", folder_ + "/other");
  ASSERT_EQ(other.status, 0) << other.err;
  EXPECT_THAT(other.err, HasSubstr("changed the tokenizer: 31 tokens"));
  const auto after = final_weights("tuned_other", "finetune.nemo");
  EXPECT_EQ(after.at("encoder.encoder.0.mconv.0.conv.weight"), before.at("encoder.encoder.0.mconv.0.conv.weight"));
  EXPECT_EQ(after.at("decoder.decoder_layers.0.bias").size(), 32 * sizeof(float));  // 31 tokens and the blank
  const auto archive = checkpoint::NemoArchive::open(folder_ + "/tuned_other/checkpoints/finetune.nemo");
  EXPECT_THAT(archive.config_text(), HasSubstr("num_classes: 31"));
  EXPECT_EQ(archive.config_text().find("update_tokenizer"), std::string::npos);
  EXPECT_EQ(transcribe(folder_ + "/tuned_other/checkpoints/finetune.nemo").status, 0);

  const Result none = tune("tuned_none", "null");
  EXPECT_EQ(none.status, 1) << none.err;
  EXPECT_THAT(none.err, HasSubstr("model.tokenizer.dir"));
  EXPECT_FALSE(fs::exists(folder_ + "/tuned_none"));
}

// The archive's tokenizer in the place of another one: by mistake, or by somebody.
TEST_F(Subwords, AFileWithAnotherTokenizerThanItsDecoderIsRefused) {
  ASSERT_EQ(run(train_words("run", short_run())).status, 0);
  const auto archive = checkpoint::NemoArchive::open(nemo_of("run"));
  std::vector<checkpoint::NemoMember> members;
  for (const auto& member : archive.members()) {
    const bool pieces = member.name.ends_with("tokenizer.model");
    members.push_back(checkpoint::NemoMember::of_text(
        member.name, pieces ? read_file(kTokenizers + "/char.model") : std::string(member.bytes)));
  }
  const std::string swapped = folder_ + "/swapped.nemo", temporary = folder_ + "/tmp";
  checkpoint::write_nemo_archive(swapped, members);
  fs::create_directories(temporary);
  const Result heard = run({fathom_program(), "transcribe", swapped, any_clip()}, {"TMPDIR=" + temporary});
  EXPECT_EQ(heard.status, 65) << heard.err;
  for (const char* part : {"decoder.num_classes", "32, and a tokenizer of 31"}) EXPECT_THAT(heard.err, HasSubstr(part));
  EXPECT_TRUE(fs::is_empty(temporary));
}

TEST_F(Subwords, WhatDoesNotFitIsRefusedBeforeAnythingIsWritten) {
  const auto refused = [&](const std::string& word, int status, const std::string& part) {
    const Result result = run(train_words("refused", {word}));
    EXPECT_EQ(result.status, status) << word << "\n" << result.err;
    EXPECT_THAT(result.err, HasSubstr(part)) << word;
    EXPECT_FALSE(fs::exists(folder_ + "/refused")) << word;
  };
  refused("model.decoder.num_classes=7", 1, "a tokenizer of 32");
  refused("model.tokenizer.type=spm", 1, "bpe (SentencePiece), wpe (WordPiece) or agg");
  refused("model.tokenizer.type=agg", 1, "model.tokenizer.langs");
  refused("tokenizer_dir=" + folder_, 66, "tokenizer.model");
  refused("~model.tokenizer", 1, "model.tokenizer");
  refused("model._target_=nemo.collections.asr.models.EncDecCTCModel", 1, "EncDecCTCModelBPE");
  fs::create_directories(folder_ + "/broken");
  write_file_atomically(folder_ + "/broken/tokenizer.model", "\n\x7fno model");
  refused("tokenizer_dir=" + folder_ + "/broken", 65, "tokenizer.model");
}

}  // namespace
}  // namespace fathom::e2e
