#include "plugins/lib/text/char_tokenizer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "fathom/error.h"

namespace fathom::text {
namespace {

class CharTokenizerTest : public ::testing::Test {
 protected:
  CharTokenizerTest() : path_(::testing::TempDir() + "/char_vocab_" + std::to_string(::getpid())) {}
  ~CharTokenizerTest() override { std::remove(path_.c_str()); }
  CharTokenizer with(const std::string& content) {
    std::ofstream(path_) << content;
    return CharTokenizer(path_);
  }
  std::string path_;
};

TEST_F(CharTokenizerTest, ReadsPythonsLiterals) {
  const auto tokenizer = with("'\\t'\n' '\n\"'\"\n'\\\\'\n'å'\n'\\u2014'\n");
  EXPECT_EQ(tokenizer.vocab_size(), 10);
  EXPECT_EQ(tokenizer.text_to_ids("å \t'\\—x"), (std::vector<int64_t>{8, 5, 4, 6, 7, 9, 1}));
  EXPECT_EQ(tokenizer.text_to_tokens("åx"), (std::vector<std::string>{"å", "<UNK>"}));
  EXPECT_EQ(tokenizer.ids_to_text({2, 8, 1, 9, 3}), "å—");
  EXPECT_THROW(tokenizer.ids_to_text({10}), Error);
}

TEST_F(CharTokenizerTest, NamesTheLineThatIsWrong) {
  for (const std::string bad : {"a", "'ab'", "'\\q'", "'a", "'\\u00'", "''"}) {
    try {
      with("'a'\n" + bad + "\n");
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), path_ + ":2") << bad;
    }
  }
  EXPECT_THROW(with("\n"), Error);
  EXPECT_THROW(CharTokenizer("/nowhere/vocab.txt"), Error);
}

}  // namespace
}  // namespace fathom::text
