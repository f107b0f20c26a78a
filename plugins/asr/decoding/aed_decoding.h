// Decoding of encoder-decoder models, as NeMo's MultiTaskDecoding: the likeliest token, one after the other, from a
// prompt on. Strategies: greedy (and greedy_batch), and beam with beam_size 1, which NeMo takes by default: it also
// ends at a padding token, and may go one token further.
//
// What an item gives does not depend on the items decoded with it: prompts of different lengths are decoded apart, and
// the limit of an item's tokens is its own. Thread-safe: decode keeps no state.
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/module.h"
#include "plugins/asr/decoding/confidence.h"
#include "plugins/asr/decoding/hypothesis.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::asr {

struct AedGreedyConfig {
  std::optional<double> temperature;
  int64_t max_generation_delta = -1;  // tokens; -1: no limit but the decoder's
  int64_t n_samples = 1;
  bool preserve_alignments = false, preserve_token_confidence = false;
  Json confidence_method_cfg;
  bool padding_counts = false;
  static void describe(OptionSet<AedGreedyConfig>& o);
};

struct AedBeamConfig {
  int64_t beam_size = 1, max_generation_delta = -1;
  bool return_best_hypothesis = true, padding_counts = false;
  Json ngram_lm_model, boosting_tree;
  static void describe(OptionSet<AedBeamConfig>& o);
};

struct AedDecodingConfig {
  std::string strategy = "beam";
  std::optional<bool> preserve_alignments;
  bool compute_hypothesis_token_set = false, compute_langs = false, return_xattn_scores = false;
  double temperature = 1.0;
  ConfidenceConfig confidence_cfg;
  AedGreedyConfig greedy;
  AedBeamConfig beam;
  static void describe(OptionSet<AedDecodingConfig>& o);
};

class AedDecoding {
 public:
  using Tokenizer = std::shared_ptr<const text::SubwordTokenizer>;
  AedDecoding() = default;
  // Throws kUnavailable for what is not supported, naming the option.
  AedDecoding(const AedDecodingConfig& config, Tokenizer tokenizer);

  // The encoder's output of a batch: states (B,S,D), lengths (B) in frames.
  struct Encoded {
    at::Tensor states, lengths;
  };
  // The best hypothesis of every item. `decoder` goes step by step and has the property max_sequence_length; `head`
  // turns its states into log_probs or logits. y_sequence: the tokens after the prompt, without the end. With
  // confidences, frame_confidence begins with 1 for each token of the prompt.
  std::vector<Hypothesis> decode(const ModuleHandle& decoder, const ModuleHandle& head, const Encoded& encoded,
                                 const std::vector<std::vector<int64_t>>& prompts) const;

 private:
  struct Group;
  void decode_group(const ModuleHandle& decoder, const ModuleHandle& head, const Group& group,
                    std::vector<Hypothesis>& out) const;
  void finish(Hypothesis& hypothesis) const;

  AedDecodingConfig config_;
  bool greedy_ = true;           // and not NeMo's beam of one
  int64_t delta_ = -1;           // max_generation_delta of the strategy
  bool padding_counts_ = false;  // of the strategy
  bool wants_confidence_ = false;
  Tokenizer tokenizer_;
  text::SpecialIds specials_;
};

// Of canary2's answers with times: text "<|3|> word<|5|>" becomes its words, with hypothesis.words and segments in
// frames. A text without a pair of times stays.
void read_time_tokens(Hypothesis& hypothesis);

}  // namespace fathom::asr
