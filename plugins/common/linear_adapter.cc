#include "linear_adapter.h"

#include <ATen/ATen.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <array>

namespace fathom::common {
namespace {

using Function = at::Tensor (*)(const at::Tensor&);

struct NamedActivation {
  const char* name;
  Function apply;
};
// NeMo's activation_registry.
constexpr std::array kActivations = {
    NamedActivation{"identity", [](const at::Tensor& x) { return x; }},
    NamedActivation{"hardtanh", [](const at::Tensor& x) { return at::hardtanh(x); }},
    NamedActivation{"relu", [](const at::Tensor& x) { return at::relu(x); }},
    NamedActivation{"selu", [](const at::Tensor& x) { return at::selu(x); }},
    NamedActivation{"swish", [](const at::Tensor& x) { return at::silu(x); }},
    NamedActivation{"silu", [](const at::Tensor& x) { return at::silu(x); }},
    NamedActivation{"gelu", [](const at::Tensor& x) { return at::gelu(x); }},
};

Ports one_port(const char* name) { return {{name, {std::nullopt, VoidType{}}}}; }

Error bad_option(const char* key, const std::string& seen, const char* expected) {
  return Error(Code::kFailed, "is not possible").at(key).seen(seen).expected(expected);
}

}  // namespace

void LinearAdapter::Options::describe(OptionSet<Options>& o) {
  o.required("in_features", &Options::in_features, "features of the input and of the output");
  o.required("dim", &Options::dim, "features of the hidden layer");
  o("activation", &Options::activation, "identity, hardtanh, relu, selu, swish, silu or gelu");
  o("norm_position", &Options::norm_position, "pre: the norm comes first; post: last");
  o("dropout", &Options::dropout, "dropout probability at the end");
  o("adapter_strategy", &Options::adapter_strategy, "how the output joins the input; null: it is added");
}

LinearAdapter::LinearAdapter(const Options& o) : options_(o) {
  if (o.in_features < 1) throw bad_option("in_features", std::to_string(o.in_features), "1 or more");
  if (o.dim < 1) throw bad_option("dim", std::to_string(o.dim), "1 or more");
  if (o.dropout < 0 || o.dropout > 1) throw bad_option("dropout", std::to_string(o.dropout), "0 to 1");
  if (o.norm_position != "pre" && o.norm_position != "post")
    throw bad_option("norm_position", o.norm_position, "pre or post");
  for (const auto& [name, apply] : kActivations) {
    if (o.activation == name) activate_ = apply;
  }
  if (!activate_) throw bad_option("activation", o.activation, "identity, hardtanh, relu, selu, swish, silu or gelu");

  auto norm = std::make_shared<torch::nn::LayerNormImpl>(torch::nn::LayerNormOptions({o.in_features}));
  const auto linear = [](int64_t in, int64_t out) {
    return std::make_shared<torch::nn::LinearImpl>(torch::nn::LinearOptions(in, out).bias(false));
  };
  auto down = linear(o.in_features, o.dim), up = linear(o.dim, o.in_features);
  const auto call = [](auto layer) { return [layer](const at::Tensor& x) { return layer->forward(x); }; };
  torch::nn::ModuleList list;
  const auto add = [&](auto layer) {
    list->push_back(std::static_pointer_cast<torch::nn::Module>(layer));
    layers_.push_back(call(layer));
  };
  const auto add_activation = [&] {
    list->push_back(std::make_shared<torch::nn::Module>("Activation"));
    layers_.push_back(activate_);
  };
  const at::NoGradGuard no_grad;
  if (o.norm_position == "pre") {
    add(norm), add(down), add_activation(), add(up);
    up->weight.zero_();
  } else {
    add(down), add_activation(), add(up), add(norm);
    norm->weight.zero_();
    norm->bias.zero_();
  }
  register_module("module", list);
}

Ports LinearAdapter::inputs() const { return one_port("input"); }
Ports LinearAdapter::outputs() const { return one_port("output"); }
void LinearAdapter::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(one_port("input"));
  schema["outputs"] = ports_json(one_port("output"));
}

Values LinearAdapter::forward(const Values& in) {
  at::Tensor x = in.tensor("input");
  for (const auto& layer : layers_) x = layer(x);
  if (options_.dropout > 0) x = at::dropout(x, options_.dropout, is_training());
  return {{"output", x}};
}

Values LinearAdapter::input_example() const {
  return {{"input", at::randn({2, options_.in_features}, parameters().front().options())}};
}

}  // namespace fathom::common
