// Confidences of frames, tokens and words: the option `confidence_cfg` of every decoding. Uses no torch; no state.
#pragma once

#include "fathom/options.h"

namespace fathom::asr {

// How sure the model is of a frame: max_prob, or an entropy of its distribution, scaled to [0, 1].
struct ConfidenceMethod {
  std::string name = "entropy";          // max_prob or entropy
  std::string entropy_type = "tsallis";  // gibbs, tsallis or renyi
  double alpha = 0.33;
  std::string entropy_norm = "exp";  // lin or exp
  static void describe(OptionSet<ConfidenceMethod>& o);
};

struct ConfidenceConfig {
  bool preserve_frame_confidence = false;
  bool preserve_token_confidence = false;
  bool preserve_word_confidence = false;
  bool exclude_blank = true;
  std::string aggregation = "min";  // mean, min, max or prod
  ConfidenceMethod method_cfg;
  static void describe(OptionSet<ConfidenceConfig>& o);
  void check() const;  // throws for a value that is none of those
  bool wanted() const { return preserve_frame_confidence || preserve_token_confidence || preserve_word_confidence; }
};

// An error that lists the known values when `value` is none of them; `key` is the option's name.
void expect_one_of(const std::string& value, std::initializer_list<const char*> known, const char* key);

// Of one frame, from its log-probabilities of n classes: 1 all on one class, 0 uniform.
double frame_confidence(const ConfidenceMethod& method, const float* log_probs, int64_t n);
// mean, min, max or prod of `values`; 0 when there are none.
double aggregate(const std::string& how, const std::vector<double>& values);

}  // namespace fathom::asr
