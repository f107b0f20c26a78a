#include "plugins/asr/decoding/aed_decoding.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "fathom/recurrent.h"
#include "plugins/lib/text/latin_text.h"

namespace fathom::asr {
namespace {

[[noreturn]] void refuse_decoding(const char* key, const std::string& seen, const std::string& why,
                                  const std::string& next) {
  throw Error(Code::kUnavailable, why).at(key).seen(seen).next(next);
}

// Whether a boosting tree's section names phrases.
bool has_phrases(const Json& tree) {
  if (!tree.is_object()) return false;
  for (const char* key : {"model_path", "key_phrases_file", "key_phrases_list", "key_phrase_items_list"}) {
    if (tree.contains(key) && !tree[key].is_null() && !(tree[key].is_array() && tree[key].empty())) return true;
  }
  return false;
}

}  // namespace

void AedGreedyConfig::describe(OptionSet<AedGreedyConfig>& o) {
  using C = AedGreedyConfig;
  o("temperature", &C::temperature, "null: the likeliest token; sampling is not supported");
  o("max_generation_delta", &C::max_generation_delta,
    "a sequence has at most so many tokens more than the encoder gives frames; -1: as many as the decoder can",
    "tokens");
  o("n_samples", &C::n_samples, "1; several samples are not supported");
  o("preserve_alignments", &C::preserve_alignments, "accepted; there are none to keep, in NeMo neither");
  o("preserve_token_confidence", &C::preserve_token_confidence, "accepted; confidence_cfg of the decoding says");
  o("confidence_method_cfg", &C::confidence_method_cfg, "accepted; method_cfg of confidence_cfg says");
  o("padding_counts", &C::padding_counts,
    "prompts are padded to one length and generation goes on behind, as in NeMo; off: results do not depend on the "
    "batch");
}

void AedBeamConfig::describe(OptionSet<AedBeamConfig>& o) {
  using C = AedBeamConfig;
  o("beam_size", &C::beam_size, "1: greedy; wider beams are not supported");
  o("max_generation_delta", &C::max_generation_delta,
    "a sequence has at most so many tokens more than the encoder gives frames; -1: as many as the decoder can",
    "tokens");
  o("return_best_hypothesis", &C::return_best_hypothesis, "with a beam of one there is no other");
  o("ngram_lm_model", &C::ngram_lm_model, "null; language models are not supported");
  o("boosting_tree", &C::boosting_tree, "phrases to prefer; none: they are not supported");
  o("padding_counts", &C::padding_counts,
    "prompts are padded to one length and generation goes on behind, as in NeMo; off: results do not depend on the "
    "batch");
  o.allow_extra();  // penalties and weights of wider beams and language models travel with every config
}

void AedDecodingConfig::describe(OptionSet<AedDecodingConfig>& o) {
  using C = AedDecodingConfig;
  o("strategy", &C::strategy, "greedy, greedy_batch or beam");
  o("preserve_alignments", &C::preserve_alignments, "accepted; there are none to keep, in NeMo neither");
  o("compute_hypothesis_token_set", &C::compute_hypothesis_token_set, "false");
  o("compute_langs", &C::compute_langs, "false");
  o("return_xattn_scores", &C::return_xattn_scores, "false");
  o("temperature", &C::temperature, "1; nothing in NeMo reads it");
  o("confidence_cfg", &C::confidence_cfg, "which confidences to keep, of greedy decoding");
  o("greedy", &C::greedy, "options of greedy and greedy_batch");
  o("beam", &C::beam, "options of beam");
  o.allow_extra();  // sections of streaming travel with configs
}

AedDecoding::AedDecoding(const AedDecodingConfig& config, Tokenizer tokenizer)
    : config_(config), tokenizer_(std::move(tokenizer)), specials_(tokenizer_->special_ids()) {
  expect_one_of(config.strategy, {"greedy", "greedy_batch", "beam"}, "strategy");
  greedy_ = config.strategy != "beam";
  delta_ = greedy_ ? config.greedy.max_generation_delta : config.beam.max_generation_delta;
  padding_counts_ = greedy_ ? config.greedy.padding_counts : config.beam.padding_counts;
  if (greedy_ && config.greedy.temperature)
    refuse_decoding("greedy.temperature", json_text(Json(*config.greedy.temperature)),
                    "tokens are not drawn at random, but the likeliest is taken", "set it to null");
  if (greedy_ && config.greedy.n_samples != 1)
    refuse_decoding("greedy.n_samples", std::to_string(config.greedy.n_samples), "there is one answer, no samples",
                    "set it to 1");
  if (!greedy_ && config.beam.beam_size != 1)
    refuse_decoding("beam.beam_size", std::to_string(config.beam.beam_size),
                    "encoder-decoder models are decoded with a beam of one", "set decoding.beam.beam_size=1");
  if (!greedy_ && !config.beam.ngram_lm_model.is_null())
    refuse_decoding("beam.ngram_lm_model", json_text(config.beam.ngram_lm_model),
                    "language models are not supported in the decoding of encoder-decoder models", "set it to null");
  if (!greedy_ && has_phrases(config.beam.boosting_tree))
    refuse_decoding("beam.boosting_tree", json_text(config.beam.boosting_tree),
                    "phrases cannot be preferred in the decoding of encoder-decoder models", "leave its phrases out");
  for (const auto& [key, value] : {std::pair<const char*, bool>{"compute_langs", config.compute_langs},
                                   {"compute_hypothesis_token_set", config.compute_hypothesis_token_set},
                                   {"return_xattn_scores", config.return_xattn_scores}}) {
    if (value) refuse_decoding(key, "true", "hypotheses do not hold this", "set it to false");
  }
  if (config.temperature != 1.0)
    refuse_decoding("temperature", json_text(Json(config.temperature)), "this temperature changes nothing",
                    "set it to 1.0");
  config.confidence_cfg.check();
  if (config.confidence_cfg.preserve_word_confidence)
    refuse_decoding("confidence_cfg.preserve_word_confidence", "true",
                    "encoder-decoder models give confidences of tokens", "use preserve_token_confidence");
  wants_confidence_ = greedy_ && config.confidence_cfg.wanted();
}

// Items whose prompts are of one length.
struct AedDecoding::Group {
  std::vector<int64_t> items;
  std::vector<std::vector<int64_t>> prompts;
  at::Tensor states, mask;      // of the items
  std::vector<int64_t> limits;  // tokens that each may get
};

std::vector<Hypothesis> AedDecoding::decode(const ModuleHandle& decoder, const ModuleHandle& head,
                                            const Encoded& encoded,
                                            const std::vector<std::vector<int64_t>>& prompts) const {
  const at::Tensor lengths = encoded.lengths.to(at::kCPU, at::kLong).contiguous();
  const int64_t batch = encoded.states.size(0), frames = encoded.states.size(1);
  if (static_cast<int64_t>(prompts.size()) != batch) {
    throw Error(Code::kInternal, "a decoding needs a prompt for every item")
        .seen(std::to_string(prompts.size()))
        .expected(std::to_string(batch));
  }
  const auto properties = decoder.properties();
  const auto longest = properties.is_object() ? properties.value("max_sequence_length", int64_t{512}) : int64_t{512};

  std::map<size_t, std::vector<int64_t>> by_length;
  size_t padded = 0;
  for (const auto& prompt : prompts) padded = std::max(padded, prompt.size());
  for (int64_t i = 0; i < batch; ++i)
    by_length[padding_counts_ ? padded : prompts[static_cast<size_t>(i)].size()].push_back(i);

  std::vector<Hypothesis> out(static_cast<size_t>(batch));
  const at::Tensor place = at::arange(frames, lengths.options()).unsqueeze(0);
  const at::Tensor mask = (place < lengths.unsqueeze(1)).to(encoded.states.device());
  for (const auto& [length, items] : by_length) {
    Group group;
    group.items = items;
    const at::Tensor rows = at::tensor(items, at::kLong).to(encoded.states.device());
    const bool all = static_cast<int64_t>(items.size()) == batch;
    group.states = all ? encoded.states : encoded.states.index_select(0, rows);
    group.mask = all ? mask : mask.index_select(0, rows);
    for (const int64_t item : items) {
      group.prompts.push_back(prompts[static_cast<size_t>(item)]);
      group.prompts.back().resize(length, specials_.pad);
      const int64_t heard = padding_counts_ ? frames : lengths.data_ptr<int64_t>()[item];
      const int64_t tokens = delta_ >= 0 ? std::min(longest, heard + delta_) : longest;
      // NeMo's beam looks at a first token before it counts.
      group.limits.push_back(std::max<int64_t>(tokens - static_cast<int64_t>(length), 0) + (greedy_ ? 0 : 1));
    }
    decode_group(decoder, head, group, out);
  }
  for (Hypothesis& hypothesis : out) finish(hypothesis);
  return out;
}

void AedDecoding::decode_group(const ModuleHandle& decoder, const ModuleHandle& head, const Group& group,
                               std::vector<Hypothesis>& out) const {
  const at::Device device = group.states.device();
  const RecurrentHandle steps(decoder.borrowed());
  // Rows of the tensors below, as indices into the group; those that are done leave.
  std::vector<int64_t> rows(group.items.size());
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<int64_t> flat;
  for (const auto& prompt : group.prompts) flat.insert(flat.end(), prompt.begin(), prompt.end());
  const auto length = static_cast<int64_t>(group.prompts.front().size());
  at::Tensor ids = at::tensor(flat, at::kLong).view({static_cast<int64_t>(rows.size()), length}).to(device);
  at::Tensor states = group.states, mask = group.mask;
  Values memory = steps.initial_state(static_cast<int64_t>(rows.size()));
  if (wants_confidence_) {
    for (const int64_t item : group.items)
      out[static_cast<size_t>(item)].frame_confidence.assign(static_cast<size_t>(length), 1.0);
  }
  const auto keep = [&](const std::vector<int64_t>& kept) {
    const at::Tensor index = at::tensor(kept, at::kLong).to(device);
    memory = steps.select(memory, kept);
    ids = ids.index_select(0, index);
    states = states.index_select(0, index);
    mask = mask.index_select(0, index);
    std::vector<int64_t> left;
    for (const int64_t k : kept) left.push_back(rows[static_cast<size_t>(k)]);
    rows = std::move(left);
  };
  // Those that may get no token at all.
  std::vector<int64_t> open;
  for (size_t k = 0; k < rows.size(); ++k) {
    if (group.limits[k] > 0) open.push_back(static_cast<int64_t>(k));
  }
  if (open.empty()) return;
  if (open.size() < rows.size()) {
    const at::Tensor index = at::tensor(open, at::kLong).to(device);
    ids = ids.index_select(0, index), states = states.index_select(0, index), mask = mask.index_select(0, index);
    rows = open;
  }

  for (int64_t count = 1; !rows.empty(); ++count) {
    Recurrent::StepResult step = steps.step({{"input_ids", ids},
                                             {"decoder_mask", ids.ne(specials_.pad)},
                                             {"encoder_embeddings", states},
                                             {"encoder_mask", mask}},
                                            memory);
    memory = std::move(step.state);
    const Values scored = head({{"hidden_states", step.outputs.tensor("last_hidden_states").slice(1, -1)}});
    const at::Tensor scores = scored.begin()->second.tensor().select(1, 0);
    const at::Tensor best = scores.argmax(-1);
    ids = best.unsqueeze(1);
    const at::Tensor tokens = best.to(at::kCPU);
    at::Tensor log_probs;
    if (wants_confidence_) log_probs = at::log_softmax(scores.to(at::kCPU, at::kFloat), -1).contiguous();
    std::vector<int64_t> going;
    for (size_t k = 0; k < rows.size(); ++k) {
      const int64_t token = tokens.const_data_ptr<int64_t>()[k];
      Hypothesis& hypothesis = out[static_cast<size_t>(group.items[static_cast<size_t>(rows[k])])];
      hypothesis.y_sequence.push_back(token);
      if (wants_confidence_) {
        hypothesis.frame_confidence.push_back(frame_confidence(
            config_.confidence_cfg.method_cfg,
            log_probs.const_data_ptr<float>() + static_cast<int64_t>(k) * log_probs.size(1), log_probs.size(1)));
        hypothesis.token_confidence.push_back(hypothesis.frame_confidence.back());
      }
      const bool ends = token == specials_.eos || (!greedy_ && token == specials_.pad);
      if (!ends && count < group.limits[static_cast<size_t>(rows[k])]) going.push_back(static_cast<int64_t>(k));
    }
    if (going.empty()) break;
    if (going.size() < rows.size()) keep(going);
  }
}

void AedDecoding::finish(Hypothesis& hypothesis) const {
  auto& ids = hypothesis.y_sequence;
  while (!ids.empty() && (ids.back() == specials_.eos || ids.back() == specials_.pad)) ids.pop_back();
  if (!hypothesis.token_confidence.empty()) hypothesis.token_confidence.resize(ids.size());
  // The classes are more than the tokens: their number is rounded up, and what was never trained reads as nothing.
  std::vector<int64_t> known;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(known),
               [&](int64_t id) { return id < tokenizer_->vocab_size(); });
  hypothesis.text = tokenizer_->ids_to_text(known);
}

