// The losses of transducers: RNN-T, TDT and multi-blank, by one lattice (transducer_lattice.h). Two ways in, one
// result:
//   transducer_loss        from the joint network's whole output, (B, T, U + 1, C);
//   fused_transducer_loss  from what the joint network is made of. Its output is made a few frames at a time, twice if
//                          it is long, and never kept for the batch: O(T U) memory instead of O(T U C).
//
// Both give the gradient together with the value, by the posteriors of the arcs (transducers of Graves 2012; FastEmit:
// arXiv 2010.11148), so that a backward pass costs nothing more; there are no second derivatives. A logit's gradient is
// clamped after the reduction's factor (1 / B of mean_batch) and before any factor from outside.
//
// Double stays double, everything else is computed in float32; the lattice is always double. On the CPU. Items are
// shared among the threads of at::parallel_for in fixed ranges: equal calls give equal bits for a number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include "plugins/asr/losses/transducer_loss_options.h"

namespace fathom::asr {

struct TransducerTargets {
  at::Tensor labels;         // (B, U) integers
  at::Tensor label_lengths;  // (B) integers, at most U
  at::Tensor frame_lengths;  // (B) integers, at most T. An item without frames costs nothing
};

// logits (B, T, U + 1, C), not normalized or normalized, C = options.classes() -> a scalar, or (B) for reduction none.
// Throws Error(kFailed) for shapes and lengths that do not fit, and labels that are no tokens.
at::Tensor transducer_loss(const at::Tensor& logits, const TransducerTargets& targets,
                           const TransducerLossOptions& options);

enum class JointActivation : uint8_t { kRelu, kTanh, kSigmoid };

// logits of a cell = weight dropout(activation(encoder[t] + prediction[u])) + bias.
struct JointParts {
  at::Tensor encoder;       // (B, T, H)
  at::Tensor prediction;    // (B, U + 1, H)
  at::Tensor weight, bias;  // (C, H), (C)
  JointActivation activation = JointActivation::kRelu;
  double dropout = 0;  // of the hidden layer: 0 outside of training
};

// As transducer_loss of those logits. Reduction none is not possible: an item's factor must be known.
at::Tensor fused_transducer_loss(const JointParts& joint, const TransducerTargets& targets,
                                 const TransducerLossOptions& options);

}  // namespace fathom::asr
