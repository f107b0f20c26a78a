#include "core/training/norm_statistics.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>

namespace fathom::training {
namespace {

// Calls `f` with each batch norm of any dimension that keeps statistics.
template <typename F>
void for_each_batch_norm(const torch::nn::Module& root, F&& f) {
  const auto visit = [&](auto* norm) {
    if (norm != nullptr && norm->running_mean.defined()) f(*norm);
  };
  const auto look = [&](torch::nn::Module* module) {
    visit(dynamic_cast<torch::nn::BatchNorm1dImpl*>(module));
    visit(dynamic_cast<torch::nn::BatchNorm2dImpl*>(module));
    visit(dynamic_cast<torch::nn::BatchNorm3dImpl*>(module));
  };
  for (const auto& module : root.modules(/*include_self=*/false)) look(module.get());
}

}  // namespace

bool NormStatistics::are_in(const torch::nn::Module& module) {
  bool found = false;
  for_each_batch_norm(module, [&](auto&) { found = true; });
  return found;
}

void NormStatistics::begin(bool go_on) {
  end();
  const at::NoGradGuard no_grad;
  for_each_batch_norm(module_, [&](auto& norm) {
    if (!go_on) norm.reset_running_stats();
    put_back_.push_back([&norm, momentum = norm.options.momentum()] { norm.options.momentum() = momentum; });
    norm.options.momentum() = std::nullopt;
  });
}

void NormStatistics::end() {
  for (const auto& put_back : put_back_) put_back();
  put_back_.clear();
}

}  // namespace fathom::training
