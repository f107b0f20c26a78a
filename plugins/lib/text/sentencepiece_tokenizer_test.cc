#include "plugins/lib/text/sentencepiece_tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "fathom/json.h"
#include "plugins/lib/recorded_test_data.h"

namespace fathom::text {
namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A protocol buffer, field by field.
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out += static_cast<char>(value);
}
std::string number(int field, uint64_t value) { return varint(static_cast<uint64_t>(field) << 3) + varint(value); }
std::string block(int field, const std::string& bytes) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string piece(const std::string& text, float score, int type = 1) {
  std::string bits(4, '\0');
  std::memcpy(bits.data(), &score, 4);
  return block(1, block(1, text) + varint(2 << 3 | 5) + bits + number(3, static_cast<uint64_t>(type)));
}
std::string model_bytes(const std::string& pieces, int algorithm = 2, const std::string& normalizer = "") {
  return pieces + block(2, number(3, static_cast<uint64_t>(algorithm))) + block(3, normalizer);
}
const std::string kUnknown = piece("<unk>", 0, 2);

std::shared_ptr<SentencePieceTokenizer> make(const std::string& bytes) {
  return std::make_shared<SentencePieceTokenizer>(SentencePieceModel::parse(bytes, "a.model"), "a.model");
}
std::string error_of(const std::string& bytes) {
  try {
    make(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadData);
    return error.what();
  }
  return "";
}

// What the library of that name (0.2.3) makes of the same models and texts; how they were made is in the folder's
// README.
TEST(SentencePieceTokenizer, DoesWhatTheLibraryDoes) {
  const std::string folder = FATHOM_SOURCE_DIR "/tests/data/tokenizers/";
  std::map<std::string, std::shared_ptr<const SentencePieceTokenizer>> tokenizers;
  size_t encoded = 0, decoded = 0;
  for (const auto& row : nlohmann::json::parse(bytes_of(folder + "recorded.json"))) {
    const std::string name = row["model"];
    auto& tokenizer = tokenizers[name];
    if (!tokenizer) tokenizer = SentencePieceTokenizer::open(folder + name + ".model");
    if (row.contains("decode")) {
      EXPECT_EQ(tokenizer->ids_to_text(row["decode"].get<std::vector<int64_t>>()), row["decoded"].get<std::string>())
          << name << row;
      ++decoded;
      continue;
    }
    const std::string text = row["text"];
    EXPECT_EQ(nlohmann::json(tokenizer->text_to_ids(text)), row["ids"]) << name << row;
    EXPECT_EQ(nlohmann::json(tokenizer->text_to_tokens(text)), row["pieces"]) << name << row;
    EXPECT_EQ(tokenizer->ids_to_text(row["ids"].get<std::vector<int64_t>>()), row["decoded"].get<std::string>())
        << name << row;
    ++encoded;
  }
  EXPECT_EQ(tokenizers.size(), 6u);
  EXPECT_GT(encoded, 100u);
  EXPECT_GT(decoded, 30u);
}

TEST(SentencePieceTokenizer, KnowsItsSpecialTokensAndWhereWordsBegin) {
  const auto tokenizer = SentencePieceTokenizer::open(FATHOM_SOURCE_DIR "/tests/data/tokenizers/unigram_rules.model");
  const SpecialIds ids = tokenizer->special_ids();
  EXPECT_EQ(ids.pad, 0);
  EXPECT_EQ(ids.unk, 1);
  EXPECT_EQ(ids.bos, 2);
  EXPECT_EQ(ids.eos, 3);
  EXPECT_EQ(tokenizer->token_to_id("no such piece"), 1);
  EXPECT_TRUE(tokenizer->starts_word(tokenizer->token_to_id("\u2581the")));
  EXPECT_FALSE(tokenizer->starts_word(tokenizer->token_to_id("fox")));
  EXPECT_THROW(tokenizer->id_to_token(79), Error);
  EXPECT_THROW(tokenizer->ids_to_text({-1}), Error);
  const auto digits = SentencePieceTokenizer::open(FATHOM_SOURCE_DIR "/tests/data/tokenizers/digits/tokenizer.model");
  EXPECT_EQ(digits->special_ids().bos, -1);
  EXPECT_EQ(digits->vocab_size(), 32);
}

