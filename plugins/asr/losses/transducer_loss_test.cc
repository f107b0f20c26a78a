// The losses of transducers against numbers worked out elsewhere, against plain libtorch and against each other.
#include "plugins/asr/losses/transducer_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/plugins/host_table.h"
#include "fathom/error.h"
#include "fathom/support.h"

namespace fathom::asr {
namespace {

// sin(1 + .7 t + 1.3 u + .9 v), T = 4, U = 3.
at::Tensor sines(int64_t classes) {
  const auto axis = [](int64_t count, double step, std::vector<int64_t> shape) {
    return (at::arange(count, at::kDouble) * step).view(shape);
  };
  return (1 + axis(4, 0.7, {4, 1, 1}) + axis(4, 1.3, {1, 4, 1}) + axis(classes, 0.9, {1, 1, classes}))
      .sin()
      .unsqueeze(0)
      .requires_grad_();
}
TransducerTargets sine_targets() {
  return {at::tensor({0, 2, 1}, at::kLong).view({1, 3}), at::tensor({3}, at::kLong), at::tensor({4}, at::kLong)};
}
double gradient_at(const at::Tensor& logits, int64_t t, int64_t u, int64_t v) {
  return logits.grad()[0][t][u][v].item<double>();
}

TEST(TransducerLoss, RnntOfKnownNumbers) {
  at::Tensor logits = sines(5);
  const auto options = transducer_loss_options(4, "default", "sum", nullptr);
  const at::Tensor loss = transducer_loss(logits, sine_targets(), options);
  EXPECT_NEAR(loss.item<double>(), 9.876874613, 1e-9);
  loss.backward();
  EXPECT_NEAR(gradient_at(logits, 0, 0, 0), -.4528996, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 0, 0, 4), -.1762097, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 1, 1, 2), -.1111642, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 3, 3, 4), -.9476995, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 2, 1, 1), .0344119, 1e-7);
}

TEST(TransducerLoss, FastEmitWeighsLabels) {
  at::Tensor logits = sines(5);
  const auto options = transducer_loss_options(4, "default", "sum", {{"fastemit_lambda", 0.01}});
  const at::Tensor loss = transducer_loss(logits, sine_targets(), options);
  EXPECT_NEAR(loss.item<double>(), 1.01 * 9.876874613, 1e-8);
  loss.backward();
  EXPECT_NEAR(gradient_at(logits, 0, 0, 0), -.4581555, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 0, 0, 4), -.1758153, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 2, 1, 1), .0345233, 1e-7);
}

TEST(TransducerLoss, TdtOfKnownNumbers) {
  const Json durations = {0, 1, 2};
  at::Tensor logits = sines(8);
  const auto plain = transducer_loss_options(4, "tdt", "sum", {{"durations", durations}});
  EXPECT_NEAR(transducer_loss(logits, sine_targets(), plain).item<double>(), 9.732807565, 1e-9);
  const auto under = transducer_loss_options(4, "tdt", "sum", {{"durations", durations}, {"sigma", 0.05}});
  const at::Tensor loss = transducer_loss(logits, sine_targets(), under);
  EXPECT_NEAR(loss.item<double>(), 9.942431414, 1e-9);
  loss.backward();
  EXPECT_NEAR(gradient_at(logits, 0, 0, 0), -.6489204, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 0, 0, 4), .0198110, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 0, 0, 5), .0068628, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 0, 0, 6), -.0111279, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 1, 1, 2), -.2215648, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 3, 3, 4), -.2772297, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 3, 3, 6), -.2154856, 1e-7);
  EXPECT_NEAR(gradient_at(logits, 2, 3, 7), -.3151304, 1e-7);
}

TEST(TransducerLoss, MultiblankOfKnownNumbers) {
  const at::Tensor logits = sines(6);
  const auto loss = [&](double sigma) {
    const auto options =
        transducer_loss_options(5, "multiblank_rnnt", "sum", {{"big_blank_durations", {2}}, {"sigma", sigma}});
    return transducer_loss(logits, sine_targets(), options).item<double>();
  };
  EXPECT_NEAR(loss(0), 8.345371412, 1e-9);
  EXPECT_NEAR(loss(0.05), 8.632279007, 1e-9);
}

// Omega 1 trains every batch as RNN-T on the tokens: the durations' outputs have no gradient.
TEST(TransducerLoss, OmegaTrainsTokensAlone) {
  at::Tensor with = sines(8), without = sines(8).detach().slice(3, 0, 5).contiguous().requires_grad_();
  const auto tdt = transducer_loss_options(4, "tdt", "sum", {{"durations", {0, 1, 2}}, {"sigma", .05}, {"omega", 1.0}});
  const auto rnnt = transducer_loss_options(4, "default", "sum", nullptr);
  const at::Tensor a = transducer_loss(with, sine_targets(), tdt), b = transducer_loss(without, sine_targets(), rnnt);
  EXPECT_EQ(a.item<double>(), b.item<double>());
  a.backward();
  b.backward();
  EXPECT_TRUE(at::equal(with.grad().slice(3, 0, 5), without.grad()));
  EXPECT_EQ(with.grad().slice(3, 5).abs().sum().item<double>(), 0);
}

