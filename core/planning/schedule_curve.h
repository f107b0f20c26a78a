// The learning rates a scheduler gives, drawn: people tune schedules by looking. No torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fathom/support.h"

namespace fathom::training {

struct ScheduleCurve {
  std::string title;          // "CosineAnnealing: warmup_steps=100, max_steps=1000, lr=0.1"
  std::vector<double> rates;  // before step 0, 1, …
  bool by_epoch = false;      // the scheduler counts epochs by default
};

// `options`: those of the scheduler, and `lr` (the optimizer's rate; 1), `max_steps` (what the trainer would derive)
// and `steps` (how many to draw; max_steps, else 1000). A scheduler that watches a metric sees one that never improves.
// Throws Error(kFailed) as the scheduler and its options do.
ScheduleCurve schedule_curve(const std::string& name, const Json& options);

// Braille dots, `width` by `height` characters, between axes.
std::string plot_text(const ScheduleCurve& curve, int width = 64, int height = 14);
// A standalone SVG image.
std::string plot_svg(const ScheduleCurve& curve);

}  // namespace fathom::training
