#include "plugins/asr/metrics/wer_metric.h"

namespace fathom::asr {

void WerMetric::update(const Values& values) {
  const auto& hypotheses = values["hypotheses"].list();
  const auto& references = values["references"].list();
  if (hypotheses.size() != references.size()) {
    throw Error(Code::kFailed, "WER needs as many hypotheses as references")
        .seen(std::to_string(hypotheses.size()) + " and " + std::to_string(references.size()));
  }
  for (size_t i = 0; i < hypotheses.size(); ++i) counter_.add(hypotheses[i].text(), references[i].text());
}

std::vector<std::pair<std::string, double>> WerMetric::compute() const {
  return {{"wer", counter_.rate()},
          {"wer_num", static_cast<double>(counter_.errors())},
          {"wer_denom", static_cast<double>(counter_.units())}};
}

std::map<std::string, double> WerMetric::sums() const {
  return {{"errors", static_cast<double>(counter_.errors())}, {"units", static_cast<double>(counter_.units())}};
}

void WerMetric::set_sums(const std::map<std::string, double>& sums) {
  counter_.reset();
  counter_.add_counts(static_cast<int64_t>(sums.at("errors")), static_cast<int64_t>(sums.at("units")));
}

}  // namespace fathom::asr