struct RandomBatch {
  JointParts joint;
  TransducerTargets targets;
};
RandomBatch random_batch(int64_t tokens, int64_t durations, at::ScalarType dtype) {
  at::manual_seed(5);
  const auto like = at::TensorOptions(dtype);
  RandomBatch out;
  out.joint.encoder = at::randn({3, 40, 12}, like).requires_grad_();
  out.joint.prediction = at::randn({3, 17, 12}, like).requires_grad_();
  out.joint.weight = at::randn({tokens + 1 + durations, 12}, like).requires_grad_();
  out.joint.bias = at::randn({tokens + 1 + durations}, like).requires_grad_();
  out.targets = {at::randint(0, tokens, {3, 16}, at::kLong), at::tensor({16, 0, 7}, at::kLong),
                 at::tensor({31, 40, 9}, at::kLong)};
  return out;
}
at::Tensor whole_output(const JointParts& joint) {
  const at::Tensor sum = joint.encoder.unsqueeze(2) + joint.prediction.unsqueeze(1);
  const at::Tensor active = joint.activation == JointActivation::kRelu   ? sum.relu()
                            : joint.activation == JointActivation::kTanh ? sum.tanh()
                                                                         : sum.sigmoid();
  return at::linear(active, joint.weight, joint.bias);
}
std::vector<at::Tensor> gradients_of(const JointParts& joint, const at::Tensor& loss) {
  return torch::autograd::grad({loss}, {joint.encoder, joint.prediction, joint.weight, joint.bias});
}

void expect_fused_as_whole(RandomBatch batch, const TransducerLossOptions& options, double tolerance) {
  for (const auto activation : {JointActivation::kRelu, JointActivation::kTanh, JointActivation::kSigmoid}) {
    batch.joint.activation = activation;
    const at::Tensor fused = fused_transducer_loss(batch.joint, batch.targets, options);
    const at::Tensor whole = transducer_loss(whole_output(batch.joint), batch.targets, options);
    EXPECT_NEAR(fused.item<double>(), whole.item<double>(), tolerance * std::abs(whole.item<double>()));
    const auto a = gradients_of(batch.joint, fused), b = gradients_of(batch.joint, whole);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::allclose(a[i], b[i], tolerance, tolerance)) << i;
  }
}

TEST(TransducerLoss, FusedIsTheLossOfTheWholeOutput) {
  for (const char* reduction : {"mean_batch", "mean", "mean_volume", "sum"}) {
    expect_fused_as_whole(random_batch(9, 0, at::kDouble),
                          transducer_loss_options(9, "default", reduction, {{"fastemit_lambda", 0.02}}), 1e-10);
  }
  expect_fused_as_whole(random_batch(9, 3, at::kDouble),
                        transducer_loss_options(9, "tdt", "mean_batch", {{"durations", {0, 1, 3}}, {"sigma", 0.05}}),
                        1e-10);
  expect_fused_as_whole(random_batch(9, 0, at::kFloat), transducer_loss_options(9, "default", "mean_batch", nullptr),
                        2e-5);
  expect_fused_as_whole(random_batch(9, 0, at::kDouble),
                        transducer_loss_options(9, "default", "mean_batch", {{"clamp", 0.01}}), 1e-10);
}

// A last layer that is large enough to be read by products of bfloat16 first, with sharp paths, and with logits so
// large that those products are worth nothing.
TEST(TransducerLoss, ReadingRoughlyFirstChangesNothing) {
  for (const double scale : {0.5, 1.0, 20.0}) {
    at::manual_seed(11);
    RandomBatch batch;
    batch.joint.encoder = at::randn({3, 40, 256}).mul_(scale).requires_grad_();
    batch.joint.prediction = at::randn({3, 17, 256}).mul_(scale).requires_grad_();
    batch.joint.weight = at::randn({300, 256}).mul_(0.5).requires_grad_();
    batch.joint.bias = at::randn({300}).requires_grad_();
    batch.targets = {at::randint(0, 299, {3, 16}, at::kLong), at::tensor({16, 0, 7}, at::kLong),
                     at::tensor({31, 40, 9}, at::kLong)};
    const auto options = transducer_loss_options(299, "default", "mean_batch", nullptr);
    const at::Tensor fused = fused_transducer_loss(batch.joint, batch.targets, options);
    const at::Tensor whole = transducer_loss(whole_output(batch.joint), batch.targets, options);
    EXPECT_NEAR(fused.item<double>(), whole.item<double>(), 2e-6 * std::abs(whole.item<double>()));
    const auto a = gradients_of(batch.joint, fused), b = gradients_of(batch.joint, whole);
    for (size_t i = 0; i < a.size(); ++i)
      EXPECT_LT((a[i] - b[i]).norm().item<double>(), 1e-5 * b[i].norm().item<double>()) << scale << ", " << i;
  }
}

