#include "mean_pool.h"

#include <torch/types.h>

MeanPool::MeanPool(const Options& options)
    : linear_(register_module("linear", torch::nn::Linear(options.features, options.classes))) {}

fathom::Ports MeanPool::inputs() const {
  return {{"spectrogram", {"B D T", fathom::SpectrogramType{}}}, {"length", {"B", fathom::LengthsType{}}}};
}

fathom::Ports MeanPool::outputs() const { return {{"embedding", {"B D", fathom::AcousticEncodedRepresentation{}}}}; }

fathom::Values MeanPool::forward(const fathom::Values& in) {
  const at::Tensor& spectrogram = in.tensor("spectrogram");
  const at::Tensor length = in.tensor("length").to(torch::kLong);
  // Frames beyond an utterance's length are padding and must not count.
  const at::Tensor inside = torch::arange(spectrogram.size(2)).unsqueeze(0) < length.unsqueeze(1);
  const at::Tensor sum = (spectrogram * inside.unsqueeze(1)).sum(2);
  return {{"embedding", linear_(sum / length.clamp_min(1).unsqueeze(1))}};
}
