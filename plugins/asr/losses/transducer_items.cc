#include "plugins/asr/losses/transducer_items.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "fathom/support.h"

namespace fathom::asr {
namespace {

using Kind = TransducerLossOptions::Kind;

[[noreturn]] void refuse_length(const char* what, int64_t item, int64_t seen, int64_t most) {
  throw Error(Code::kFailed, std::string("an item of the batch has ") + what + " than the joint network's output")
      .at("item " + std::to_string(item))
      .seen(std::to_string(seen))
      .expected("at most " + std::to_string(most) + ", and not below 0");
}

}  // namespace

TransducerBatch::TransducerBatch(const TransducerTargets& targets, const TransducerLossOptions& options, int64_t batch,
                                 int64_t frames, int64_t width)
    : labels_(targets.labels.to(at::kCPU, at::kLong).contiguous()), reduction_(options.reduction) {
  const at::Tensor label_lengths = targets.label_lengths.to(at::kCPU, at::kLong).contiguous();
  const at::Tensor frame_lengths = targets.frame_lengths.to(at::kCPU, at::kLong).contiguous();
  if (labels_.dim() != 2 || labels_.size(0) != batch || label_lengths.numel() != batch ||
      frame_lengths.numel() != batch || batch == 0) {
    throw Error(Code::kFailed, "targets and lengths do not fit the joint network's output")
        .seen("targets of shape " + c10::str(labels_.sizes()) + ", " + std::to_string(label_lengths.numel()) +
              " target lengths and " + std::to_string(frame_lengths.numel()) + " input lengths")
        .expected(std::to_string(batch) + " items");
  }
  int64_t all_labels = 0;
  for (int64_t b = 0; b < batch; ++b) {
    TransducerItem item;
    item.frames = frame_lengths.data_ptr<int64_t>()[b];
    item.labels = label_lengths.data_ptr<int64_t>()[b];
    item.targets = labels_.data_ptr<int64_t>() + b * labels_.size(1);
    if (item.frames < 0 || item.frames > frames) refuse_length("more frames", b, item.frames, frames);
    if (item.labels < 0 || item.labels > width - 1) refuse_length("more labels", b, item.labels, width - 1);
    if (item.labels > labels_.size(1)) refuse_length("more labels", b, item.labels, labels_.size(1));
    for (int64_t u = 0; u < item.labels; ++u) {
      if (item.targets[u] >= 0 && item.targets[u] < options.blank) continue;
      throw Error(Code::kFailed, "a target is no token of the joint network")
          .at("item " + std::to_string(b) + ", label " + std::to_string(u))
          .seen(std::to_string(item.targets[u]))
          .expected("0 to " + std::to_string(options.blank - 1) + "; the blank is " + std::to_string(options.blank));
    }
    if (item.frames == 0) {
      log(LogLevel::kWarning, "asr.RNNTLoss",
          "item " + std::to_string(b) + " of a batch has no frames: it costs nothing and trains nothing");
    }
    all_labels += item.labels;
    items.push_back(item);
  }
  for (auto& item : items) {
    if (reduction_ == "mean_batch")
      item.factor = 1.0 / static_cast<double>(batch);
    else if (reduction_ == "mean")
      item.factor = 1.0 / static_cast<double>(batch * std::max<int64_t>(item.labels, 1));
    else if (reduction_ == "mean_volume")
      item.factor = 1.0 / static_cast<double>(std::max<int64_t>(all_labels, 1));
  }
}

at::Tensor TransducerBatch::reduced(const std::vector<double>& costs, const at::TensorOptions& as) const {
  if (reduction_ == "none") return at::tensor(costs, at::kDouble).to(as.dtype());
  double sum = 0;
  for (size_t i = 0; i < costs.size(); ++i) sum += items[i].factor * costs[i];
  return at::scalar_tensor(sum, as);
}

TransducerCells::TransducerCells(const TransducerLossOptions& options, bool plain, const TransducerItem& item)
    : options_(options),
      item_(item),
      tokens_(options.tokens()),
      classes_(options.classes()),
      tdt_(options.kind == Kind::kTdt && !plain),
      sigma_(plain ? 0 : options.sigma) {
  arcs_.blank = {1};
  blank_class_ = {options.blank};
  if (tdt_) {
    arcs_ = {{}, options.durations};
    blank_class_.clear();
    for (size_t k = 0; k < options.durations.size(); ++k) {
      if (options.durations[k] == 0) continue;
      arcs_.blank.push_back(options.durations[k]);
      blank_class_.push_back(options.blank);
      blank_duration_.push_back(static_cast<int64_t>(k));
    }
  } else if (options.kind == Kind::kMultiblank) {
    for (size_t k = 0; k < options.durations.size(); ++k) {
      arcs_.blank.push_back(options.durations[k]);
      blank_class_.push_back(options.blank - 1 - static_cast<int64_t>(k));
    }
  }
  const auto cells = static_cast<size_t>(item.cells());
  blank_.resize(cells * arcs_.blank.size());
  label_.resize(cells * arcs_.label.size());
}

template <typename T>
void TransducerCells::read_rows(const T* rows, at::IntArrayRef cells) {
  const size_t blanks = arcs_.blank.size(), labels = arcs_.label.size();
  for (size_t i = 0; i < cells.size(); ++i) {
    const T* row = rows + static_cast<int64_t>(i) * classes_;
    const auto cell = static_cast<size_t>(cells[i]);
    for (size_t k = 0; k < blanks; ++k) {
      const double duration = tdt_ ? static_cast<double>(row[tokens_ + blank_duration_[k]]) : 0;
      double& arc = blank_[cell * blanks + k];
      const double log_prob = static_cast<double>(row[blank_class_[k]]) - sigma_ + duration;
      if (estimated_) {
        correction_ += std::abs(log_prob - arc);
        ++corrected_;
      }
      arc = log_prob;
    }
    const int64_t next = next_label(cells[i]);
    if (next < 0) continue;
    for (size_t k = 0; k < labels; ++k) {
      const double duration = tdt_ ? static_cast<double>(row[tokens_ + static_cast<int64_t>(k)]) : 0;
      label_[cell * labels + k] = static_cast<double>(row[next]) - sigma_ + duration;
    }
  }
}

void TransducerCells::read(const at::Tensor& log_probs, at::IntArrayRef cells) {
  if (log_probs.scalar_type() == at::kDouble)
    read_rows(log_probs.const_data_ptr<double>(), cells);
  else
    read_rows(log_probs.const_data_ptr<float>(), cells);
}

void TransducerCells::sum_shares(const std::vector<double>& blank, const std::vector<double>& label) {
  passed_.assign(static_cast<size_t>(item_.cells()), 0);
  for (size_t i = 0; i < blank.size(); ++i) passed_[i / arcs_.blank.size()] += blank[i];
  for (size_t i = 0; i < label.size(); ++i) passed_[i / arcs_.label.size()] += label[i];
}

void TransducerCells::estimate() {
  std::vector<double> blank = blank_, label = label_;
  transducer_posteriors(arcs_, {item_.frames, item_.labels, blank.data(), label.data()}, scratch_);
  sum_shares(blank, label);
  estimated_ = true;
}

double TransducerCells::close(bool posteriors) {
  const TransducerLattice lattice{item_.frames, item_.labels, blank_.data(), label_.data()};
  // NeMo's evaluations cost the same with FastEmit and without it.
  if (!posteriors) return -transducer_log_likelihood(arcs_, lattice, scratch_);
  const double cost = -transducer_posteriors(arcs_, lattice, scratch_);
  sum_shares(blank_, label_);
  return cost * (1 + options_.fastemit_lambda);
}

// d(-log P)/d(log p of a class) is minus the posterior of the arcs that use it; the logits' own gradient is then
// p * (sum of those of its group) - that. FastEmit weighs the labels' arcs by 1 + lambda, among the tokens only.
template <typename T>
void TransducerCells::subtract_rows(T* rows, at::IntArrayRef cells) const {
  const size_t blanks = arcs_.blank.size(), labels = arcs_.label.size();
  const double factor = item_.factor, label_factor = factor * (1 + options_.fastemit_lambda);
  for (size_t i = 0; i < cells.size(); ++i) {
    T* row = rows + static_cast<int64_t>(i) * classes_;
    const auto cell = static_cast<size_t>(cells[i]);
    for (size_t k = 0; k < blanks; ++k) {
      const double share = blank_[cell * blanks + k];
      row[blank_class_[k]] -= static_cast<T>(factor * share);
      if (tdt_) row[tokens_ + blank_duration_[k]] -= static_cast<T>(factor * share);
    }
    const int64_t next = next_label(cells[i]);
    if (next < 0) continue;
    for (size_t k = 0; k < labels; ++k) {
      const double share = label_[cell * labels + k];
      row[next] -= static_cast<T>(label_factor * share);
      if (tdt_) row[tokens_ + static_cast<int64_t>(k)] -= static_cast<T>(factor * share);
    }
  }
}

void TransducerCells::to_gradient(at::Tensor& log_probs, at::IntArrayRef cells) const {
  const size_t labels = arcs_.label.size();
  std::vector<double> sums;  // of the tokens' posteriors
  std::vector<double> passed;
  for (const int64_t cell : cells) {
    double emitted = 0;
    for (size_t k = 0; k < labels; ++k) emitted += label_[static_cast<size_t>(cell) * labels + k];
    passed.push_back(item_.factor * passed_[static_cast<size_t>(cell)]);
    sums.push_back(passed.back() + item_.factor * options_.fastemit_lambda * emitted);
  }
  const auto column = [&](const std::vector<double>& values) {
    return at::tensor(values, at::kDouble).to(log_probs.scalar_type()).unsqueeze(1);
  };
  log_probs.exp_();
  at::Tensor tokens = log_probs.slice(1, 0, tokens_);
  tokens.mul_(column(sums));
  if (classes_ > tokens_) {
    at::Tensor durations = log_probs.slice(1, tokens_, classes_);
    if (tdt_)
      durations.mul_(column(passed));
    else
      durations.zero_();  // a batch that trains as RNN-T
  }
  if (log_probs.scalar_type() == at::kDouble)
    subtract_rows(log_probs.mutable_data_ptr<double>(), cells);
  else
    subtract_rows(log_probs.mutable_data_ptr<float>(), cells);
  if (options_.clamp > 0) tokens.clamp_(-options_.clamp, options_.clamp);
}

at::Tensor normalized_logits(const at::Tensor& logits, const TransducerLossOptions& options) {
  if (options.kind != Kind::kTdt) return at::log_softmax(logits, -1);
  const int64_t tokens = options.tokens();
  return at::cat({at::log_softmax(logits.slice(-1, 0, tokens), -1), at::log_softmax(logits.slice(-1, tokens), -1)}, -1);
}

bool draw_plain(const TransducerLossOptions& options, bool training) {
  return training && options.omega > 0 && at::rand({1}, at::kDouble).item<double>() < options.omega;
}

}  // namespace fathom::asr
