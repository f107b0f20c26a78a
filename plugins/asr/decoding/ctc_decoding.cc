#include "plugins/asr/decoding/ctc_decoding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace fathom::asr {
namespace {

struct Token {
  int64_t id, first_frame, last_frame;
};

std::vector<Token> collapse(const std::vector<int64_t>& path, int64_t blank) {
  std::vector<Token> tokens;
  int64_t previous = blank;
  for (size_t t = 0; t < path.size(); ++t) {
    const auto frame = static_cast<int64_t>(t);
    if (path[t] != blank) {
      if (path[t] == previous)
        tokens.back().last_frame = frame;
      else
        tokens.push_back({path[t], frame, frame});
    }
    previous = path[t];
  }
  return tokens;
}

std::vector<int64_t> ids_of(const std::vector<Token>& tokens) {
  std::vector<int64_t> ids;
  for (const auto& token : tokens) ids.push_back(token.id);
  return ids;
}

}  // namespace

void CtcBeamConfig::describe(OptionSet<CtcBeamConfig>& o) {
  o("beam_size", &CtcBeamConfig::beam_size, "hypotheses kept in every frame");
  o("beam_beta", &CtcBeamConfig::beam_beta, "bonus of a token");
  o("beam_threshold", &CtcBeamConfig::beam_threshold, "hypotheses this far behind the best are dropped");
  o("return_best_hypothesis", &CtcBeamConfig::return_best_hypothesis,
    "only the best hypothesis of an item is of interest");
  o("padding_counts", &CtcBeamConfig::padding_counts,
    "frames behind an item's end change its scores, as in NeMo; off: results do not depend on the batch");
  o.allow_extra();  // language models and their weights, of other strategies
}

void CtcDecodingConfig::describe(OptionSet<CtcDecodingConfig>& o) {
  o("strategy", &CtcDecodingConfig::strategy, "greedy, greedy_batch or beam_batch");
  o("preserve_alignments", &CtcDecodingConfig::preserve_alignments,
    "accepted; hypotheses always hold the frames' classes");
  o("compute_timestamps", &CtcDecodingConfig::compute_timestamps, "find where characters, words and segments lie");
  o("word_seperator", &CtcDecodingConfig::word_seperator, "character between words");
  o("segment_seperators", &CtcDecodingConfig::segment_seperators, "marks that end a segment");
  o("segment_gap_threshold", &CtcDecodingConfig::segment_gap_threshold,
    "a pause this long begins a segment; 0 and null: pauses do not count", "frames");
  o("ctc_timestamp_type", &CtcDecodingConfig::ctc_timestamp_type, "char, word, segment or all");
  o("temperature", &CtcDecodingConfig::temperature,
    "divides the classes' logits: above 1 less sure, below 1 surer; for scores, confidences and beams");
  o("confidence_cfg", &CtcDecodingConfig::confidence_cfg, "which confidences to keep");
  o("beam", &CtcDecodingConfig::beam, "options of beam_batch");
  o.allow_extra();  // sections of the other strategies (wfst, …) travel with every config
}

CtcDecoding::CtcDecoding(const CtcDecodingConfig& config, text::Vocabulary vocabulary)
    : config_(config), vocabulary_(std::move(vocabulary)) {
  if (config.strategy == "beam" || config.strategy == "flashlight" || config.strategy == "pyctcdecode" ||
      config.strategy == "wfst") {
    throw Error(Code::kUnavailable,
                "CTC decoding strategy '" + config.strategy + "' needs a language model, and none can be read here")
        .at("strategy")
        .next("use beam_batch, which needs none, or greedy_batch");
  }
  expect_one_of(config.strategy, {"greedy", "greedy_batch", "beam_batch"}, "strategy");
  constexpr int64_t kWidestBeam = 1 << 16;
  if (config.beam.beam_size < 1 || config.beam.beam_size > kWidestBeam) {
    throw Error(Code::kFailed, "a beam search needs another beam_size")
        .at("beam.beam_size")
        .seen(std::to_string(config.beam.beam_size))
        .expected("1 to " + std::to_string(kWidestBeam));
  }
  expect_one_of(config.ctc_timestamp_type, {"all", "char", "word", "segment"}, "ctc_timestamp_type");
  if (!(config.temperature > 0) || !std::isfinite(config.temperature)) {
    throw Error(Code::kFailed, "a temperature divides: it must be positive")
        .at("temperature")
        .seen(json_text(Json(config.temperature)))
        .expected("above 0; 1 leaves the classes as they are");
  }
  config.confidence_cfg.check();
}

