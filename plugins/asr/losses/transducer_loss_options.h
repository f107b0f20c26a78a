// Which loss of a transducer, by NeMo's names and keys: RNNTLoss's options, and the section `loss` of a model. Uses no
// torch.
#pragma once

#include "fathom/options.h"

namespace fathom::asr {

// What NeMo writes in warprnnt_numba_kwargs, tdt_kwargs and multiblank_rnnt_kwargs.
struct TransducerLossKwargs {
  double fastemit_lambda = 0, clamp = -1;
  std::optional<std::vector<int64_t>> durations, big_blank_durations;
  double sigma = 0, omega = 0;
  static void describe(OptionSet<TransducerLossKwargs>& o);
};

struct TransducerLossOptions {
  enum class Kind : uint8_t { kRnnt, kTdt, kMultiblank };
  Kind kind = Kind::kRnnt;
  int64_t blank = 0;               // the number of the blank, which is the last token
  std::vector<int64_t> durations;  // frames: of TDT's duration outputs, or of the big blanks, which stand before the
                                   // blank, the first of them next to it
  double sigma = 0;                // taken from every token's log-probability (logit under-normalization)
  double omega = 0;                // share of training batches for which TDT's tokens train as plain RNN-T
  double fastemit_lambda = 0;      // FastEmit (arXiv 2010.11148)
  double clamp = 0;                // above 0: bound of each token logit's gradient
  std::string reduction = "mean_batch";  // mean_batch, mean, mean_volume, sum or none

  int64_t tokens() const { return blank + 1; }
  int64_t classes() const { return tokens() + (kind == Kind::kTdt ? static_cast<int64_t>(durations.size()) : 0); }
};

// Throws for a loss, a reduction or numbers that cannot be. `num_classes` is the blank's number, as RNNTLoss has it.
TransducerLossOptions transducer_loss_options(int64_t num_classes, const std::string& loss_name,
                                              const std::string& reduction, const Json& loss_kwargs);

// The key of a model's section `loss` that holds a loss's keywords: "tdt_kwargs"; of "default" "warprnnt_numba_kwargs".
std::string loss_kwargs_key(const std::string& loss_name);

}  // namespace fathom::asr
