#include "plugins/asr/decoding/aed_decoding.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "plugins/lib/text/aggregate_tokenizer.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::asr {
namespace {

using testing::HasSubstr;

class AedDecodingTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_slot() = plugins::host_table();
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }
  void SetUp() override {
    at::manual_seed(5);
    decoder_ = make_module({{"_target_", "asr.TransformerDecoderNM"},
                            {"vocab_size", 32},
                            {"hidden_size", 16},
                            {"num_layers", 2},
                            {"inner_size", 16},
                            {"num_attention_heads", 2},
                            {"max_sequence_length", 20},
                            {"num_token_types", 0}},
                           "decoder");
    head_ = make_module({{"_target_", "asr.TokenClassifier"},
                         {"hidden_size", 16},
                         {"num_classes", 32},
                         {"use_transformer_init", false}},
                        "head");
    decoder_.torch_module()->eval();
    head_.torch_module()->eval();
  }
  static AedDecoding::Tokenizer tokenizer() {
    text::SentencePieceModel model;
    model.algorithm = text::SentencePieceModel::Algorithm::kChar;
    model.pieces.push_back({"<unk>", 0, text::SentencePieceModel::Type::kUnknown});
    for (const char* symbol : {"<pad>", "<|endoftext|>", "<|startoftranscript|>"})
      model.pieces.push_back({symbol, 0, text::SentencePieceModel::Type::kUserDefined});
    for (char letter = 'a'; letter <= 'z'; ++letter) model.pieces.push_back({std::string(1, letter), 0});
    return std::make_shared<text::CanaryBPETokenizer>(
        std::make_shared<text::SentencePieceTokenizer>(std::move(model), "a.model"), "a.model");
  }
  static AedDecoding make(const Json& section) {
    return {parse_options<AedDecodingConfig>(section, "decoding"), tokenizer()};
  }
  std::vector<Hypothesis> run(const AedDecoding& decoding, const at::Tensor& states,
                              const std::vector<int64_t>& lengths,
                              const std::vector<std::vector<int64_t>>& prompts) const {
    const at::NoGradGuard no_grad;
    return decoding.decode(decoder_, head_, {states, at::tensor(lengths, at::kLong)}, prompts);
  }
  static std::string complaint_about(const Json& section) {
    try {
      make(section);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kUnavailable);
      return error.what();
    }
    return "";
  }
  ModuleHandle decoder_, head_;
};

TEST_F(AedDecodingTest, AnItemsTokensDoNotDependOnItsBatch) {
  const AedDecoding decoding = make({{"strategy", "greedy"}, {"greedy", {{"max_generation_delta", 3}}}});
  const at::Tensor states = at::randn({4, 9, 16});
  const std::vector<int64_t> lengths = {9, 4, 6, 9};
  const std::vector<std::vector<int64_t>> prompts = {{3}, {3, 7, 8}, {3, 9, 10, 11}, {3, 12, 13}};
  const auto together = run(decoding, states, lengths, prompts);
  for (int64_t i = 0; i < 4; ++i) {
    const auto k = static_cast<size_t>(i);
    const auto alone = run(decoding, states.slice(0, i, i + 1).slice(1, 0, lengths[k]), {lengths[k]}, {prompts[k]});
    EXPECT_EQ(alone[0].y_sequence, together[k].y_sequence) << i;
    EXPECT_EQ(alone[0].text, together[k].text) << i;
    EXPECT_LE(static_cast<int64_t>(together[k].y_sequence.size() + prompts[k].size()), lengths[k] + 3) << i;
  }
}

TEST_F(AedDecodingTest, KeepsConfidencesOfTokensWithThoseOfThePrompt) {
  const AedDecoding decoding =
      make({{"strategy", "greedy"},
            {"confidence_cfg", {{"preserve_token_confidence", true}, {"method_cfg", {{"name", "max_prob"}}}}}});
  const auto out = run(decoding, at::randn({2, 5, 16}), {5, 5}, {{3, 4}, {3, 4, 5}});
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(out[i].token_confidence.size(), out[i].y_sequence.size());
    EXPECT_GE(out[i].frame_confidence.size(), out[i].y_sequence.size() + 2 + i);
    EXPECT_EQ(out[i].frame_confidence[1], 1.0);
  }
}

TEST_F(AedDecodingTest, APromptThatFillsTheDecoderGivesNoText) {
  const std::vector<int64_t> longest(20, 4);
  EXPECT_TRUE(run(make({{"strategy", "greedy"}}), at::randn({1, 5, 16}), {5}, {longest})[0].y_sequence.empty());
  EXPECT_THROW(run(make({{"strategy", "beam"}}), at::randn({1, 5, 16}), {5}, {std::vector<int64_t>(21, 4)}), Error);
}

TEST_F(AedDecodingTest, RefusesByNameWhatItDoesNotDo) {
  EXPECT_EQ(complaint_about({{"beam", {{"len_pen", 0.0}}}, {"greedy", {{"temperature", nullptr}}}}), "");
  EXPECT_THAT(complaint_about({{"beam", {{"beam_size", 4}}}}), HasSubstr("beam.beam_size"));
  EXPECT_THAT(complaint_about({{"beam", {{"ngram_lm_model", "a.arpa"}}}}), HasSubstr("beam.ngram_lm_model"));
  EXPECT_THAT(complaint_about({{"beam", {{"boosting_tree", {{"key_phrases_list", {"one"}}}}}}}),
              HasSubstr("beam.boosting_tree"));
  EXPECT_THAT(complaint_about({{"strategy", "greedy"}, {"greedy", {{"temperature", 0.5}}}}),
              HasSubstr("greedy.temperature"));
  EXPECT_THAT(complaint_about({{"strategy", "greedy"}, {"greedy", {{"n_samples", 2}}}}), HasSubstr("greedy.n_samples"));
  EXPECT_THAT(complaint_about({{"compute_langs", true}}), HasSubstr("compute_langs"));
  EXPECT_THROW(make({{"strategy", "sample"}}), Error);
}

TEST(TimeTokens, AreTheWordsPlaces) {
  Hypothesis hypothesis;
  hypothesis.text = " <|2|> Who?<|4|> <|5|><|6|> <|7|> me<|9|> rest";
  read_time_tokens(hypothesis);
  EXPECT_EQ(hypothesis.text, "Who? me");
  ASSERT_EQ(hypothesis.words.size(), 2u);
  EXPECT_EQ(hypothesis.words[1].start, 7);
  ASSERT_EQ(hypothesis.segments.size(), 2u);
  EXPECT_EQ(hypothesis.segments[0].end, 4);
  Hypothesis plain;
  plain.text = "<|5|> only one, and <|12345678901234567890|>";
  read_time_tokens(plain);
  EXPECT_EQ(plain.text, "<|5|> only one, and <|12345678901234567890|>");
  EXPECT_TRUE(plain.words.empty());
}

}  // namespace
}  // namespace fathom::asr
