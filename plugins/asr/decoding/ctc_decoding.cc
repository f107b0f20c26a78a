#include "plugins/asr/decoding/ctc_decoding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace fathom::asr {
namespace {

void expect_one_of(const std::string& value, std::initializer_list<const char*> known, const char* key) {
  std::string list;
  for (const char* name : known) {
    if (value == name) return;
    list += (list.empty() ? "" : ", ") + std::string(name);
  }
  throw Error(Code::kFailed, std::string("decoding option '") + key + "' has an unknown value")
      .at(key)
      .seen(value)
      .expected("one of: " + list);
}

// Confidence of one frame, from its log-probabilities of n classes; 1 = all on one class, 0 = uniform.
// Entropies and their exponential scaling: Laptev and Ginsburg, "Fast Entropy-Based Methods of Word-Level Confidence
// Estimation for End-to-End Automatic Speech Recognition", 2022.
double frame_confidence(const ConfidenceMethod& method, const float* log_probs, int64_t n) {
  const auto classes = static_cast<double>(n);
  const double alpha = method.alpha;
  if (method.name == "max_prob") {
    const double best = *std::max_element(log_probs, log_probs + n);
    const double scale = std::pow(classes, alpha);
    return (std::exp(best * alpha) * scale - 1) / (scale - 1);
  }
  double power_sum = 0, weighted = 0;  // sum p^a, sum p^a log p
  for (int64_t i = 0; i < n; ++i) {
    const double log_p = log_probs[i];
    if (std::isinf(log_p)) continue;
    const double p = std::exp(alpha * log_p);
    power_sum += p;
    weighted += p * log_p;
  }
  const bool linear = method.entropy_norm == "lin";
  if (alpha == 1.0) {  // all three are Shannon's
    return linear ? 1 + weighted / std::log(classes) : (std::exp(weighted) * classes - 1) / (classes - 1);
  }
  if (method.entropy_type == "gibbs") {
    const double largest = std::pow(classes, 1 - alpha);
    if (linear) return 1 + weighted / std::log(classes) / largest;
    const double floor = std::pow(classes, -alpha * largest);
    return (std::exp(weighted * alpha) - floor) / (1 - floor);
  }
  if (method.entropy_type == "tsallis") {
    const double largest = std::pow(classes, 1 - alpha);
    if (linear) return 1 + (1 - power_sum) / (largest - 1);
    const double floor = std::exp((1 - largest) / (1 - alpha));
    return (std::exp((1 - power_sum) / (1 - alpha)) - floor) / (1 - floor);
  }
  if (linear) return 1 + std::log(power_sum) / (alpha - 1) / std::log(classes);
  return (std::pow(power_sum, 1 / (alpha - 1)) * classes - 1) / (classes - 1);
}

double aggregate(const std::string& how, const std::vector<double>& values) {
  if (values.empty()) return 0;
  if (how == "min") return *std::min_element(values.begin(), values.end());
  if (how == "max") return *std::max_element(values.begin(), values.end());
  double out = how == "prod" ? 1 : 0;
  for (const double value : values) out = how == "prod" ? out * value : out + value;
  return how == "prod" ? out : out / static_cast<double>(values.size());
}

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

// Index ranges of the tokens of each word. kCharacters: between delimiters. kSentencePiece: from one word start to the
// next.
std::vector<std::vector<size_t>> words_of(const std::vector<Token>& tokens, const text::Vocabulary& vocabulary,
                                          const std::string& delimiter) {
  std::vector<std::vector<size_t>> words;
  bool open = false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (vocabulary.kind() == text::Vocabulary::Kind::kCharacters && vocabulary.token(tokens[i].id) == delimiter) {
      open = false;
      continue;
    }
    const bool begins = vocabulary.starts_word(tokens[i].id) && !vocabulary.is_punctuation_token(tokens[i].id);
    if (!open || begins) words.emplace_back();
    words.back().push_back(i);
    open = true;
  }
  return words;
}

