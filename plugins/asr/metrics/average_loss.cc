#include "plugins/asr/metrics/average_loss.h"

namespace fathom::asr {

void AverageLoss::update(const Values& values) {
  const Value& loss = values["loss"];
  const Value* given = values.find("num_measurements");
  const double measurements = given != nullptr ? given->real() : 1;
  sum_ += (loss.is_tensor() ? loss.tensor().item<double>() : loss.real()) * (means_ ? measurements : 1);
  measurements_ += measurements;
}

void AverageLoss::set_sums(const std::map<std::string, double>& sums) {
  sum_ = sums.at("sum");
  measurements_ = sums.at("measurements");
}

}  // namespace fathom::asr
