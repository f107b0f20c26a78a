#include "plugins/asr/losses/smoothed_cross_entropy_loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/plugins/host_table.h"

namespace fathom::asr {
namespace {

class SmoothedCrossEntropyTest : public ::testing::Test {
 protected:
  SmoothedCrossEntropyTest() { host_slot() = plugins::host_table(); }
  static double loss_of(const SmoothedCrossEntropyLoss::Options& options, const Values& in) {
    SmoothedCrossEntropyLoss loss(options);
    return loss.forward(in).tensor("loss").item<double>();
  }
};

TEST_F(SmoothedCrossEntropyTest, IsTheMeanOverLabelsThatCount) {
  const at::Tensor log_probs = at::log_softmax(at::arange(24, at::kDouble).view({2, 3, 4}).sin(), -1);
  const at::Tensor labels = at::tensor({1, 3, 0, 2, 0, 0}, at::kLong).view({2, 3});
  SmoothedCrossEntropyLoss::Options options;
  options.pad_id = 0;
  const double plain = -(log_probs[0][0][1] + log_probs[0][1][3] + log_probs[1][0][2]).item<double>() / 3;
  EXPECT_NEAR(loss_of(options, {{"log_probs", log_probs}, {"labels", labels}}), plain, 1e-6);
  // A mask takes the place of the padding.
  const at::Tensor mask = at::tensor({0, 1, 0, 0, 0, 0}, at::kLong).view({2, 3});
  EXPECT_NEAR(loss_of(options, {{"log_probs", log_probs}, {"labels", labels}, {"output_mask", mask}}),
              -log_probs[0][1][3].item<double>(), 1e-5);
  EXPECT_EQ(loss_of(options, {{"log_probs", log_probs}, {"labels", labels}, {"output_mask", mask * 0}}), 0);
  // Smoothed: the label keeps 1 - e, each other class gets e / (V - 1).
  options.label_smoothing = 0.1;
  const at::Tensor row = log_probs[0][1];
  const double spread = -(0.9 * row[3] + 0.1 / 3 * (row[0] + row[1] + row[2])).item<double>();
  EXPECT_NEAR(loss_of(options, {{"log_probs", log_probs}, {"labels", labels}, {"output_mask", mask}}), spread, 1e-5);
}

TEST_F(SmoothedCrossEntropyTest, SaysWhatItCannotCount) {
  SmoothedCrossEntropyLoss::Options options;
  const at::Tensor log_probs = at::zeros({1, 2, 3}), labels = at::zeros({1, 2}, at::kLong);
  EXPECT_THROW(loss_of(options, {{"log_probs", log_probs}, {"labels", labels}}), Error) << "no pad_id and no mask";
  options.pad_id = 9;
  EXPECT_THROW(loss_of(options, {{"log_probs", log_probs}, {"labels", at::zeros({1, 3}, at::kLong)}}), Error);
  options.label_smoothing = 1;
  EXPECT_THROW(SmoothedCrossEntropyLoss{options}, Error);
}

}  // namespace
}  // namespace fathom::asr