std::vector<Offset> segments_of(const std::vector<Offset>& words, const CtcDecodingConfig& config) {
  std::vector<Offset> segments;
  std::vector<std::string> texts;
  size_t first = 0;
  const auto close = [&](size_t last) {
    std::string text;
    for (const auto& word : texts) text += (text.empty() ? "" : " ") + word;
    segments.push_back({text, words[first].start, words[last].end});
    texts.clear();
  };
  const auto ends_segment = [&](const std::string& word) {
    return std::any_of(config.segment_seperators.begin(), config.segment_seperators.end(),
                       [&](const std::string& mark) { return !mark.empty() && word.ends_with(mark); });
  };
  for (size_t i = 0; i < words.size(); ++i) {
    if (config.segment_gap_threshold && !texts.empty() &&
        words[i].start - words[i - 1].end >= *config.segment_gap_threshold) {
      close(i - 1);
      first = i;
    }
    texts.push_back(words[i].text);
    if (ends_segment(words[i].text)) {
      close(i);
      first = i + 1;
    }
  }
  if (!texts.empty()) close(words.size() - 1);
  return segments;
}

void append_offsets(Json& out, const char* key, const std::vector<Offset>& offsets, double seconds_per_frame) {
  Json list = Json::array();
  for (const auto& offset : offsets) {
    list.push_back({{key, offset.text},
                    {"start_offset", offset.start},
                    {"end_offset", offset.end},
                    {"start", static_cast<double>(offset.start) * seconds_per_frame},
                    {"end", static_cast<double>(offset.end) * seconds_per_frame}});
  }
  out[key] = std::move(list);
}

}  // namespace

void ConfidenceMethod::describe(OptionSet<ConfidenceMethod>& o) {
  o("name", &ConfidenceMethod::name, "max_prob or entropy");
  o("entropy_type", &ConfidenceMethod::entropy_type, "gibbs, tsallis or renyi");
  o("alpha", &ConfidenceMethod::alpha, "power of the probabilities, above 0");
  o("entropy_norm", &ConfidenceMethod::entropy_norm, "lin or exp: how the entropy is scaled to [0, 1]");
  o.allow_extra();  // older files carry renamed copies (temperature)
}

void ConfidenceConfig::describe(OptionSet<ConfidenceConfig>& o) {
  o("preserve_frame_confidence", &ConfidenceConfig::preserve_frame_confidence, "keep a confidence for every frame");
  o("preserve_token_confidence", &ConfidenceConfig::preserve_token_confidence, "keep a confidence for every token");
  o("preserve_word_confidence", &ConfidenceConfig::preserve_word_confidence, "keep a confidence for every word");
  o("exclude_blank", &ConfidenceConfig::exclude_blank, "blank frames do not count towards their token");
  o("aggregation", &ConfidenceConfig::aggregation, "from frames to tokens to words: mean, min, max or prod");
  o("method_cfg", &ConfidenceConfig::method_cfg, "how a frame's confidence is measured");
  o.allow_extra();  // options of transducers (tdt_include_duration) and of older versions
}

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
  o("segment_gap_threshold", &CtcDecodingConfig::segment_gap_threshold, "a pause this long begins a segment", "frames");
  o("ctc_timestamp_type", &CtcDecodingConfig::ctc_timestamp_type, "char, word, segment or all");
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
        .at("decoding.strategy")
        .next("use beam_batch, which needs none, or greedy_batch");
  }
  expect_one_of(config.strategy, {"greedy", "greedy_batch", "beam_batch"}, "strategy");
  if (config.beam.beam_size < 1) {
    throw Error(Code::kFailed, "a beam search needs beam_size of at least 1")
        .at("beam.beam_size")
        .seen(std::to_string(config.beam.beam_size));
  }
  expect_one_of(config.ctc_timestamp_type, {"all", "char", "word", "segment"}, "ctc_timestamp_type");
  const auto& confidence = config.confidence_cfg;
  expect_one_of(confidence.aggregation, {"mean", "min", "max", "prod"}, "aggregation");
  expect_one_of(confidence.method_cfg.name, {"max_prob", "entropy"}, "name");
  expect_one_of(confidence.method_cfg.entropy_type, {"gibbs", "tsallis", "renyi"}, "entropy_type");
  expect_one_of(confidence.method_cfg.entropy_norm, {"lin", "exp"}, "entropy_norm");
  if (!(confidence.method_cfg.alpha > 0)) {
    throw Error(Code::kFailed, "confidence needs alpha above 0")
        .at("alpha")
        .seen(std::to_string(confidence.method_cfg.alpha));
  }
}

