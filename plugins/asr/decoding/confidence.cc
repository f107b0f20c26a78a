#include "plugins/asr/decoding/confidence.h"

#include <algorithm>
#include <cmath>

namespace fathom::asr {

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

void ConfidenceConfig::check() const {
  expect_one_of(aggregation, {"mean", "min", "max", "prod"}, "confidence_cfg.aggregation");
  expect_one_of(method_cfg.name, {"max_prob", "entropy"}, "confidence_cfg.method_cfg.name");
  expect_one_of(method_cfg.entropy_type, {"gibbs", "tsallis", "renyi"}, "confidence_cfg.method_cfg.entropy_type");
  expect_one_of(method_cfg.entropy_norm, {"lin", "exp"}, "confidence_cfg.method_cfg.entropy_norm");
  if (!(method_cfg.alpha > 0)) {
    throw Error(Code::kFailed, "confidence needs alpha above 0")
        .at("confidence_cfg.method_cfg.alpha")
        .seen(std::to_string(method_cfg.alpha));
  }
}

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

}  // namespace fathom::asr