// Merging goes through a piece that is not used, whose halves then stand for it.
TEST(SentencePieceTokenizer, AnUnusedPieceIsTakenApartAgain) {
  const std::string pieces = kUnknown + piece("a", -3) + piece("b", -4) + piece("c", -5) + piece("ab", -1, 5);
  const std::string plain = number(3, 0);  // no dummy prefix
  EXPECT_EQ(make(model_bytes(pieces, 2, plain))->text_to_tokens("abc"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(make(model_bytes(pieces + piece("abc", -2), 2, plain))->text_to_tokens("abcab"),
            (std::vector<std::string>{"abc", "a", "b"}));
}

TEST(SentencePieceTokenizer, AFileThatIsNoModelIsRefusedWithItsReason) {
  EXPECT_NE(error_of("no model at all").find("a.model"), std::string::npos);
  EXPECT_NE(error_of("").find("no pieces"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(piece("a", 0))).find("0 unknown pieces"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown + piece("a", 0) + piece("a", 0))).find("'a' twice"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown + piece("", 0))).find("an empty piece"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown + piece("a", NAN))).find("not finite"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown + piece(std::string(2000, 'a'), 0))).find("2000 bytes"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown + piece("<0x41>", 0, 6))).find("without byte_fallback"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown, 9)).find("model type 9"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown) + block(2, number(35, 1))).find("0 byte pieces"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown, 2, block(2, "ab"))).find("normalisation table"), std::string::npos);
  EXPECT_NE(error_of(model_bytes(kUnknown, 2, block(2, std::string("\xff\xff\xff\x7f") + "abcd"))).find("a trie of"),
            std::string::npos);
  EXPECT_THROW(SentencePieceTokenizer::open("/no/such.model"), Error);

  // Cut short anywhere, a model is refused or, where only pieces are missing, smaller.
  const std::string whole = bytes_of(FATHOM_SOURCE_DIR "/tests/data/tokenizers/unigram_rules.model");
  size_t refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) refused += error_of(whole.substr(0, size)).empty() ? 0 : 1;
  EXPECT_GT(refused, whole.size() * 3 / 4);
}

// A trie that leads out of itself, in circles, or to a replacement that is not there.
TEST(SentencePieceTokenizer, ADamagedNormalisationTableEndsInAnErrorOrIsPassedOver) {
  const auto table = [](std::vector<uint32_t> units, const std::string& replacements) {
    std::string out(4 + units.size() * 4, '\0');
    const auto size = static_cast<uint32_t>(units.size() * 4);
    std::memcpy(out.data(), &size, 4);
    std::memcpy(out.data() + 4, units.data(), size);
    return block(2, out + replacements) + number(3, 0);
  };
  // The root's children lie at 1 ^ byte; 'a' is 0x61, and its unit is the only one with that label.
  const auto with_a = [&](uint32_t unit_of_a, uint32_t leaf, const std::string& replacements) {
    std::vector<uint32_t> units(0x80, 0);
    units[0] = 1 << 10;
    units[0x60] = 'a' | unit_of_a;
    units[0x61] = leaf;
    return model_bytes(kUnknown + piece("x", 0), 2, table(units, replacements));
  };
  const uint32_t leaf_beside = 1 << 10 | 1 << 8;
  EXPECT_EQ(make(with_a(leaf_beside, 1u << 31, "x"))->text_to_tokens("aa"), (std::vector<std::string>{"x", "x"}));
  EXPECT_THROW(make(with_a(leaf_beside, 1u << 31 | 9, "x"))->text_to_tokens("a"), Error);
  EXPECT_EQ(make(with_a(1 << 8 | 0xfff << 10, 0, "x"))->text_to_tokens("a"), (std::vector<std::string>{"a"}));
  EXPECT_EQ(make(with_a(0, 0, "x"))->text_to_tokens("aaaa"), (std::vector<std::string>{"aaaa"}));
  EXPECT_THROW(make(with_a(leaf_beside, 1u << 31, std::string(100000, 'x')))->text_to_tokens("aaaa"), Error);
}

TEST(SentencePieceTokenizer, LongTextsTakeTimeInProportion) {
  const auto digits = SentencePieceTokenizer::open(FATHOM_SOURCE_DIR "/tests/data/tokenizers/digits/tokenizer.model");
  std::string text;
  for (int i = 0; i < 40000; ++i) text += "seven";
  EXPECT_EQ(digits->ids_to_text(digits->text_to_ids(text)), text);
}

}  // namespace
}  // namespace fathom::text
