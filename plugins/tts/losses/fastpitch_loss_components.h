// FastPitch's losses (fastpitch_losses.h) as components, under NeMo's names and with its ports.
#pragma once

#include "fathom/module.h"

namespace fathom::tts {

// What tells one of them from another.
struct LossPorts {
  Ports inputs;
  const char* output;
};

// `Kind` says its ports, its scale where none is given, and what it computes.
template <typename Kind>
class ScaledLoss final : public Loss {
 public:
  struct Options {
    double loss_scale = Kind::kScale;
    static void describe(OptionSet<Options>& o) { o("loss_scale", &Options::loss_scale, "weight"); }
  };
  explicit ScaledLoss(const Options& options) : options_(options) {}

  Ports inputs() const override { return Kind::ports().inputs; }
  Ports outputs() const override { return {{Kind::ports().output, {std::nullopt, LossType{}}}}; }
  static void describe_ports(Json& schema) {
    schema["inputs"] = ports_json(Kind::ports().inputs);
    schema["outputs"] = ports_json({{Kind::ports().output, {std::nullopt, LossType{}}}});
  }
  Values forward(const Values& in) override {
    return {{Kind::ports().output, Kind::compute(in) * options_.loss_scale}};
  }

 private:
  Options options_;
};

// The mean square of spectrograms (B, D, T) where the target is not zero.
struct MelLossKind {
  static constexpr double kScale = 1;
  static LossPorts ports();
  static at::Tensor compute(const Values& in);
};
// The mean square of log(1 + frames) of tokens.
struct DurationLossKind {
  static constexpr double kScale = 0.1;
  static LossPorts ports();
  static at::Tensor compute(const Values& in);
};
// The mean square of tokens' pitch, and of their energy.
struct PitchLossKind {
  static constexpr double kScale = 0.1;
  static LossPorts ports();
  static at::Tensor compute(const Values& in);
};
struct EnergyLossKind {
  static constexpr double kScale = 0.1;
  static LossPorts ports();
  static at::Tensor compute(const Values& in);
};
// The alignment's: all monotonic paths, and how far the soft attention is from the best of them.
struct ForwardSumLossKind {
  static constexpr double kScale = 1;
  static LossPorts ports();
  static at::Tensor compute(const Values& in);
};
struct BinLossKind {
  static constexpr double kScale = 1;
  static LossPorts ports();
  static at::Tensor compute(const Values& in);
};

using MelLoss = ScaledLoss<MelLossKind>;
using DurationLoss = ScaledLoss<DurationLossKind>;
using PitchLoss = ScaledLoss<PitchLossKind>;
using EnergyLoss = ScaledLoss<EnergyLossKind>;
using ForwardSumLoss = ScaledLoss<ForwardSumLossKind>;
using BinLoss = ScaledLoss<BinLossKind>;

}  // namespace fathom::tts
