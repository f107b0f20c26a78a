#include "lion.h"

#include <torch/types.h>

void Lion::update(LionOptions& options, fathom::UpdateBatch& batch) {
  for (size_t i = 0; i < batch.size(); ++i) {
    at::Tensor& parameter = batch.parameters[i];
    at::Tensor& momentum = batch.state[0][i];
    const at::Tensor& gradient = batch.gradients[i];
    const at::Tensor direction = momentum.mul(options.betas[0]).add_(gradient, 1 - options.betas[0]).sign_();
    parameter.mul_(1 - options.lr * options.weight_decay).add_(direction, -options.lr);
    momentum.mul_(options.betas[1]).add_(gradient, 1 - options.betas[1]);
  }
}