at::Tensor CtcDecoding::tempered(const at::Tensor& log_probs) const {
  if (log_probs.dim() != 3 || log_probs.size(2) != vocabulary_.size() + 1) {
    throw Error(Code::kFailed, "CTC decoding needs log-probabilities of (batch, time, classes)")
        .seen("shape with last dimension " + std::to_string(log_probs.dim() == 0 ? 0 : log_probs.size(-1)))
        .expected(std::to_string(vocabulary_.size() + 1) + " classes: the vocabulary and the blank");
  }
  const at::Tensor host = log_probs.detach().to(at::kCPU, at::kFloat).contiguous();
  // Log-probabilities are logits but for a constant, which the softmax drops.
  return config_.temperature == 1.0 ? host : at::log_softmax(host / config_.temperature, -1);
}

std::vector<std::vector<Hypothesis>> CtcDecoding::decode_nbest(const at::Tensor& log_probs,
                                                               const at::Tensor& lengths) const {
  std::vector<std::vector<Hypothesis>> out;
  if (is_greedy()) {
    for (auto& hypothesis : decode(log_probs, lengths)) out.emplace_back().push_back(std::move(hypothesis));
    return out;
  }
  const at::Tensor host = tempered(log_probs);
  const at::Tensor host_lengths = lengths.to(at::kCPU, at::kLong).contiguous();
  const int64_t frames = host.size(1), classes = host.size(2);
  const CtcBeamOptions options{config_.beam.beam_size, config_.beam.beam_beta, config_.beam.beam_threshold};
  for (int64_t b = 0; b < host.size(0); ++b) {
    const int64_t length = std::clamp<int64_t>(host_lengths.data_ptr<int64_t>()[b], 0, frames);
    auto& hypotheses = out.emplace_back();
    for (auto& beam : ctc_beam_search(host.data_ptr<float>() + b * frames * classes, frames, classes, length, options,
                                      config_.beam.padding_counts)) {
      Hypothesis hypothesis;
      hypothesis.text = vocabulary_.decode_text(beam.tokens);
      hypothesis.score = beam.score;
      hypothesis.y_sequence = std::move(beam.tokens);
      hypothesis.timestep = std::move(beam.frames);
      hypotheses.push_back(std::move(hypothesis));
      if (config_.beam.return_best_hypothesis) break;
    }
  }
  return out;
}

std::vector<Hypothesis> CtcDecoding::decode(const at::Tensor& log_probs, const at::Tensor& lengths,
                                            bool compute_timestamps) const {
  if (!is_greedy()) {
    std::vector<Hypothesis> best;
    for (auto& hypotheses : decode_nbest(log_probs, lengths)) best.push_back(std::move(hypotheses.front()));
    return best;
  }
  const at::Tensor host = tempered(log_probs);
  const at::Tensor host_lengths = lengths.to(at::kCPU, at::kLong).contiguous();
  const auto [best, path] = host.max(2);
  const int64_t frames = host.size(1), classes = host.size(2);

  const bool with_timestamps =
      compute_timestamps || config_.compute_timestamps.value_or(false) || config_.confidence_cfg.wanted();
  std::vector<Hypothesis> out(static_cast<size_t>(host.size(0)));
  for (int64_t b = 0; b < host.size(0); ++b) {
    Hypothesis& hypothesis = out[b];
    const int64_t length = std::clamp<int64_t>(host_lengths.data_ptr<int64_t>()[b], 0, frames);
    const int64_t* classes_of = path.data_ptr<int64_t>() + b * frames;
    const float* best_of = best.data_ptr<float>() + b * frames;
    hypothesis.y_sequence.assign(classes_of, classes_of + length);
    for (int64_t t = 0; t < length; ++t) {
      if (classes_of[t] == vocabulary_.blank()) continue;
      hypothesis.score += best_of[t];
      hypothesis.timestep.push_back(t);
    }
    hypothesis.text = vocabulary_.decode_text(ids_of(collapse(hypothesis.y_sequence, vocabulary_.blank())));
    if (with_timestamps) add_timestamps(hypothesis);
    if (config_.confidence_cfg.wanted()) add_confidence(hypothesis, host.data_ptr<float>() + b * frames * classes);
  }
  return out;
}

