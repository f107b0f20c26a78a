// Texts and their classes: a small BERT learns to tell spam, is restored in a new process and judges what it is given.
#include <gmock/gmock.h>

#include "tests/e2e/recipe_test.h"

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;

class TextClassification : public RecipeTest {
 protected:
  TextClassification() : RecipeTest(FATHOM_SOURCE_DIR "/configs/nlp", FATHOM_SOURCE_DIR "/tests/data/sms_spam") {}
  static std::vector<Json> items_of(const std::string& lines) {
    std::vector<Json> out;
    std::istringstream stream(lines);
    for (std::string line; std::getline(stream, line);) out.push_back(Json::parse(line));
    return out;
  }
};

TEST_F(TextClassification, LearnsToTellSpam) {
  write_file_atomically(folder_ + "/names.txt", "ham\nspam\n");
  const Result trained = run(words_of(
      "run", "sms_spam", {"trainer.max_epochs=1", "model.class_labels.class_labels_file=" + folder_ + "/names.txt"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_GT(metric("run", "val_f1").back(), 97);
  EXPECT_THAT(trained.err, HasSubstr("spam  "));  // the table of classes
  fs::remove(folder_ + "/names.txt");
  const std::string nemo = folder_ + "/run/checkpoints/sms_spam.nemo";

  write_file_atomically(
      folder_ + "/texts.jsonl",
      "{\"text\": \"I'm going to be home soon, see you there\", \"id\": 7}\n\n"
      "{\"text\": \"URGENT! You have won a 1000 pounds cash prize, call 09061701461 to claim now\"}\n");
  const Result judged = fathom({"infer", nemo, "--input", folder_ + "/texts.jsonl", "--option", "scores=true"});
  ASSERT_EQ(judged.status, 0) << judged.err;
  const auto items = items_of(judged.out);
  ASSERT_EQ(items.size(), 2u) << judged.out;
  EXPECT_EQ(items[0]["label"], "ham");
  EXPECT_EQ(items[0]["id"], 7);
  EXPECT_EQ(items[1]["label"], "spam");
  EXPECT_GT(items[1]["scores"][1].get<double>(), 0.5);
  // One at a time, from a file and from a word: the same bits.
  const Result single = fathom(
      {"infer", nemo, "--text", items[1]["text"], "--option", "scores=true", "--output", folder_ + "/out.jsonl"});
  ASSERT_EQ(single.status, 0) << single.err;
  EXPECT_EQ(items_of(read_file(folder_ + "/out.jsonl"))[0], items[1]);

  std::string endless;
  for (int i = 0; i < 300; ++i) endless += "more ";
  const Result cut = fathom({"infer", nemo, "--text", endless});
  ASSERT_EQ(cut.status, 0) << cut.err;
  EXPECT_EQ(items_of(cut.out)[0]["left_out"], 300 - 254);
  write_file_atomically(folder_ + "/bad.jsonl", "{\"text\": \"fine\"}\n{\"txt\": 1}\n");
  const Result bad = fathom({"infer", nemo, "--input", folder_ + "/bad.jsonl"});
  EXPECT_EQ(bad.status, 65);
  EXPECT_THAT(bad.err, HasSubstr("bad.jsonl:2"));
  EXPECT_EQ(fathom({"infer", nemo, "--text", "a", "--option", "score=true"}).status, 2);
  EXPECT_EQ(fathom({"infer", nemo}).status, 2);
}

TEST_F(TextClassification, GoesOnToTheBit) { expect_exact_resume("sms_spam"); }

TEST_F(TextClassification, FineTunesAFolderOfTheTransformersLibrary) {
  // Such a folder, of the weights of a model that was trained here.
  const Result trained =
      run(words_of("first", "sms_spam",
                   {"trainer.max_epochs=1", "++trainer.limit_train_batches=2", "++trainer.limit_val_batches=1"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string hub = folder_ + "/bert-tiny-uncased";
  fs::create_directories(hub);
  fs::copy_file(std::string(FATHOM_SOURCE_DIR) + "/tests/data/sms_spam/vocab.txt", hub + "/vocab.txt");
  write_file_atomically(hub + "/config.json",
                        R"({"model_type": "bert", "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                            "intermediate_size": 96, "max_position_embeddings": 256, "vocab_size": 1400})");
  const auto fine_tune = [&](const std::string& name) {
    return run(words_of(name, "sms_spam",
                        {"trainer.max_epochs=1", "++trainer.limit_train_batches=2", "++trainer.limit_val_batches=1",
                         "model.language_model.config=null", "model.tokenizer.vocab_file=null",
                         "model.tokenizer.tokenizer_name=null", "model.language_model.pretrained_model_name=" + hub}));
  };
  EXPECT_THAT(fine_tune("none").err, HasSubstr("model.safetensors or pytorch_model.bin"));
  const Result converted =
      fathom({"convert", folder_ + "/first/checkpoints/sms_spam.nemo", hub + "/model.safetensors"});
  ASSERT_EQ(converted.status, 0) << converted.err;
  const Result tuned = fine_tune("tuned");
  EXPECT_EQ(tuned.status, 0) << tuned.err;
  EXPECT_TRUE(fs::exists(folder_ + "/tuned/checkpoints/sms_spam.nemo"));
}

TEST_F(TextClassification, SaysWhatIsWrongWithItsTexts) {
  const auto refused = [&](const std::string& lines, const std::vector<std::string>& more = {}) {
    write_file_atomically(folder_ + "/texts.tsv", lines);
    std::vector<std::string> words = {"model.train_ds.file_path=" + folder_ + "/texts.tsv"};
    words.insert(words.end(), more.begin(), more.end());
    const Result result = run(words_of("refused", "sms_spam", words));
    EXPECT_NE(result.status, 0);
    EXPECT_FALSE(fs::exists(folder_ + "/refused/checkpoints"));
    return result.err;
  };
  EXPECT_THAT(refused("sentence\tlabel\nfine\t0\nno number\n"), HasSubstr("texts.tsv:3"));
  EXPECT_THAT(refused("fine\t0\nother\t2\n"), HasSubstr("0 to 1"));
  EXPECT_THAT(refused("fine\t0\n\nmore\t1\n"), HasSubstr("texts.tsv:2"));
  EXPECT_THAT(refused("\xff\t0\n"), HasSubstr("UTF-8"));
  EXPECT_THAT(refused("sentence\tlabel\n"), HasSubstr("no texts"));
  EXPECT_THAT(refused("a\t0\n", {"model.dataset.class_balancing=weighted_loss"}), HasSubstr("none of class 1"));
  EXPECT_THAT(refused("a\t0\n", {"++model.language_model.config.vocab_size=1000"}), HasSubstr("1400 tokens"));
  EXPECT_THAT(refused("a\t0\n", {"model.language_model.config.num_attention_heads=5"}), HasSubstr("a divisor of 48"));
  EXPECT_THAT(refused("a\t0\n", {"model.language_model.config=null"}), HasSubstr("language_model.config"));
  EXPECT_THAT(refused("a\t0\n", {"model.tokenizer.tokenizer_name=roberta-base"}), HasSubstr("only WordPiece"));
}

}  // namespace
}  // namespace fathom::e2e
