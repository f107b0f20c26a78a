// Recorded error rates and CTC decoding of NeMo, run by the asr collection's own code.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/checkpoint/torch_file.h"
#include "plugins/asr/decoding/ctc_decoding.h"
#include "plugins/asr/metrics/wer.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;

double asr_number(const json& value) {
  if (!value.is_object()) return value.get<double>();
  const std::string word = value.at("$float");
  return word == "inf"    ? std::numeric_limits<double>::infinity()
         : word == "-inf" ? -std::numeric_limits<double>::infinity()
                          : std::nan("");
}

// "" when equal; rates are quotients of small integers, so no tolerance is needed beyond rounding.
std::string compare(const std::string& what, double got, const json& expected) {
  const double want = asr_number(expected);
  if (got == want || std::abs(got - want) <= 1e-12) return "";
  return fmt::format("{}: expected {}, got {}", what, want, got);
}

std::string compare_detail(const std::string& what, const asr::WerDetail& got, const json& expected) {
  const double values[] = {got.wer, static_cast<double>(got.units), got.insertion_rate, got.deletion_rate,
                           got.substitution_rate};
  for (size_t i = 0; i < std::size(values); ++i) {
    if (auto difference = compare(what, values[i], expected.at(i)); !difference.empty()) return difference;
  }
  return "";
}

Outcome run_error_rates(const Case& c) {
  if (c.body.value("kind", "") != "wer")
    return fail("no metric of kind '" + c.body.value("kind", std::string("?")) + "' is known");
  std::vector<std::string> references, hypotheses, differences;
  const auto note = [&](std::string difference) {
    if (!difference.empty()) differences.push_back(std::move(difference));
  };
  for (const auto& row : c.body["rows"]) {
    const std::string ref = row["ref"], hyp = row["hyp"], what = "'" + ref + "' and '" + hyp + "'";
    note(compare("WER of " + what, asr::word_error_rate({hyp}, {ref}), row["wer"]));
    note(compare("CER of " + what, asr::word_error_rate({hyp}, {ref}, true), row["cer"]));
    note(compare_detail("WER detail of " + what, asr::word_error_rate_detail({hyp}, {ref}), row["wer_detail"]));
    note(compare_detail("CER detail of " + what, asr::word_error_rate_detail({hyp}, {ref}, true), row["cer_detail"]));
    references.push_back(ref);
    hypotheses.push_back(hyp);
  }
  if (c.body.contains("corpus")) {
    const auto& corpus = c.body["corpus"];
    for (const bool use_cer : {false, true}) {
      const std::string name = use_cer ? "cer" : "wer";
      note(compare("corpus " + name, asr::word_error_rate(hypotheses, references, use_cer), corpus[name]));
      note(compare_detail("corpus " + name + " detail", asr::word_error_rate_detail(hypotheses, references, use_cer),
                          corpus[name + "_detail"]));
    }
  }
  for (const auto& row : c.body.value("special", json::array())) {
    const std::string ref = row["ref"], hyp = row["hyp"];
    note(compare("special WER", asr::word_error_rate({hyp}, {ref}), row["wer"]));
    note(compare_detail("special WER detail", asr::word_error_rate_detail({hyp}, {ref}), row["wer_detail"]));
  }
  if (c.body.contains("per_utt_first50")) {
    for (const bool use_cer : {false, true}) {
      const auto& want = c.body["per_utt_first50"][use_cer ? 1 : 0];
      const auto count = static_cast<int64_t>(want[0].size());
      const auto [rates, all] = asr::word_error_rate_per_utt({hypotheses.begin(), hypotheses.begin() + count},
                                                             {references.begin(), references.begin() + count}, use_cer);
      for (int64_t i = 0; i < count; ++i) note(compare("rate of one item", rates[i], want[0][i]));
      note(compare("rate of the first items", all, want[1]));
    }
  }
  return differences.empty() ? pass()
                             : fail(fmt::format("{} differences, first: {}", differences.size(), differences.front()));
}

std::string compare_offsets(const std::vector<asr::Offset>& got, const json& expected, const char* key) {
  if (got.size() != expected.size()) return fmt::format("{} {} offsets, got {}", expected.size(), key, got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const auto& want = expected[i];
    if (got[i].text != want[key].get<std::string>() || got[i].start != want["start_offset"].get<int64_t>() ||
        got[i].end != want["end_offset"].get<int64_t>()) {
      return fmt::format("{} offset {}: expected {}, got '{}' {} to {}", key, i, json_text(want), got[i].text,
                         got[i].start, got[i].end);
    }
  }
  return "";
}

