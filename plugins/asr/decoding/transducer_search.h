// Greedy search in transducers, items together: label looping (Bataev et al. 2024, arXiv 2406.06220). The prediction
// network runs once a label for all items that found one; between labels only those items that still wait for theirs
// move on in time. An item's path is the one it would have alone.
#pragma once

#include "fathom/recurrent.h"
#include "plugins/asr/modules/transducer_joint.h"

namespace fathom::asr {

struct TransducerPath {
  std::vector<int64_t> tokens, frames;  // labels, and the frame of each
  std::vector<int64_t> durations;       // of TDT: frames that each label moved
  double score = 0;                     // sum of the labels' log-probabilities
};

struct TransducerSearchOptions {
  int64_t blank = 0;                         // the last of the tokens
  std::vector<int64_t> durations;            // of TDT's outputs behind the blank, in frames; empty: RNN-T
  std::vector<int64_t> big_blank_durations;  // of multi-blank; they stand before the blank
  int64_t max_symbols = 10;                  // labels in one frame, then time moves on; 0: 1000
  double temperature = 1;                    // divides the logits that scores come from
};

// encoder_outputs (B, D, T), lengths (B) -> a path an item. decoder: a module with fathom.recurrent/1 and the ports
// label (B) -> outputs (B, H). Both in eval mode, on the CPU.
std::vector<TransducerPath> greedy_search(const RecurrentHandle& decoder, const JointHandle& joint,
                                          const at::Tensor& encoder_outputs, const at::Tensor& lengths,
                                          const TransducerSearchOptions& options);

}  // namespace fathom::asr
