#include "core/training/weight_mean.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "core/checkpoint/torch_file.h"
#include "fathom/error.h"

namespace fathom::training {

WeightMean::WeightMean(std::string state_key, const torch::nn::Module& module)
    : state_key_(std::move(state_key)), parameters_(named_parameters(module)) {
  for (const auto& [name, parameter] : parameters_) means_.push_back(parameter.detach().clone());
}

void WeightMean::add(int64_t taken) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < means_.size(); ++i) {
    const at::Tensor weight = parameters_[i].second.detach();
    if (taken == 0)
      means_[i].copy_(weight);
    else
      means_[i].add_((weight - means_[i]) / static_cast<double>(taken + 1));
  }
}

void WeightMean::take() const {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < means_.size(); ++i) {
    at::Tensor parameter = parameters_[i].second;
    parameter.copy_(means_[i]);
  }
}

checkpoint::PickleValue WeightMean::state(const torch::nn::Module& module) const {
  NamedTensors all = state_dict(module);
  for (auto& [name, tensor] : all) {
    const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                    [&](const auto& parameter) { return parameter.second.is_same(tensor); });
    if (found != parameters_.end()) tensor = means_[static_cast<size_t>(found - parameters_.begin())];
  }
  return checkpoint::state_dict_value(all);
}

void WeightMean::restore(const checkpoint::PickleValue& state, const std::string& path) {
  std::map<std::string, at::Tensor> by_name;
  for (auto& [name, tensor] : checkpoint::state_dict_tensors(state)) by_name[name] = tensor;
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < means_.size(); ++i) {
    const std::string& name = parameters_[i].first;
    const auto found = by_name.find(name);
    if (found == by_name.end())
      throw Error(Code::kBadData, "the file has no mean of a parameter of this model").at(path).expected(name);
    if (found->second.sizes() != means_[i].sizes()) {
      throw Error(Code::kBadData, "the mean of " + name + " has another shape")
          .at(path)
          .seen(c10::str(found->second.sizes()))
          .expected(c10::str(means_[i].sizes()));
    }
    means_[i].copy_(found->second);
  }
}

}  // namespace fathom::training
