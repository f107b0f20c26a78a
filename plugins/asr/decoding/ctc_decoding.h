// CTC decoding, as NeMo's CTCDecoding. Strategies: greedy (and greedy_batch): the best class of every frame, repeats
// joined, blanks dropped, with timestamps and confidences; beam_batch: beam search without a language model
// (ctc_beam.h).
//
// The blank is the class after the last token. Thread-safe: decode keeps no state.
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/options.h"
#include "plugins/asr/decoding/confidence.h"
#include "plugins/asr/decoding/ctc_beam.h"
#include "plugins/asr/decoding/hypothesis.h"
#include "plugins/lib/text/vocabulary.h"

namespace fathom::asr {

struct CtcBeamConfig {
  bool return_best_hypothesis = true;
  int64_t beam_size = 4;
  double beam_beta = 1.0, beam_threshold = 20.0;
  bool padding_counts = false;
  static void describe(OptionSet<CtcBeamConfig>& o);
};

struct CtcDecodingConfig {
  std::string strategy = "greedy";
  std::optional<bool> preserve_alignments, compute_timestamps;
  std::string word_seperator = " ";  // NeMo's spelling
  std::vector<std::string> segment_seperators = {".", "!", "?"};
  std::optional<int64_t> segment_gap_threshold;  // frames
  std::string ctc_timestamp_type = "all";        // char, word, segment or all
  double temperature = 1.0;                      // of the classes' softmax
  ConfidenceConfig confidence_cfg;
  CtcBeamConfig beam;
  static void describe(OptionSet<CtcDecodingConfig>& o);
};

class CtcDecoding {
 public:
  CtcDecoding() = default;
  // Throws kUnavailable for another strategy.
  CtcDecoding(const CtcDecodingConfig& config, text::Vocabulary vocabulary);

  // The best hypothesis of every item. log_probs (B,T,V+1) on any device, lengths (B) in frames.
  std::vector<Hypothesis> decode(const at::Tensor& log_probs, const at::Tensor& lengths,
                                 bool compute_timestamps = false) const;
  // The n best of every item; one of each for the greedy strategies. A beam's y_sequence holds its tokens, its timestep
  // their frames.
  std::vector<std::vector<Hypothesis>> decode_nbest(const at::Tensor& log_probs, const at::Tensor& lengths) const;
  bool is_greedy() const { return config_.strategy != "beam_batch"; }
  // Greedy, texts only, from the best classes (B,T).
  std::vector<std::string> decode_predictions(const at::Tensor& predictions, const at::Tensor& lengths) const;
  const text::Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  // (B,T,V+1) on the CPU in float32: log_probs at the config's temperature.
  at::Tensor tempered(const at::Tensor& log_probs) const;
  void add_timestamps(Hypothesis& hypothesis) const;
  void add_confidence(Hypothesis& hypothesis, const float* log_probs) const;

  CtcDecodingConfig config_;
  text::Vocabulary vocabulary_;
};

}  // namespace fathom::asr
