#include "plugins/asr/decoding/transducer_decoding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace fathom::asr {
namespace {

// A module in eval mode for a scope.
class EvalMode {
 public:
  explicit EvalMode(const ModuleHandle& module)
      : module_(module.torch_module()), was_training_(module_->is_training()) {
    if (was_training_) module_->eval();
  }
  ~EvalMode() {
    if (was_training_) module_->train();
  }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  std::shared_ptr<torch::nn::Module> module_;
  bool was_training_;
};

}  // namespace

void TransducerGreedyConfig::describe(OptionSet<TransducerGreedyConfig>& o) {
  o("max_symbols", &TransducerGreedyConfig::max_symbols, "labels in one frame at most; null: max_symbols_per_step");
  o("max_symbols_per_step", &TransducerGreedyConfig::max_symbols_per_step, "the same by its newer name; null: 10");
  o.allow_extra();  // confidences, language models and graphs of the device, which have no meaning here
}

void TransducerDecodingConfig::describe(OptionSet<TransducerDecodingConfig>& o) {
  using C = TransducerDecodingConfig;
  o("model_type", &C::model_type, "rnnt, tdt or multiblank; a model sets it by its loss");
  o("strategy", &C::strategy, "greedy or greedy_batch");
  o("compute_timestamps", &C::compute_timestamps, "find where characters, words and segments lie");
  o("preserve_alignments", &C::preserve_alignments, "accepted; hypotheses hold the frame of every label");
  o("word_seperator", &C::word_seperator, "character between words");
  o("segment_seperators", &C::segment_seperators, "marks that end a segment");
  o("segment_gap_threshold", &C::segment_gap_threshold,
    "a pause this long begins a segment; 0 and null: pauses do not count", "frames");
  o("rnnt_timestamp_type", &C::rnnt_timestamp_type, "char, word, segment or all");
  o("temperature", &C::temperature, "divides the logits that scores come from");
  o("durations", &C::durations, "TDT: frames of each duration output; a model gives those of its loss", "frames");
  o("big_blank_durations", &C::big_blank_durations, "multi-blank: frames of each big blank", "frames");
  o("confidence_cfg", &C::confidence_cfg, "confidences are not supported for transducers");
  o("greedy", &C::greedy, "options of the greedy strategies");
  o.allow_extra();  // the section of beam searches travels with every config
}

TransducerDecoding::TransducerDecoding(const TransducerDecodingConfig& config, text::Vocabulary vocabulary)
    : config_(config), vocabulary_(std::move(vocabulary)) {
  for (const char* beam : {"beam", "tsd", "alsd", "maes", "malsd_batch", "maes_batch"}) {
    if (config.strategy != beam) continue;
    throw Error(Code::kUnavailable, "beam searches of transducers are not supported yet")
        .at("strategy")
        .seen(config.strategy)
        .next("use greedy_batch");
  }
  expect_one_of(config.strategy, {"greedy", "greedy_batch"}, "strategy");
  expect_one_of(config.model_type, {"rnnt", "tdt", "multiblank"}, "model_type");
  expect_one_of(config.rnnt_timestamp_type, {"all", "char", "word", "segment"}, "rnnt_timestamp_type");
  if (!(config.temperature > 0) || !std::isfinite(config.temperature)) {
    throw Error(Code::kFailed, "a temperature divides: it must be positive")
        .at("temperature")
        .seen(json_text(Json(config.temperature)))
        .expected("above 0; 1 leaves the classes as they are");
  }
  if (config.confidence_cfg.wanted())
    throw Error(Code::kUnavailable, "confidences of transducers are not supported yet").at("confidence_cfg");
  search_.blank = vocabulary_.size();
  search_.temperature = config.temperature;
  search_.max_symbols = config.greedy.max_symbols.value_or(config.greedy.max_symbols_per_step.value_or(10));
  if (search_.max_symbols < 1) {
    throw Error(Code::kFailed, "at least one label a frame must be possible")
        .at("greedy.max_symbols")
        .seen(std::to_string(search_.max_symbols));
  }
  const auto frames_of = [](const std::optional<std::vector<int64_t>>& given, const char* key, int64_t least) {
    const std::vector<int64_t> frames = given.value_or(std::vector<int64_t>{});
    for (const int64_t one : frames) {
      if (one < least) throw Error(Code::kFailed, "a duration is too short").at(key).seen(std::to_string(one));
    }
    if (frames.empty()) throw Error(Code::kFailed, "this kind of model needs its durations").at(key).seen("none");
    return frames;
  };
  if (config.model_type == "tdt") search_.durations = frames_of(config.durations, "durations", 0);
  if (config.model_type == "multiblank") {
    search_.big_blank_durations = frames_of(config.big_blank_durations, "big_blank_durations", 2);
    search_.blank += static_cast<int64_t>(search_.big_blank_durations.size());
  }
}

std::vector<Hypothesis> TransducerDecoding::decode(const ModuleHandle& decoder, const JointHandle& joint,
                                                   const at::Tensor& encoder_outputs, const at::Tensor& lengths,
                                                   bool compute_timestamps) const {
  const at::NoGradGuard no_grad;
  const EvalMode decoder_mode(decoder), joint_mode(joint.module());
  const RecurrentHandle steps(decoder.borrowed());
  std::vector<Hypothesis> out;
  for (TransducerPath& path : greedy_search(steps, joint, encoder_outputs, lengths, search_)) {
    Hypothesis hypothesis;
    hypothesis.text = vocabulary_.decode_text(path.tokens);
    hypothesis.score = path.score;
    hypothesis.timestep = path.frames;
    if (compute_timestamps || config_.compute_timestamps.value_or(false)) add_timestamps(hypothesis, path);
    hypothesis.y_sequence = std::move(path.tokens);
    out.push_back(std::move(hypothesis));
  }
  return out;
}

// A label of RNN-T is as long as its frame, one of TDT as long as it said.
void TransducerDecoding::add_timestamps(Hypothesis& hypothesis, const TransducerPath& path) const {
  std::vector<Offset> offsets;
  for (size_t i = 0; i < path.tokens.size(); ++i) {
    const int64_t start = path.frames[i];
    offsets.push_back(
        {vocabulary_.token_text(path.tokens[i]), start, start + (path.durations.empty() ? 1 : path.durations[i])});
  }
  // Punctuation is often found long after its word, behind the pause: it takes no time of its own.
  for (size_t i = 1; !path.durations.empty() && i < offsets.size(); ++i) {
    if (vocabulary_.begins_with_punctuation(path.tokens[i])) offsets[i].start = offsets[i].end = offsets[i - 1].end;
  }
  add_offsets(hypothesis, path.tokens, std::move(offsets), vocabulary_,
              {config_.rnnt_timestamp_type, config_.word_seperator, config_.segment_seperators,
               config_.segment_gap_threshold.value_or(0)});
}

}  // namespace fathom::asr