// --- times -----------------------------------------------------------------------------------------------------------

namespace {

// "<|12|>" at `at`: its number and what comes behind it.
struct TimeToken {
  size_t begin, end;
  int64_t frame;
};
std::optional<TimeToken> next_time(const std::string& text, size_t from) {
  for (size_t at = text.find("<|", from); at != std::string::npos; at = text.find("<|", at + 1)) {
    size_t end = at + 2;
    constexpr size_t kMostDigits = 9;
    while (end < text.size() && end < at + 2 + kMostDigits && text[end] >= '0' && text[end] <= '9') ++end;
    if (end > at + 2 && text.compare(end, 2, "|>") == 0)
      return {{at, end + 2, std::stoll(text.substr(at + 2, end - at - 2))}};
  }
  return std::nullopt;
}

std::string stripped(const std::string& text) {
  constexpr const char* kBlanks = " \t\n\r\f\v";
  const size_t first = text.find_first_not_of(kBlanks);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

void read_time_tokens(Hypothesis& hypothesis) {
  hypothesis.has_timestamps = true;
  hypothesis.text = stripped(hypothesis.text);
  bool pair = false;
  std::string words;
  for (auto start = next_time(hypothesis.text, 0); start;) {
    const auto end = next_time(hypothesis.text, start->end);
    if (!end) break;
    pair = true;
    const std::string word = stripped(hypothesis.text.substr(start->end, end->begin - start->end));
    if (!word.empty()) {
      hypothesis.words.push_back({word, start->frame, end->frame});
      words += (words.empty() ? "" : " ") + word;
    }
    start = next_time(hypothesis.text, end->end);
  }
  if (!pair) return;
  hypothesis.text = words;
  Offset segment;
  const auto close = [&] {
    if (!segment.text.empty()) hypothesis.segments.push_back(segment);
    segment = {};
  };
  for (const Offset& word : hypothesis.words) {
    if (segment.text.empty()) segment.start = word.start;
    segment.text += (segment.text.empty() ? "" : " ") + word.text;
    segment.end = word.end;
    const char last = word.text.back();
    if (last == '.' || last == '?' || last == '!') close();
  }
  close();
}

}  // namespace fathom::asr
