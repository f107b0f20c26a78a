#include "plugins/lib/text/trained_g2p/g2p_model.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "fathom/error.h"
#include "plugins/lib/text/trained_g2p/g2p_training.h"

namespace fathom::text {
namespace {

// A language whose rules are known: "sh" is S^, "e" at a word's end is silent, "x" is K S, "c" is S before "i", else K.
std::vector<std::string> said(const std::string& word) {
  std::vector<std::string> out;
  for (size_t i = 0; i < word.size(); ++i) {
    const char c = word[i], next = i + 1 < word.size() ? word[i + 1] : '\0';
    if (c == 's' && next == 'h') {
      out.emplace_back("SH");
      ++i;
    } else if (c == 'x') {
      out.emplace_back("K");
      out.emplace_back("S");
    } else if (c == 'c') {
      out.emplace_back(next == 'i' ? "S" : "K");
    } else if (c == 'e' && next == '\0' && i > 0) {
      continue;
    } else {
      out.push_back(c == 'a'   ? "AA1"
                    : c == 'i' ? "IY0"
                    : c == 'e' ? "EH0"
                               : std::string(1, static_cast<char>(c - 'a' + 'A')));
    }
  }
  return out;
}

std::vector<G2pEntry> words_of(unsigned seed, int count) {
  std::mt19937 random(seed);
  std::vector<G2pEntry> out;
  for (int i = 0; i < count; ++i) {
    std::string word;
    const size_t length = 2 + random() % 6;
    while (word.size() < length) word += "abcdehimnstx"[random() % 12];
    out.push_back({word, said(word)});
  }
  return out;
}

class TrainedG2p : public ::testing::Test {
 protected:
  TrainedG2p() : path_(::testing::TempDir() + "/model_" + std::to_string(::getpid()) + ".g2p") {}
  ~TrainedG2p() override { std::filesystem::remove(path_); }
  const std::string path_;
};

TEST_F(TrainedG2p, LearnsRules) {
  size_t left_out = 1;
  const G2pModel model = train_g2p(words_of(1, 3000), {}, &left_out);
  EXPECT_EQ(left_out, 0u);
  const G2pErrors errors = measure_g2p(model, words_of(2, 300));
  EXPECT_LT(errors.phoneme_error(), 0.03);
  ASSERT_EQ(model.pronounce("SHACIME").size(), 1u);
  EXPECT_EQ(model.pronounce("SHACIME")[0].phonemes, said("shacime"));
  const auto several = model.pronounce("xenace", 5);
  ASSERT_GT(several.size(), 1u);
  for (size_t i = 1; i < several.size(); ++i) EXPECT_GE(several[i - 1].log_probability, several[i].log_probability);
  EXPECT_LE(std::exp(several[0].log_probability), 1.0);
  EXPECT_TRUE(model.pronounce("").empty());
  EXPECT_TRUE(model.pronounce("zebra").empty()) << "no word had a z";
  EXPECT_TRUE(model.pronounce("b2").empty());
  EXPECT_TRUE(model.pronounce(std::string(201, 'a')).empty());
}

TEST_F(TrainedG2p, PruningCostsLittle) {
  const auto words = words_of(1, 3000), others = words_of(2, 300);
  G2pTraining pruning;
  pruning.prune = 1;
  const G2pModel whole = train_g2p(words, {}, nullptr), pruned = train_g2p(words, pruning, nullptr);
  EXPECT_LT(pruned.ngrams(), whole.ngrams() / 2);
  EXPECT_LT(measure_g2p(pruned, others).phoneme_error(), measure_g2p(whole, others).phoneme_error() + 0.02);
}

TEST_F(TrainedG2p, IsTheSameFromAFile) {
  const G2pModel model =
      train_g2p(words_of(1, 500), {.order = 7, .alignment_rounds = 12, .prune = 0, .note = "made up"}, nullptr);
  model.save(path_);
  const G2pModel again = G2pModel::open(path_);
  EXPECT_EQ(again.note(), "made up");
  EXPECT_EQ(again.ngrams(), model.ngrams());
  for (const G2pEntry& entry : words_of(3, 100)) {
    const auto a = model.pronounce(entry.word, 3), b = again.pronounce(entry.word, 3);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].phonemes, b[i].phonemes);
      EXPECT_EQ(a[i].log_probability, b[i].log_probability);
    }
  }
}

TEST_F(TrainedG2p, RefusesDamagedFiles) {
  train_g2p(words_of(1, 100), {}, nullptr).save(path_);
  std::ifstream file(path_, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(file)), {});
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    if (i % 3 == 0)
      bad.resize(random() % good.size());
    else
      bad[random() % good.size()] ^= static_cast<char>(1 + random() % 255);
    std::ofstream(path_, std::ios::binary) << bad;
    EXPECT_THROW(G2pModel::open(path_), Error) << i;
  }
  EXPECT_THROW(G2pModel::open(path_ + ".none"), Error);
}

TEST_F(TrainedG2p, ReadsDictionaries) {
  std::ofstream(path_) << ";;; a comment\nHello  HH AH0 L OW1 # greeting\nhello(2) HH EH0 L OW1\n\ncat\tK AE1 T\n";
  const auto first = read_g2p_entries(path_);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].word, "hello");
  EXPECT_EQ(first[0].phonemes, (std::vector<std::string>{"HH", "AH0", "L", "OW1"}));
  EXPECT_EQ(read_g2p_entries(path_, {.all_pronunciations = true}).size(), 3u);
  std::ofstream(path_) << "cat K AE1 T\ndog\n";
  try {
    read_g2p_entries(path_);
    FAIL() << "a word without phonemes was read";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path_ + ":2"), std::string::npos) << error.what();
  }
  EXPECT_THROW(train_g2p({{"a", {"A"}}}, {}, nullptr), Error) << "too few";
}

// The one that comes along, of all of CMUdict.
TEST_F(TrainedG2p, TheShippedOneSpeaksEnglish) {
  const G2pModel model = G2pModel::open(FATHOM_SOURCE_DIR "/plugins/tts_text/data/en_us.g2p");
  const auto say = [&](const char* word) {
    std::string out;
    const auto ways = model.pronounce(word);
    for (const auto& phoneme : ways.at(0).phonemes) out += (out.empty() ? "" : " ") + phoneme;
    return out;
  };
  EXPECT_EQ(say("cat"), "K AE1 T");
  EXPECT_EQ(say("blorping"), "B L AO1 R P IH0 NG");
  EXPECT_EQ(say("it's"), "IH1 T S");
}

// Of 21,208 words of CMUdict, on 1108 others.
TEST_F(TrainedG2p, SaysUnseenWords) {
  const std::string folder = FATHOM_SOURCE_DIR "/../shared/data/g2p_cmudict";
  if (!std::filesystem::exists(folder + "/train.tsv")) GTEST_SKIP() << "no " << folder;
  const G2pModel model = train_g2p(read_g2p_entries(folder + "/train.tsv"), {}, nullptr);
  const G2pErrors errors = measure_g2p(model, read_g2p_entries(folder + "/test.tsv"));
  EXPECT_EQ(errors.words, 1108u);
  EXPECT_LE(errors.phoneme_error(), 0.11);
  EXPECT_LE(errors.word_error(), 0.45);
}

}  // namespace
}  // namespace fathom::text
