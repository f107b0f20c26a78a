// A model's parameters and buffers, in PyTorch's order and under PyTorch's names.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <utility>
#include <vector>

namespace fathom::training {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// As Python's named_parameters(): a module's own first, then its children's; a tensor met twice is listed once.
NamedTensors named_parameters(const torch::nn::Module& module);

int64_t count_parameters(const torch::nn::Module& module);

// As Python's state_dict(): for each module its parameters, then its buffers, then its children. Shares memory.
NamedTensors state_dict(const torch::nn::Module& module);

// As Python's load_state_dict(): copies by name. Strict: every difference is reported in one error (missing,
// unexpected, other shapes), and nothing is copied. Not strict: missing and unexpected names are logged; shapes must
// still agree. Each tensor of `state` is let go once it is copied, so that of a mapped file little is in memory at
// once.
void load_state_dict(torch::nn::Module& module, NamedTensors state, bool strict, const std::string& source);

// NeMo's load_part_of_state_dict(): loads, not strictly, the tensors whose name holds any text of `include` and none of
// `exclude` ("" is in every name). Returns the names that were copied.
std::vector<std::string> load_part_of_state_dict(torch::nn::Module& module, NamedTensors state,
                                                 const std::vector<std::string>& include,
                                                 const std::vector<std::string>& exclude, const std::string& source);

// The gradients that are defined.
std::vector<at::Tensor> gradients_of(const NamedTensors& parameters);
bool gradients_are_finite(const NamedTensors& parameters);
// 2-norm over all gradients, as torch.nn.utils.clip_grad_norm_ computes it; undefined gradients are skipped.
double gradient_norm(const NamedTensors& parameters);
// Scales gradients so that their norm is at most `max_norm` (factor max_norm / (norm + 1e-6), never above 1).
void clip_gradient_norm(const NamedTensors& parameters, double max_norm, double norm);
void clip_gradient_value(const NamedTensors& parameters, double limit);

}  // namespace fathom::training
