// Decoding of transducers, as NeMo's RNNTDecoding: the section `decoding` of a model, and hypotheses from paths.
// Strategies: greedy and greedy_batch, which give the same here (transducer_search.h). Thread-safe but for the modules
// it calls.
#pragma once

#include "plugins/asr/decoding/confidence.h"
#include "plugins/asr/decoding/hypothesis.h"
#include "plugins/asr/decoding/transducer_search.h"
#include "plugins/lib/text/vocabulary.h"

namespace fathom::asr {

struct TransducerGreedyConfig {
  std::optional<int64_t> max_symbols, max_symbols_per_step;
  static void describe(OptionSet<TransducerGreedyConfig>& o);
};

struct TransducerDecodingConfig {
  std::string model_type = "rnnt";  // rnnt, tdt or multiblank; models set it by their loss
  std::string strategy = "greedy_batch";
  std::optional<bool> compute_timestamps, preserve_alignments;
  std::string word_seperator = " ";  // NeMo's spelling
  std::vector<std::string> segment_seperators = {".", "!", "?"};
  std::optional<int64_t> segment_gap_threshold;  // frames
  std::string rnnt_timestamp_type = "all";
  double temperature = 1;
  std::optional<std::vector<int64_t>> durations, big_blank_durations;
  ConfidenceConfig confidence_cfg;
  TransducerGreedyConfig greedy;
  static void describe(OptionSet<TransducerDecodingConfig>& o);
};

class TransducerDecoding {
 public:
  TransducerDecoding() = default;
  // Throws kUnavailable for another strategy, kFailed for options that contradict each other.
  TransducerDecoding(const TransducerDecodingConfig& config, text::Vocabulary vocabulary);

  // The best hypothesis of every item: encoder_outputs (B, D, T), lengths (B). `decoder` and `joint` are run in eval
  // mode, and are left in the mode they had.
  std::vector<Hypothesis> decode(const ModuleHandle& decoder, const JointHandle& joint,
                                 const at::Tensor& encoder_outputs, const at::Tensor& lengths,
                                 bool compute_timestamps = false) const;
  const text::Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  void add_timestamps(Hypothesis& hypothesis, const TransducerPath& path) const;

  TransducerDecodingConfig config_;
  text::Vocabulary vocabulary_;
  TransducerSearchOptions search_;
};

}  // namespace fathom::asr