std::vector<std::string> CtcDecoding::decode_predictions(const at::Tensor& predictions,
                                                         const at::Tensor& lengths) const {
  const at::Tensor ids = predictions.to(at::kCPU, at::kLong).contiguous(),
                   counts = lengths.to(at::kCPU, at::kLong).contiguous();
  std::vector<std::string> out;
  for (int64_t b = 0; b < ids.size(0); ++b) {
    const int64_t* row = ids.data_ptr<int64_t>() + b * ids.size(1);
    const int64_t length = std::clamp<int64_t>(counts.data_ptr<int64_t>()[b], 0, ids.size(1));
    out.push_back(vocabulary_.decode_text(ids_of(collapse({row, row + length}, vocabulary_.blank()))));
  }
  return out;
}

void CtcDecoding::add_timestamps(Hypothesis& hypothesis) const {
  const auto tokens = collapse(hypothesis.y_sequence, vocabulary_.blank());
  std::vector<Offset> offsets;
  int64_t start = tokens.empty() ? 0 : std::max<int64_t>(0, tokens.front().first_frame - 1);
  for (const auto& token : tokens) {
    offsets.push_back({vocabulary_.token_text(token.id), start, token.first_frame});
    start = token.first_frame;
  }
  // Punctuation is often found long after its word, behind the pause: it takes no time of its own.
  for (size_t i = 1; i < tokens.size(); ++i) {
    if (vocabulary_.begins_with_punctuation(tokens[i].id)) offsets[i].end = offsets[i].start;
  }
  add_offsets(hypothesis, ids_of(tokens), std::move(offsets), vocabulary_,
              {config_.ctc_timestamp_type, config_.word_seperator, config_.segment_seperators,
               config_.segment_gap_threshold.value_or(0)});
}

void CtcDecoding::add_confidence(Hypothesis& hypothesis, const float* log_probs) const {
  const auto& config = config_.confidence_cfg;
  const auto frames = static_cast<int64_t>(hypothesis.y_sequence.size()), classes = vocabulary_.size() + 1;
  std::vector<double> frame(static_cast<size_t>(frames));
  for (int64_t t = 0; t < frames; ++t) frame[t] = frame_confidence(config.method_cfg, log_probs + t * classes, classes);

  const auto tokens = collapse(hypothesis.y_sequence, vocabulary_.blank());
  std::vector<double> per_token;
  for (size_t i = 0; i < tokens.size(); ++i) {
    // Blanks belong to the token before them.
    const int64_t end = config.exclude_blank    ? tokens[i].last_frame + 1
                        : i + 1 < tokens.size() ? tokens[i + 1].first_frame
                                                : frames;
    per_token.push_back(aggregate(config.aggregation, {frame.begin() + tokens[i].first_frame, frame.begin() + end}));
  }
  if (config.preserve_word_confidence) {
    for (const auto& word : words_of(ids_of(tokens), vocabulary_, config_.word_seperator)) {
      std::vector<double> values;
      for (const size_t i : word.tokens) values.push_back(per_token[i]);
      hypothesis.word_confidence.push_back(aggregate(config.aggregation, values));
    }
  }
  if (config.preserve_token_confidence || config.preserve_word_confidence)
    hypothesis.token_confidence = std::move(per_token);
  hypothesis.frame_confidence = std::move(frame);
}

}  // namespace fathom::asr
