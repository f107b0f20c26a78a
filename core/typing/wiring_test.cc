// The types on both ends of a wiring's edges: what does not fit against its message in tests/golden/wiring_errors.txt,
// which people have read. FATHOM_UPDATE_GOLDEN=1 writes the file anew: read what changed.
#include "core/typing/wiring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "core/base/file.h"
#include "core/typing/element_type.h"

namespace fathom::typing {
namespace {

WiredPort port(const std::string& name, const std::string& type, uint32_t list_depth = 0) {
  const bool optional = name.starts_with("[");
  return {optional ? name.substr(1, name.size() - 2) : name, type.empty() ? kNoType : intern_json(type), optional,
          list_depth};
}

std::string type_json(const std::string& axes, const std::string& elements, const std::string& params = "") {
  return R"({"axes": )" + axes + R"(, "elements": ")" + elements + "\"" +
         (params.empty() ? "" : R"(, "params": )" + params) + "}";
}
const std::string kBT = R"(["B", "T"])", kBDT = R"(["B", "D", "T"])", kBTD = R"(["B", "T", "D"])", kB = R"(["B"])";
std::string audio(const char* rate) { return type_json(kBT, "AudioSignal", std::string(R"({"freq": )") + rate + "}"); }
const std::string kMel = type_json(kBDT, "MelSpectrogramType"), kSpectrogram = type_json(kBDT, "SpectrogramType");
const std::string kEncoded = type_json(kBDT, "AcousticEncodedRepresentation"), kLengths = type_json(kB, "LengthsType");
const std::string kLogprobs = type_json(kBTD, "LogprobsType"), kLabels = type_json(kBT, "LabelsType");

// A recogniser as the asr collection wires it.
Wiring recogniser() {
  return {{
              {"batch",
               "of asr.AudioToCharDataset",
               {},
               {port("audio_signal", audio("16000")), port("a_sig_length", kLengths), port("transcripts", kLabels),
                port("transcript_length", kLengths)}},
              {"preprocessor",
               "asr.AudioToMelSpectrogramPreprocessor of plugin 'asr'",
               {port("input_signal", audio("16000")), port("length", kLengths)},
               {port("processed_signal", kMel), port("processed_length", kLengths)}},
              {"encoder",
               "asr.ConvASREncoder of plugin 'asr'",
               {port("audio_signal", kSpectrogram), port("length", kLengths)},
               {port("outputs", kEncoded), port("encoded_lengths", kLengths)}},
              {"decoder",
               "mine.Decoder of plugin 'mine'",
               {port("encoder_output", kEncoded)},
               {port("logprobs", kLogprobs)}},
              {"loss",
               "asr.CTCLoss of plugin 'asr'",
               {port("log_probs", kLogprobs), port("targets", kLabels), port("input_lengths", kLengths),
                port("target_lengths", kLengths), port("[weights]", type_json(kB, "FloatType"))},
               {port("loss", type_json("null", "LossType"))}},
          },
          {{"batch.audio_signal", "preprocessor.input_signal"},
           {"batch.a_sig_length", "preprocessor.length"},
           {"preprocessor.processed_signal", "encoder.audio_signal"},
           {"preprocessor.processed_length", "encoder.length"},
           {"encoder.outputs", "decoder.encoder_output"},
           {"decoder.logprobs", "loss.log_probs"},
           {"batch.transcripts", "loss.targets"},
           {"encoder.encoded_lengths", "loss.input_lengths"},
           {"batch.transcript_length", "loss.target_lengths"}}};
}

struct Wrong {
  const char* what;
  std::function<void(Wiring&)> change;
};

WiredModule& module(Wiring& w, const std::string& name) {
  for (auto& m : w.modules) {
    if (m.name == name) return m;
  }
  throw std::runtime_error("no module " + name);
}

void retype(Wiring& w, const std::string& name, bool input, size_t index, const std::string& type_json,
            uint32_t depth = 0) {
  auto& ports = input ? module(w, name).inputs : module(w, name).outputs;
  ports.at(index).type = type_json.empty() ? kNoType : intern_json(type_json);
  ports.at(index).list_depth = depth;
}

const std::vector<Wrong>& wrong_types() {
  static const std::vector<Wrong> list = {
      {"another sample rate", [](Wiring& w) { retype(w, "batch", false, 0, audio("8000")); }},
      {"labels where log-probabilities belong", [](Wiring& w) { retype(w, "decoder", false, 0, kLabels); }},
      {"a spectrogram where audio belongs",
       [](Wiring& w) {
         w.edges[2].to = "preprocessor.input_signal";
         w.edges.erase(w.edges.begin());
       }},
      {"axes in another order",
       [](Wiring& w) { retype(w, "encoder", false, 0, type_json(kBTD, "AcousticEncodedRepresentation")); }},
      {"one axis fewer",
       [](Wiring& w) { retype(w, "encoder", false, 0, type_json(R"(["B", "D"])", "AcousticEncodedRepresentation")); }},
      {"another kind of axis",
       [](Wiring& w) {
         retype(w, "encoder", false, 0, type_json(R"(["B", "D", "W"])", "AcousticEncodedRepresentation"));
       }},
      {"another size of an axis",
       [](Wiring& w) {
         const auto sized = [](int n) {
           return R"({"axes": [{"kind": "B"}, {"kind": "D", "size": )" + std::to_string(n) +
                  R"(}, {"kind": "T"}], "elements": "AcousticEncodedRepresentation"})";
         };
         retype(w, "encoder", false, 0, sized(256));
         retype(w, "decoder", true, 0, sized(512));
       }},
      {"a general type where a special one is needed",
       [](Wiring& w) {
         retype(w, "encoder", true, 0, kMel);
         retype(w, "preprocessor", false, 0, kSpectrogram);
       }},
      {"an MFCC where a mel spectrogram is needed",
       [](Wiring& w) {
         retype(w, "encoder", true, 0, kMel);
         retype(w, "preprocessor", false, 0, type_json(kBDT, "MFCCSpectrogramType"));
       }},
      {"a list where one value is needed", [](Wiring& w) { retype(w, "encoder", false, 0, kEncoded, 1); }},
      {"one value where a list is needed", [](Wiring& w) { retype(w, "decoder", true, 0, kEncoded, 1); }},
      {"lists of another depth",
       [](Wiring& w) {
         retype(w, "encoder", false, 0, kEncoded, 1);
         retype(w, "decoder", true, 0, kEncoded, 2);
       }},
      {"lengths where labels belong, labels where lengths belong",
       [](Wiring& w) { std::swap(w.edges[6].from, w.edges[8].from); }},
      {"integers for a loss of floats",
       [](Wiring& w) { w.edges.push_back({"batch.transcript_length", "loss.weights"}); }},
      {"several faults at once",
       [](Wiring& w) {
         retype(w, "batch", false, 0, audio("8000"));
         retype(w, "decoder", false, 0, kLabels);
       }},
  };
  return list;
}

TEST(Wiring, ARightWiringHasNoErrors) {
  for (const Error& error : check_edges(recogniser())) ADD_FAILURE() << error.what();
}

TEST(Wiring, WrongTypesAndWhatAUserReads) {
  std::string text =
      "# Ports that do not fit and what a user reads: core/typing/wiring_test.cc writes and compares this "
      "file.\n";
  for (size_t i = 0; i < wrong_types().size(); ++i) {
    Wiring wiring = recogniser();
    wrong_types()[i].change(wiring);
    const auto errors = check_edges(wiring);
    EXPECT_FALSE(errors.empty()) << wrong_types()[i].what;
    text += "\n" + std::to_string(i + 1) + ". " + wrong_types()[i].what + "\n";
    for (const Error& error : errors) text += std::string(error.what()) + "\n";
  }
  const std::string path = FATHOM_SOURCE_DIR "/tests/golden/wiring_errors.txt";
  if (std::getenv("FATHOM_UPDATE_GOLDEN") != nullptr) write_file_atomically(path, text);
  EXPECT_EQ(text, read_file(path));
}

TEST(Wiring, AnEdgeWhosePortNobodyHasIsPassedOver) {
  Wiring wiring = recogniser();
  module(wiring, "batch").outputs.erase(module(wiring, "batch").outputs.begin() + 2);
  EXPECT_TRUE(check_edges(wiring).empty());
}

TEST(Wiring, TheModelsOwnPortsAreEnds) {
  Wiring wiring = recogniser();
  wiring.modules.push_back({"", "", {port("input_signal", audio("16000"))}, {port("log_probs", kLogprobs)}});
  wiring.edges[0].from = "input_signal";
  wiring.edges.push_back({"decoder.logprobs", "log_probs"});
  EXPECT_TRUE(check_edges(wiring).empty());
  wiring.edges.back().from = "encoder.outputs";
  EXPECT_EQ(check_edges(wiring).size(), 1u);
}

TEST(Wiring, TextListsModulesWithShapesAndWhatFeedsThem) {
  Wiring wiring = recogniser();
  module(wiring, "encoder").outputs[0].shape = "[1, 8, 3]";
  const std::string text = wiring_text(wiring, {{"encoder", "42 parameters"}});
  EXPECT_LT(text.find("preprocessor  "), text.find("encoder  "));
  EXPECT_NE(text.find("encoder  asr.ConvASREncoder of plugin 'asr'  42 parameters\n"), std::string::npos) << text;
  EXPECT_NE(text.find("<- preprocessor.processed_signal"), std::string::npos) << text;
  EXPECT_NE(text.find("[1, 8, 3]"), std::string::npos) << text;
}

}  // namespace
}  // namespace fathom::typing
