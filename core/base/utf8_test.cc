#include "fathom/utf8.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(Utf8, AcceptsWellFormedAndRefusesTheRest) {
  EXPECT_TRUE(utf8::is_valid("gr\xc3\xbc\xc3\x9f"));
  EXPECT_TRUE(utf8::is_valid("\xf0\x9f\x8e\x99"));
  EXPECT_FALSE(utf8::is_valid("\xc3"));          // cut short
  EXPECT_FALSE(utf8::is_valid("\xc0\xaf"));      // overlong
  EXPECT_FALSE(utf8::is_valid("\xed\xa0\x80"));  // surrogate
  EXPECT_FALSE(utf8::is_valid("\xff"));
}

TEST(Utf8, StepsOverDamageByteByByte) {
  const std::string text = "a\xff\xc3\xbc\xed\xa0\x80\xe2\x82";  // a, stray byte, u umlaut, surrogate, cut short
  EXPECT_EQ(utf8::length(text), 1u + 1 + 1 + 3 + 2);
  EXPECT_EQ(utf8::step(text, 2), 2u);
  char32_t code = 0;
  EXPECT_EQ(utf8::decode(text, 2, &code), 2u);
  EXPECT_EQ(code, U'\u00fc');
  EXPECT_EQ(utf8::decode(text, 1, &code), 0u);
}

TEST(Utf8, WritesWhatItReads) {
  for (const char32_t code : {U'a', U'\u00e9', U'\u20ac', U'\U0001f399', U'\U0010ffff'}) {
    const std::string text = utf8::encode(code);
    char32_t read = 0;
    EXPECT_EQ(utf8::decode(text, 0, &read), text.size());
    EXPECT_EQ(read, code);
  }
  EXPECT_TRUE(utf8::is_white_space(U'\u00a0') && utf8::is_white_space(U'\u3000') && !utf8::is_white_space(U'\u200b'));
}

}  // namespace
}  // namespace fathom
