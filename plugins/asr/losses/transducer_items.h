// What transducer_loss.cc and fused_transducer_loss.cc share: a batch's items, and the step from a cell's
// log-probabilities to its arcs and back to the gradient of its logits.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

#include <vector>

#include "plugins/asr/losses/transducer_lattice.h"
#include "plugins/asr/losses/transducer_loss.h"

namespace fathom::asr {

struct TransducerItem {
  int64_t frames = 0, labels = 0;  // T, U
  const int64_t* targets = nullptr;
  double factor = 1;  // of its loss in the batch's
  int64_t cells() const { return frames * (labels + 1); }
};

// A batch after all checks: every item fits (B, frames, width) cells, and its labels are tokens.
struct TransducerBatch {
  TransducerBatch(const TransducerTargets& targets, const TransducerLossOptions& options, int64_t batch, int64_t frames,
                  int64_t width);
  // The items' costs as the loss.
  at::Tensor reduced(const std::vector<double>& costs, const at::TensorOptions& as) const;

  std::vector<TransducerItem> items;

 private:
  at::Tensor labels_;
  std::string reduction_;
};

// The arcs of one item's cells; log-probabilities first, posteriors after close().
class TransducerCells {
 public:
  // `plain`: train the tokens of a TDT model as RNN-T.
  TransducerCells(const TransducerLossOptions& options, bool plain, const TransducerItem& item);

  // log_probs (n, C), normalized over the tokens and over the durations: of the given cells, in place of what was read
  // of them before.
  void read(const at::Tensor& log_probs, at::IntArrayRef cells);
  // What is_passed() needs, by log-probabilities that may be read again: before close().
  void estimate();
  // What reading cells again changed, on the mean: of their log-probabilities, in nats.
  double mean_correction() const { return corrected_ == 0 ? 0 : correction_ / static_cast<double>(corrected_); }
  // The item's cost; with `posteriors`, in training, what to_gradient() and is_passed() need, and a cost that FastEmit
  // weighs.
  double close(bool posteriors);
  // Whether more than `least` of all paths, by weight, pass a cell.
  bool is_passed(int64_t cell, double least) const { return passed_[static_cast<size_t>(cell)] > least; }
  // log_probs (n, C) of the given cells becomes the gradient of the item's part of the loss with respect to the
  // logits.
  void to_gradient(at::Tensor& log_probs, at::IntArrayRef cells) const;

 private:
  template <typename T>
  void read_rows(const T* rows, at::IntArrayRef cells);
  template <typename T>
  void subtract_rows(T* rows, at::IntArrayRef cells) const;
  void sum_shares(const std::vector<double>& blank, const std::vector<double>& label);
  int64_t next_label(int64_t cell) const {
    const int64_t u = cell % (item_.labels + 1);
    return u < item_.labels ? item_.targets[u] : -1;
  }

  const TransducerLossOptions& options_;
  const TransducerItem& item_;
  const int64_t tokens_, classes_;
  const bool tdt_;
  const double sigma_;
  TransducerArcs arcs_;
  std::vector<int64_t> blank_class_;     // the token of each blank arc
  std::vector<int64_t> blank_duration_;  // TDT: the duration output of each blank arc
  std::vector<double> blank_, label_, passed_, scratch_;
  bool estimated_ = false;
  double correction_ = 0;
  int64_t corrected_ = 0;
};

// Over the tokens, and of TDT over the durations, in place where the result has the dtype of `logits`.
at::Tensor normalized_logits(const at::Tensor& logits, const TransducerLossOptions& options);

// Whether this batch of TDT trains as RNN-T: a draw from torch's generator.
bool draw_plain(const TransducerLossOptions& options, bool training);

}  // namespace fathom::asr