// What an item costs does not depend on the others, nor on the threads.
TEST(TransducerLoss, ItemsAreAlone) {
  RandomBatch batch = random_batch(9, 0, at::kDouble);
  const auto options = transducer_loss_options(9, "default", "sum", nullptr);
  const double together = fused_transducer_loss(batch.joint, batch.targets, options).item<double>();
  double alone = 0;
  for (int64_t b = 0; b < 3; ++b) {
    JointParts own = batch.joint;
    own.encoder = own.encoder.slice(0, b, b + 1);
    own.prediction = own.prediction.slice(0, b, b + 1);
    alone +=
        fused_transducer_loss(own,
                              {batch.targets.labels.slice(0, b, b + 1), batch.targets.label_lengths.slice(0, b, b + 1),
                               batch.targets.frame_lengths.slice(0, b, b + 1)},
                              options)
            .item<double>();
  }
  EXPECT_NEAR(together, alone, 1e-9);
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  EXPECT_EQ(fused_transducer_loss(batch.joint, batch.targets, options).item<double>(), together);
  at::set_num_threads(threads);
}

// The same mask in both passes: with the mask known, the gradient is that of the whole output.
TEST(TransducerLoss, DropoutScalesWhatItKeeps) {
  RandomBatch batch = random_batch(9, 0, at::kDouble);
  batch.joint.dropout = 0.25;
  const auto options = transducer_loss_options(9, "default", "sum", nullptr);
  at::manual_seed(7);
  const at::Tensor loss = fused_transducer_loss(batch.joint, batch.targets, options);
  const auto gradients = gradients_of(batch.joint, loss);
  at::manual_seed(7);
  const double again = fused_transducer_loss(batch.joint, batch.targets, options).item<double>();
  EXPECT_EQ(loss.item<double>(), again);
  // A small step against the gradient, under the same mask, costs what the gradient says.
  const double step = 1e-6;
  JointParts moved = batch.joint;
  moved.weight = batch.joint.weight.detach() - step * gradients[2];
  moved.encoder = batch.joint.encoder.detach() - step * gradients[0];
  at::manual_seed(7);
  const double lower = fused_transducer_loss(moved, batch.targets, options).item<double>();
  const double expected = step * (gradients[2].square().sum() + gradients[0].square().sum()).item<double>();
  EXPECT_NEAR(again - lower, expected, 1e-3 * expected);
}

TEST(TransducerLoss, EmptyItemsCostWhatTheyCan) {
  host_slot() = plugins::host_table();  // of the warning
  const at::Tensor logits = at::randn({2, 3, 2, 5}, at::kDouble).requires_grad_();
  const auto options = transducer_loss_options(4, "default", "none", nullptr);
  const TransducerTargets targets{at::tensor({1, 1}, at::kLong).view({2, 1}), at::tensor({1, 0}, at::kLong),
                                  at::tensor({0, 3}, at::kLong)};
  const at::Tensor loss = transducer_loss(logits, targets, options);
  EXPECT_EQ(loss[0].item<double>(), 0);  // no frames
  const at::Tensor blanks = at::log_softmax(logits[1], -1).select(1, 0).select(1, 4).sum();
  EXPECT_NEAR(loss[1].item<double>(), -blanks.item<double>(), 1e-12);  // no labels: blanks alone
  loss.sum().backward();
  EXPECT_EQ(logits.grad()[0].abs().sum().item<double>(), 0);
}

void expect_refused(const TransducerTargets& targets, const char* words) {
  const auto options = transducer_loss_options(4, "default", "sum", nullptr);
  try {
    transducer_loss(at::zeros({1, 3, 3, 5}), targets, options);
    ADD_FAILURE() << "expected an error about " << words;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(TransducerLoss, RefusesWhatDoesNotFit) {
  const auto longs = [](std::vector<int64_t> values) { return at::tensor(values, at::kLong); };
  expect_refused({longs({0, 1, 2}).view({1, 3}), longs({3}), longs({3})}, "more labels");
  expect_refused({longs({0, 1}).view({1, 2}), longs({2}), longs({4})}, "more frames");
  expect_refused({longs({0, 4}).view({1, 2}), longs({2}), longs({3})}, "no token");
  expect_refused({longs({0, 1}).view({2, 1}), longs({1, 1}), longs({3, 3})}, "do not fit");
  EXPECT_THROW(transducer_loss_options(4, "tdt", "sum", {{"durations", {1, 2}}}), Error);
  EXPECT_THROW(transducer_loss_options(4, "tdt", "sum", nullptr), Error);
  EXPECT_THROW(transducer_loss_options(4, "rnt", "sum", nullptr), Error);
  EXPECT_THROW(transducer_loss_options(4, "default", "average", nullptr), Error);
  EXPECT_THROW(transducer_loss_options(4, "default", "sum", {{"fastemit", 0.1}}), Error);
}

}  // namespace
}  // namespace fathom::asr
