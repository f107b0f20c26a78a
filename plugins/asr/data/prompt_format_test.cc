#include "plugins/asr/data/prompt_format.h"

#include <gmock/gmock.h>

#include "plugins/lib/text/aggregate_tokenizer.h"

namespace fathom::asr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const text::SentencePieceTokenizer> pieces(const std::vector<std::string>& symbols,
                                                           const std::string& letters) {
  text::SentencePieceModel model;
  model.algorithm = text::SentencePieceModel::Algorithm::kChar;
  model.pieces.push_back({"<unk>", 0, text::SentencePieceModel::Type::kUnknown});
  for (const auto& symbol : symbols) model.pieces.push_back({symbol, 0, text::SentencePieceModel::Type::kUserDefined});
  for (const char letter : letters) model.pieces.push_back({std::string(1, letter), 0});
  model.pieces.push_back({"\u2581", 0});
  return std::make_shared<text::SentencePieceTokenizer>(std::move(model), "a.model");
}

// 1 start, 2 end, 3 pad, 4 en, 5 de, 6 transcribe, 7 translate, 8 pnc, 9 nopnc, 10 context, 11 emotion, 12 noitn, 13
// itn, 14 notimestamp, 15 timestamp, 16 nodiarize; then English from 18 (unknown): 19 a, 20 b, 21 space.
PromptFormat::Tokenizer tokenizer() {
  static const PromptFormat::Tokenizer made =
      std::make_shared<text::CanaryTokenizer>(std::vector<text::AggregateTokenizer::Part>{
          {"spl_tokens",
           pieces({"<|startoftranscript|>", "<|endoftext|>", "<pad>", "<|en|>", "<|de|>", "<|transcribe|>",
                   "<|translate|>", "<|pnc|>", "<|nopnc|>", "<|startofcontext|>", "<|emo:undefined|>", "<|noitn|>",
                   "<|itn|>", "<|notimestamp|>", "<|timestamp|>", "<|nodiarize|>"},
                  "")},
          {"en", pieces({}, "ab")}});
  return made;
}

PromptFormat canary(const Json& defaults = nullptr) { return {"canary", defaults, tokenizer(), "model"}; }

template <typename Run>
std::string complaint_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(PromptFormat, FillsTheSlotsOfCanary) {
  const PromptFormat format = canary();
  const PromptSlots plain = {{"source_lang", "en"}, {"target_lang", "de"}, {"task", "asr"}, {"pnc", "yes"}};
  EXPECT_THAT(format.prompt(plain).context, ElementsAre(1, 4, 6, 5, 8));
  const PromptSlots tokens = {
      {"source_lang", "<|en|>"}, {"target_lang", "<|de|>"}, {"taskname", "s2t_translation"}, {"pnc", "<|nopnc|>"}};
  EXPECT_THAT(format.prompt(tokens).context, ElementsAre(1, 4, 7, 5, 9));
}

TEST(PromptFormat, PutsAnAnswerBehindThePromptWithItsEnd) {
  const PromptSlots slots = {{"source_lang", "en"}, {"target_lang", "en"}, {"task", "transcribe"}, {"pnc", "0"}};
  const auto encoded = canary().prompt_and_answer(slots, "ab", "en");
  EXPECT_THAT(encoded.context, ElementsAre(1, 4, 6, 4, 9));
  EXPECT_THAT(encoded.answer, ElementsAre(21, 19, 20, 2));
  EXPECT_THAT(canary().prompt_and_answer(slots, "", "en").answer, ElementsAre(2));
  EXPECT_THAT(complaint_of([&] { canary().prompt_and_answer(slots, "ab", "fr"); }),
              HasSubstr("one of: spl_tokens, en"));
}

TEST(PromptFormat, EveryWayToSayYesIsYes) {
  PromptSlots slots = {{"source_lang", "en"}, {"target_lang", "en"}, {"task", "asr"}};
  for (const char* yes : {"yes", "Yes", "true", "True", "1", "pnc", "<|pnc|>"}) {
    slots["pnc"] = yes;
    EXPECT_EQ(canary().prompt(slots).context.back(), 8) << yes;
  }
  slots["pnc"] = "maybe";
  EXPECT_THAT(complaint_of([&] { canary().prompt(slots); }), HasSubstr("maybe"));
  slots["pnc"] = "no";
  slots["task"] = "diarize";
  EXPECT_THAT(complaint_of([&] { canary().prompt(slots); }), HasSubstr("s2t_translation"));
}

TEST(PromptFormat, Canary2HasValuesOfItsOwn) {
  const PromptFormat format("canary2", nullptr, tokenizer(), "");
  EXPECT_THAT(format.required(), ElementsAre("source_lang", "target_lang"));
  const PromptSlots given = {{"source_lang", "en"}, {"target_lang", "en"}, {"itn", "itn"}, {"duration", "3"}};
  EXPECT_THAT(format.prompt(format.complete(given, {{"timestamp", "1"}})).context,
              ElementsAre(10, 1, 11, 4, 4, 8, 13, 15, 16));
  PromptSlots context = format.complete(given, {});
  context["decodercontext"] = "b";
  EXPECT_THAT(format.prompt(context).context, ElementsAre(10, 21, 20, 1, 11, 4, 4, 8, 13, 14, 16));
  EXPECT_THAT(format.encode({{"user_partial", {{"decodercontext", ""}}, ""}}).context, ElementsAre(10, 1));
}

TEST(PromptFormat, SaysWhatIsMissing) {
  EXPECT_THAT(complaint_of([] { canary().prompt({{"source_lang", "en"}}); }), HasSubstr("lacks the slot 'task'"));
  EXPECT_EQ(canary().complete({{"taskname", "asr"}}, {{"pnc", "no"}}), (PromptSlots{{"pnc", "no"}, {"task", "asr"}}));
}

TEST(PromptFormat, ChecksTheDefaultsOfAConfig) {
  const auto turn = [](const Json& slots) { return Json::array({{{"role", "user"}, {"slots", slots}}}); };
  EXPECT_EQ(canary(turn({{"pnc", "yes"}, {"task", nullptr}})).defaults(), (PromptSlots{{"pnc", "yes"}}));
  EXPECT_THAT(complaint_of([&] { canary(turn({{"pmc", "yes"}})); }), HasSubstr("model.prompt_defaults[0].slots.pmc"));
  EXPECT_THAT(complaint_of([&] { canary(turn({{"pnc", "perhaps"}})); }),
              HasSubstr("model.prompt_defaults[0].slots.pnc"));
  EXPECT_THAT(complaint_of([&] { canary(Json::array({{{"role", "boss"}}})); }), HasSubstr("role"));
  EXPECT_THAT(complaint_of([&] { PromptFormat("canari", nullptr, tokenizer(), "model"); }),
              HasSubstr("canary or canary2"));
}

}  // namespace
}  // namespace fathom::asr
