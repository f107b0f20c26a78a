#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/plugins/host_table.h"
#include "plugins/lib/text/speech_tokenizer_handle.h"
#include "plugins/tts_text/chars_tokenizers.h"
#include "plugins/tts_text/g2p_components.h"
#include "plugins/tts_text/phoneme_tokenizers.h"
#include "plugins/tts_text/text_normalizers.h"

namespace fathom::tts {
namespace {

using Ids = std::vector<int64_t>;

class SpeechTokenizerTest : public ::testing::Test {
 protected:
  SpeechTokenizerTest() : folder_(::testing::TempDir() + "/speech_tokenizers_" + std::to_string(::getpid())) {
    host_slot() = plugins::host_table();
    std::filesystem::create_directories(folder_);
  }
  ~SpeechTokenizerTest() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
    return folder_ + "/" + name;
  }
  std::string cmu() const {
    return file("cmu",
                ";;; a comment\nHELLO  HH AH0 L OW1\nHELLO(1)  HH EH0 L OW1\nWORLD  W ER1 L D\nCAT  K AE1 T\n"
                "LIVE  L AY1 V\nBUS  B AH1 S\n");
  }
  Json english(const Json& more = Json::object()) const {
    Json section = {{"_target_", "nemo.collections.tts.g2p.models.en_us_arpabet.EnglishG2p"}, {"phoneme_dict", cmu()}};
    section.update(more);
    return section;
  }
  Json ipa(const Json& more = Json::object()) const {
    Json section = {{"_target_", "nemo.collections.tts.g2p.models.i18n_ipa.IpaG2p"},
                    {"phoneme_dict", file("ipa", "HELLO  həˈɫoʊ\nWORLD  ˈwɝɫd\nCAT ˈkæt\nJONES ˈdʒoʊnz\nSIT ˈsɪt\n")}};
    section.update(more);
    return section;
  }
  template <typename T>
  static T made(const Json& config) {
    return T(parse_options<typename T::Options>(config, "text_tokenizer"));
  }
  static std::string spoken(const Tokenizer& tokenizer, std::string_view text) {
    return tokenizer.decode(tokenizer.encode(text));
  }
  // What making it says, with the error's place.
  template <typename F>
  static std::string error_of(F&& make) {
    try {
      make();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::string folder_;
};

TEST_F(SpeechTokenizerTest, OrdersIdsAsNeMoDoes) {
  const auto plain = made<EnglishCharsTokenizer>({});
  EXPECT_EQ(plain.vocab_size(), 45);
  EXPECT_EQ(plain.piece(0), " ");
  EXPECT_EQ(plain.piece(1), "a");
  EXPECT_EQ(plain.piece(27), "'");
  EXPECT_EQ(plain.piece(43), "<pad>");
  EXPECT_EQ(plain.piece(44), "<oov>");
  const auto last = made<EnglishCharsTokenizer>({{"add_blank_at", "last"}, {"punct", false}});
  EXPECT_EQ(last.piece(28), "<pad>");
  EXPECT_EQ(last.piece(29), "<oov>");
  EXPECT_EQ(last.piece(30), "<blank>");
  const auto before = made<EnglishCharsTokenizer>({{"add_blank_at", true}, {"apostrophe", false}, {"punct", false}});
  EXPECT_EQ(before.piece(28), "<blank>");
  EXPECT_EQ(before.piece(29), "<oov>");
}

TEST_F(SpeechTokenizerTest, CleansCharacters) {
  const auto tokenizer = made<EnglishCharsTokenizer>({{"pad_with_space", true}});
  EXPECT_EQ(spoken(tokenizer, "  Él’s  café “x”  "), " el's cafe \"x\" ");
  EXPECT_EQ(tokenizer.encode(""), (Ids{0, 0}));
  EXPECT_EQ(spoken(tokenizer, "日本 9 …"), "  ");  // nothing of it is in the vocabulary
  EXPECT_EQ(tokenizer.tokenizer().left_out(), 4u);
  EXPECT_EQ(spoken(made<EnglishCharsTokenizer>({}), "?!,"), "?!,");
  EXPECT_EQ(made<EnglishCharsTokenizer>({}).encode(" \t "), Ids{});
}

TEST_F(SpeechTokenizerTest, KnowsLanguages) {
  EXPECT_EQ(spoken(made<GermanCharsTokenizer>({}), "Übergrößen „Maß‚“"), "Übergrößen „Maß‚“");
  EXPECT_EQ(spoken(made<SpanishCharsTokenizer>({}), "¿QUÉ PASA, Ñandú?"), "¿qué pasa, ñandú?");
  EXPECT_EQ(spoken(made<FrenchCharsTokenizer>({}), "Ça va… «Noël»"), "ça va… «noël»");
  EXPECT_EQ(spoken(made<ItalianCharsTokenizer>({}), "Perché È"), "perché è");
  EXPECT_EQ(spoken(made<VietnameseCharsTokenizer>({}), "Tiếng Việt"), "tiếng việt");
  EXPECT_EQ(spoken(made<HindiCharsTokenizer>({}), "अंगड़ाई Hello।"), "अंगड़ाई Hello।");
  EXPECT_EQ(spoken(made<ArabicCharsTokenizer>({}), "مَرحبا Hi؟"), "مَرحبا Hi؟");
  EXPECT_EQ(spoken(made<GermanPhonemesTokenizer>({}), "ʃøːn1 ã"), "ʃøːn1");  // ã is composed: no token
}

TEST_F(SpeechTokenizerTest, SpeaksEnglish) {
  const auto tokenizer = made<EnglishPhonemesTokenizer>(
      {{"g2p", english({{"heteronyms", {"live"}}})}, {"stresses", true}, {"chars", true}});
  EXPECT_EQ(tokenizer.vocab_size(), 1 + 24 + 45 + 26 + 1 + 15 + 2);
  EXPECT_EQ(spoken(tokenizer, "World, cat!"), "W|ER1|L|D|,| |K|AE1|T|!");
  EXPECT_EQ(spoken(tokenizer, "cats cat's"), "K|AE1|T|Z| |K|AE1|T|Z");
  EXPECT_EQ(spoken(tokenizer, "hello live xy"), "h|e|l|l|o| |l|i|v|e| |x|y");  // ambiguous, heteronym, unknown
  EXPECT_EQ(spoken(tokenizer, "cat-world cat-xy"), "K|AE1|T|-|W|ER1|L|D| |K|AE1|T|-|x|y");
  EXPECT_EQ(spoken(tokenizer, "a |HH AH0| b"), "a| |HH|AH0| |b");
  EXPECT_EQ(spoken(made<EnglishPhonemesTokenizer>({{"g2p", english()}}), "World"), "W|ER|L|D");
  const auto first = made<EnglishPhonemesTokenizer>({{"g2p", english({{"ambiguous_words", "first"}})}});
  EXPECT_EQ(spoken(first, "hello"), "HH|AH|L|OW");
}

TEST_F(SpeechTokenizerTest, MixesLettersBySeed) {
  const EnglishPhonemesTokenizer tokenizer =
      made<EnglishPhonemesTokenizer>({{"g2p", english({{"phoneme_probability", 0.5}})}, {"stresses", true}});
  const auto* table = static_cast<const text::SpeechTokenizerTable*>(tokenizer.query(text::kSpeechTokenizerTable));
  void* self = const_cast<Tokenizer*>(static_cast<const Tokenizer*>(&tokenizer));
  double probability = 0;
  ASSERT_EQ(table->phoneme_probability(self, &probability), FATHOM_OK);
  EXPECT_EQ(probability, 0.5);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "cat ";
  const Ids all = tokenizer.encode(text);
  EXPECT_EQ(all.size(), 4u * 1000 - 1);
  const auto mixed = [&](double p, uint64_t seed) {
    Ids ids;
    const fathom_ids_sink sink = {
        &ids, [](void* ctx, const int64_t* data, size_t count) { static_cast<Ids*>(ctx)->assign(data, data + count); }};
    EXPECT_EQ(table->encode_mixed(self, to_abi(text), p, seed, &sink), FATHOM_OK);
    return ids;
  };
  EXPECT_EQ(mixed(0.5, 1), mixed(0.5, 1));
  EXPECT_NE(mixed(0.5, 1), mixed(0.5, 2));
  EXPECT_EQ(mixed(-1, 1), all);
  EXPECT_EQ(mixed(1, 1), all);
  const std::string half = tokenizer.decode(mixed(0.5, 3));
  const auto letters = std::count(half.begin(), half.end(), 'c');
  EXPECT_NEAR(static_cast<double>(letters), 500, 80);
}

TEST_F(SpeechTokenizerTest, SpeaksIpa) {
  const auto tokenizer = made<IPATokenizer>({{"g2p", ipa()}});
  EXPECT_EQ(spoken(tokenizer, "hello, cats Jones's"), "h|ə|ˈ|ɫ|o|ʊ|,| |ˈ|k|æ|t|s| |ˈ|d|ʒ|o|ʊ|n|z|ɪ|z");
  const auto letters =
      made<IPATokenizer>({{"g2p", ipa({{"use_chars", true}, {"grapheme_prefix", "#"}, {"use_stresses", false}})}});
  EXPECT_EQ(spoken(letters, "hello old"), "h|ə|ɫ|o|ʊ| |#O|#L|#D");
  const auto fixed = made<IPATokenizer>({{"g2p", ipa()}, {"fixed_vocab", "CATæktˈ"}});
  EXPECT_EQ(spoken(fixed, "cat hello"), "ˈ|k|æ|t");  // the others need symbols that the vocabulary lacks
}

TEST_F(SpeechTokenizerTest, RefusesWhatItCannotRead) {
  const auto tokenizer = [&](const Json& g2p) { return [=, this] { made<EnglishPhonemesTokenizer>({{"g2p", g2p}}); }; };
  const std::string broken = file("broken", "CAT  K AE1 T\nDOG D AO1 G\n");
  EXPECT_NE(error_of(tokenizer(english({{"phoneme_dict", broken}}))).find(broken + ":2"), std::string::npos);
  const std::string empty = file("empty", ";;; nothing\n");
  EXPECT_NE(error_of(tokenizer(english({{"phoneme_dict", empty}}))).find("no words"), std::string::npos);
  EXPECT_NE(error_of(tokenizer(english({{"phoneme_dict", folder_ + "/none"}}))).find("cannot be read"),
            std::string::npos);
  EXPECT_NE(error_of(tokenizer(english({{"encoding", "ebcdic"}}))).find("ebcdic"), std::string::npos);
  EXPECT_NE(error_of(tokenizer(english({{"ambiguous_words", "frist"}}))).find("first"), std::string::npos);
  EXPECT_NE(error_of(tokenizer(english({{"phoneme_probability", 1.5}}))).find("g2p.phoneme_probability"),
            std::string::npos);
  EXPECT_NE(error_of(tokenizer(english({{"phoneme_dict", {{"a", "AH0"}}}}))).find("phoneme_dict"), std::string::npos);
  EXPECT_NE(error_of(tokenizer("EnglishG2p")).find("_target_"), std::string::npos);
  const std::string latin = file("latin", "CAF\xc9  K AE0 F EY1\n");
  EXPECT_NE(error_of(tokenizer(english({{"phoneme_dict", latin}, {"encoding", "utf-8"}}))).find(latin + ":1"),
            std::string::npos);
  EXPECT_NE(error_of([&] { made<IPATokenizer>({{"g2p", english()}}); }).find("does not list its symbols"),
            std::string::npos);
  EXPECT_NE(error_of([&] { made<IPATokenizer>({{"g2p", ipa()}, {"locale", "de-AT"}}); }).find("de-DE"),
            std::string::npos);
  const std::string bare = file("bare", "HELLO həˈɫoʊ\nWORLD\n");
  EXPECT_NE(error_of([&] { made<IPATokenizer>({{"g2p", ipa({{"phoneme_dict", bare}})}}); }).find(bare + ":2"),
            std::string::npos);
  EXPECT_NE(
      error_of([&] { made<EnglishCharsTokenizer>({{"text_preprocessing_func", "my.function"}}); }).find("my.function"),
      std::string::npos);
  EXPECT_NE(
      error_of([&] { made<EnglishCharsTokenizer>({{"non_default_punct_list", 3}}); }).find("non_default_punct_list"),
      std::string::npos);
  EXPECT_NE(error_of([&] { made<EnglishCharsTokenizer>({}).decode({45}); }).find("0 to 44"), std::string::npos);
}

TEST_F(SpeechTokenizerTest, IsAG2pByItself) {
  const EnglishG2pComponent g2p(parse_options<EnglishG2pOptions>({{"phoneme_dict", cmu()}}, "g2p"));
  EXPECT_EQ(spoken(g2p, "cat, é"), "K AE1 T ,   é");
  EXPECT_EQ(g2p.piece(g2p.encode("world")[1]), "ER1");
  EXPECT_THROW(g2p.piece(g2p.vocab_size()), Error);
}

TEST_F(SpeechTokenizerTest, ATrainedG2pSaysWordsThatNoDictionaryHas) {
  const std::string model = FATHOM_SOURCE_DIR "/plugins/tts_text/data/en_us.g2p";
  const Json trained = {{"_target_", "tts.TrainedG2p"}, {"model", model}};
  const auto g2p = make_g2p(english({{"apply_to_oov_word", trained}}), "g2p");
  using Symbols = std::vector<std::string>;
  EXPECT_EQ(g2p->symbols_of("world", {}), (Symbols{"W", "ER1", "L", "D"}));
  EXPECT_EQ(g2p->symbols_of("blorping", {}), (Symbols{"B", "L", "AO1", "R", "P", "IH0", "NG"}));
  // The parts between hyphens are looked up first; what cannot be said is spelled.
  EXPECT_EQ(g2p->symbols_of("blorp-cat", {}), (Symbols{"B", "L", "AO1", "R", "P", "-", "K", "AE1", "T"}));
  EXPECT_EQ(g2p->symbols_of("ø", {}), (Symbols{"ø"})) << "no word of the training had it";
  const auto alone = made<TrainedG2pComponent>({{"model", model}});
  // One that speaks ARPABET is no help to a dictionary of IPA.
  EXPECT_THROW(make_g2p(ipa({{"apply_to_oov_word", trained}}), "g2p"), Error);
  EXPECT_EQ(spoken(alone, "cat, blorp!"), "K AE1 T ,   B L AO1 R P !");
  try {
    make_g2p({{"_target_", "tts.TrainedG2p"}, {"model", file("none", "no model")}}, "g2p");
    FAIL() << "a text was taken for a model";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("not a G2P model"), std::string::npos);
  }
}

TEST_F(SpeechTokenizerTest, TextNormalizersAreTokenizersOfCharacters) {
  const auto english = made<EnglishTextNormalizer>(Json::object());
  EXPECT_EQ(spoken(english, "£5 für \xff 2"), "five pounds für \xff two");
  const auto nemo = made<NemoTextNormalizer>(
      {{"lang", "en"}, {"input_case", "lower_cased"}, {"whitelist", file("list", "no.\tnumber\n")}});
  EXPECT_EQ(spoken(nemo, "no. 21 of march 3"), "number twenty one of march third");
  const auto refusal = [](const Json& config) {
    try {
      made<NemoTextNormalizer>(config);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal({{"lang", "de"}}).find("lang"), std::string::npos);
  EXPECT_NE(refusal({{"deterministic", false}}).find("one reading"), std::string::npos);
  EXPECT_NE(refusal({{"lm", true}}).find("language model"), std::string::npos);
  EXPECT_NE(refusal({{"input_case", "upper"}}).find("lower_cased"), std::string::npos);
  EXPECT_NE(refusal({{"whitelist", "/no/such/file"}}).find("/no/such/file"), std::string::npos);
}

}  // namespace
}  // namespace fathom::tts