void CtcDecoding::check_shape(const at::Tensor& log_probs) const {
  if (log_probs.dim() != 3 || log_probs.size(2) != vocabulary_.size() + 1) {
    throw Error(Code::kFailed, "CTC decoding needs log-probabilities of (batch, time, classes)")
        .seen("shape with last dimension " + std::to_string(log_probs.dim() == 0 ? 0 : log_probs.size(-1)))
        .expected(std::to_string(vocabulary_.size() + 1) + " classes: the vocabulary and the blank");
  }
}

std::vector<std::vector<Hypothesis>> CtcDecoding::decode_nbest(const at::Tensor& log_probs,
                                                               const at::Tensor& lengths) const {
  std::vector<std::vector<Hypothesis>> out;
  if (is_greedy()) {
    for (auto& hypothesis : decode(log_probs, lengths)) out.emplace_back().push_back(std::move(hypothesis));
    return out;
  }
  check_shape(log_probs);
  const at::Tensor host = log_probs.detach().to(at::kCPU, at::kFloat).contiguous();
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
  check_shape(log_probs);
  const at::Tensor host = log_probs.detach().to(at::kCPU, at::kFloat).contiguous();
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

std::vector<std::string> CtcDecoding::decode_references(const at::Tensor& targets, const at::Tensor& lengths) const {
  const at::Tensor ids = targets.to(at::kCPU, at::kLong).contiguous(),
                   counts = lengths.to(at::kCPU, at::kLong).contiguous();
  std::vector<std::string> out;
  for (int64_t b = 0; b < ids.size(0); ++b) {
    const int64_t* row = ids.data_ptr<int64_t>() + b * ids.size(1);
    out.push_back(vocabulary_.decode({row, row + std::clamp<int64_t>(counts.data_ptr<int64_t>()[b], 0, ids.size(1))}));
  }
  return out;
}

void CtcDecoding::add_timestamps(Hypothesis& hypothesis) const {
  hypothesis.has_timestamps = true;
  const auto tokens = collapse(hypothesis.y_sequence, vocabulary_.blank());
  std::vector<Offset> offsets;
  int64_t start = tokens.empty() ? 0 : std::max<int64_t>(0, tokens.front().first_frame - 1);
  for (const auto& token : tokens) {
    offsets.push_back({vocabulary_.token_text(token.id), start, token.first_frame});
    start = token.first_frame;
  }
  // Punctuation is often found long after its word, behind the pause: it takes no time of its own.
  for (size_t i = 1; i < tokens.size(); ++i) {
    if (vocabulary_.is_punctuation_token(tokens[i].id)) offsets[i].start = offsets[i].end = offsets[i - 1].end;
  }
  std::vector<Offset> words;
  for (const auto& word : words_of(tokens, vocabulary_, config_.word_seperator)) {
    std::vector<int64_t> ids;
    for (const size_t i : word) ids.push_back(tokens[i].id);
    std::string text = vocabulary_.decode(ids);
    if (!text.empty()) words.push_back({std::move(text), offsets[word.front()].start, offsets[word.back()].end});
  }
  const auto wants = [&](const char* type) {
    return config_.ctc_timestamp_type == "all" || config_.ctc_timestamp_type == type;
  };
  if (wants("segment")) hypothesis.segments = segments_of(words, config_);
  if (wants("word")) hypothesis.words = std::move(words);
  if (wants("char")) hypothesis.chars = std::move(offsets);
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
    for (const auto& word : words_of(tokens, vocabulary_, config_.word_seperator)) {
      std::vector<double> values;
      for (const size_t i : word) values.push_back(per_token[i]);
      hypothesis.word_confidence.push_back(aggregate(config.aggregation, values));
    }
  }
  if (config.preserve_token_confidence || config.preserve_word_confidence)
    hypothesis.token_confidence = std::move(per_token);
  hypothesis.frame_confidence = std::move(frame);
}

Json timestamps_json(const Hypothesis& hypothesis, double seconds_per_frame) {
  Json out = Json::object();
  append_offsets(out, "char", hypothesis.chars, seconds_per_frame);
  append_offsets(out, "word", hypothesis.words, seconds_per_frame);
  append_offsets(out, "segment", hypothesis.segments, seconds_per_frame);
  return out;
}

}  // namespace fathom::asr