std::string compare_hypothesis(const asr::Hypothesis& got, const json& want, double score_tolerance) {
  if (got.text != want["text"].get<std::string>())
    return fmt::format("text: expected {}, got '{}'", json_text(want["text"]), got.text);
  if (std::abs(got.score - asr_number(want["score"])) > score_tolerance) {
    return fmt::format("score: expected {}, got {}", asr_number(want["score"]), got.score);
  }
  if (got.y_sequence != want["y_sequence"].get<std::vector<int64_t>>()) return "y_sequence differs";
  if (want.contains("timestamp") && want["timestamp"].is_array()) {
    if (got.timestep != want["timestamp"].get<std::vector<int64_t>>()) return "timestamp differs";
  } else if (want.contains("timestamp")) {
    const auto& timestamp = want["timestamp"];
    if (got.timestep != timestamp["timestep"].get<std::vector<int64_t>>()) return "timestep differs";
    if (auto difference = compare_offsets(got.chars, timestamp["char"], "char"); !difference.empty()) return difference;
    if (auto difference = compare_offsets(got.words, timestamp["word"], "word"); !difference.empty()) return difference;
    if (auto difference = compare_offsets(got.segments, timestamp["segment"], "segment"); !difference.empty())
      return difference;
  }
  if (want.contains("token_confidence")) {
    const auto& expected = want["token_confidence"];
    if (got.token_confidence.size() != expected.size()) return "token_confidence: another number of tokens";
    for (size_t i = 0; i < expected.size(); ++i) {
      if (std::abs(got.token_confidence[i] - asr_number(expected[i])) > score_tolerance) {
        return fmt::format("token_confidence {}: expected {}, got {}", i, asr_number(expected[i]),
                           got.token_confidence[i]);
      }
    }
  }
  return "";
}

std::string run_decoding_case(const json& one, const text::Vocabulary& vocabulary, const at::Tensor& log_probs,
                              const at::Tensor& lengths, double score_tolerance) {
  auto config = parse_options<asr::CtcDecodingConfig>(Json::parse(json_text(one["config"])), "decoding");
  config.beam.padding_counts = true;  // recorded that way; by default results do not depend on the batch
  if (one.contains("error")) {
    try {
      asr::CtcDecoding(config, vocabulary).decode_nbest(log_probs, lengths);
    } catch (const Error&) {
      return "";
    }
    return "expected an error: " + one["error"].get<std::string>();
  }
  const auto got = asr::CtcDecoding(config, vocabulary).decode_nbest(log_probs, lengths);
  const auto& expected = one["hypotheses"];
  if (got.size() != expected.size()) return fmt::format("expected {} items, got {}", expected.size(), got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const json wanted = expected[i].is_array() ? expected[i] : json::array({expected[i]});
    if (got[i].size() != wanted.size())
      return fmt::format("item {}: expected {} hypotheses, got {}", i, wanted.size(), got[i].size());
    for (size_t k = 0; k < wanted.size(); ++k) {
      if (auto difference = compare_hypothesis(got[i][k], wanted[k], score_tolerance); !difference.empty()) {
        return fmt::format("item {}, hypothesis {}: {}", i, k, difference);
      }
    }
  }
  return "";
}

Outcome run_decoding(const Case& c) {
  if (c.body.value("kind", "") != "ctc_decoding")
    return fail("no decoding of kind '" + c.body.value("kind", std::string("?")) + "' is known");
  at::Tensor log_probs, lengths;
  for (const auto& [name, tensor] : checkpoint::load_safetensors(c.folder + "/io.safetensors")) {
    if (name == "log_probs") log_probs = tensor;
    if (name == "lengths") lengths = tensor;
  }
  const bool pieces = c.body.contains("tokenizer") && !c.body["tokenizer"].is_null();
  const text::Vocabulary vocabulary(
      c.body["vocabulary"].get<std::vector<std::string>>(),
      pieces ? text::Vocabulary::Kind::kSentencePiece : text::Vocabulary::Kind::kCharacters);
  const double tolerance = c.body.contains("tolerance") ? c.body["tolerance"].value("score_abs", 1e-3) : 1e-3;
  std::string failures;
  for (const auto& [name, one] : c.body["cases"].items()) {
    std::string difference;
    try {
      difference = run_decoding_case(one, vocabulary, log_probs, lengths, tolerance);
    } catch (const Error& error) {
      difference = error.what();
    }
    if (!difference.empty()) failures += (failures.empty() ? "" : "; ") + name + ": " + difference;
  }
  return failures.empty() ? pass() : fail(failures);
}

}  // namespace

void add_asr_suites(std::vector<Suite>& suites) {
  suites.push_back({"nemo_models/metrics", run_error_rates});
  suites.push_back({"nemo_models/decoding", run_decoding});
}

}  // namespace fathom::conformance
