#include "plugins/asr/models/inter_ctc.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <numeric>

namespace fathom::asr {
namespace {

std::string next_guid() {
  static std::atomic<int64_t> count = 0;
  return "asr.interctc/" + std::to_string(count++);
}

}  // namespace

void InterCtcOptions::describe(OptionSet<InterCtcOptions>& o) {
  o("loss_weights", &InterCtcOptions::loss_weights, "share of each layer's loss; what is left of 1 is the model's own");
  o("apply_at_layers", &InterCtcOptions::apply_at_layers, "the layers, from 0");
}

InterCtc::InterCtc(const Json& section, const ModuleHandle& encoder, const std::string& path, const Json& wer)
    : encoder_(encoder), guid_(next_guid()) {
  if (section.is_null()) return;
  const auto options = parse_options<InterCtcOptions>(section, path);
  const std::vector<double>& weights = options.loss_weights;
  if (weights.size() != options.apply_at_layers.size()) {
    throw Error(Code::kFailed, "interctc needs a weight for each layer")
        .at(path + ".apply_at_layers")
        .seen(std::to_string(weights.size()) + " weights and " + std::to_string(options.apply_at_layers.size()) +
              " layers");
  }
  if (weights.empty()) return;
  own_weight_ = 1 - std::accumulate(weights.begin(), weights.end(), 0.0);
  const bool positive = std::all_of(weights.begin(), weights.end(), [](double w) { return w >= 0; });
  if (!(own_weight_ > 0) || !positive) {
    throw Error(Code::kFailed, "the weights of interctc leave nothing for the model's own loss")
        .at(path + ".loss_weights")
        .seen(json_text(Json(weights)))
        .expected("numbers of 0 or more whose sum is below 1");
  }
  const TensorAccess access(encoder_.borrowed());
  if (!access) {
    throw Error(Code::kUnavailable, "this encoder hands out no inner layers")
        .at(path)
        .next("use a ConformerEncoder, or leave interctc out");
  }
  const Json facts = encoder_.properties();
  const int64_t count = facts.is_object() ? facts.value("n_layers", int64_t{-1}) : -1;
  for (size_t i = 0; i < weights.size(); ++i) {
    const int64_t layer = options.apply_at_layers[i];
    const auto first = std::find(options.apply_at_layers.begin(), options.apply_at_layers.end(), layer);
    if (layer < 0 || (count >= 0 && layer >= count) ||
        first != options.apply_at_layers.begin() + static_cast<int64_t>(i)) {
      throw Error(Code::kFailed, "the encoder has no such layer, or it is named twice")
          .at(path + ".apply_at_layers")
          .seen(std::to_string(layer))
          .expected("each at most once, 0 to " + std::to_string(count - 1));
    }
    layers_.push_back(
        {layer, weights[i], make_metric(wer, path), make_metric({{"_target_", "asr.GlobalAverageLossMetric"}}, path)});
  }
  batch_wer_ = make_metric(wer, path);
  own_loss_ = make_metric({{"_target_", "asr.GlobalAverageLossMetric"}}, path);
  access.set_guid(guid_);
  AccessMixin::update_access_config({{"interctc", {{"capture_layers", options.apply_at_layers}}}}, guid_);
}

void InterCtc::capture() const {
  if (layers_.empty()) return;
  TensorAccess(encoder_.borrowed()).reset();  // of a step that was broken off
  AccessMixin::set_access_enabled(true, guid_);
}

std::vector<InterCtc::Captured> InterCtc::take(const Head& head) const {
  const TensorAccess access(encoder_.borrowed());
  const auto all = access.registry();
  access.reset();  // tensors keep their graph
  const auto find = [&](const std::string& name) -> at::Tensor {
    for (const auto& [path, tensors] : all) {
      if (path.ends_with(":" + name) && tensors.size() == 1) return tensors.front();
    }
    throw Error(Code::kFailed, "the encoder did not hand out a layer that interctc needs, once")
        .seen(name)
        .next("take layers that always run: not those that stochastic depth may leave out");
  };
  std::vector<Captured> out;
  for (const Layer& layer : layers_) {
    const std::string number = std::to_string(layer.number);
    out.push_back({head.log_probs(find("interctc/layer_output_" + number)), find("interctc/layer_length_" + number)});
  }
  return out;
}

at::Tensor InterCtc::train(const at::Tensor& own, const Head& head, const Step& step, bool errors) {
  if (layers_.empty()) return own;
  const std::vector<Captured> captured = take(head);
  step.log("final_loss", own.detach());
  at::Tensor loss = own_weight_ * own;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const std::string name = "_l" + std::to_string(layers_[i].number);
    const at::Tensor part = head.loss(captured[i].log_probs, captured[i].lengths);
    step.log("inter_ctc_loss" + name, part.detach());
    loss = loss + layers_[i].weight * part;
    if (!errors) continue;
    batch_wer_.reset();
    head.count(captured[i].log_probs.detach(), captured[i].lengths, batch_wer_);
    step.log("inter_wer" + name, batch_wer_.compute().at("wer"));
  }
  return loss;
}

at::Tensor InterCtc::evaluate(const at::Tensor& own, const Head& head) {
  if (layers_.empty()) return own;
  const std::vector<Captured> captured = take(head);
  at::Tensor loss = own;
  if (own.defined()) {
    own_loss_.update({{"loss", own}});
    loss = own_weight_ * own;
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (own.defined()) {
      const at::Tensor part = head.loss(captured[i].log_probs, captured[i].lengths);
      layers_[i].loss.update({{"loss", part}});
      loss = loss + layers_[i].weight * part;
    }
    head.count(captured[i].log_probs, captured[i].lengths, layers_[i].wer);
  }
  return loss;
}

void InterCtc::log(const Step& step, const std::string& prefix) const {
  if (layers_.empty()) return;
  const bool has_loss = own_loss_.sums().at("measurements") > 0;
  if (has_loss) step.log(prefix + "final_loss", own_loss_.compute().at("loss"));
  for (const Layer& layer : layers_) {
    const std::string name = "_l" + std::to_string(layer.number);
    if (has_loss) step.log(prefix + "inter_ctc_loss" + name, layer.loss.compute().at("loss"));
    step.log(prefix + "inter_wer" + name, layer.wer.compute().at("wer"));
  }
}

void InterCtc::reset() const {
  if (layers_.empty()) return;
  own_loss_.reset();
  for (const Layer& layer : layers_) {
    layer.wer.reset();
    layer.loss.reset();
  }
}

std::vector<std::pair<std::string, MetricHandle>> InterCtc::metrics() const {
  std::vector<std::pair<std::string, MetricHandle>> out;
  if (layers_.empty()) return out;
  out.emplace_back("inter_final_loss", own_loss_);
  for (const Layer& layer : layers_) {
    const std::string name = "_l" + std::to_string(layer.number);
    out.emplace_back("inter_wer" + name, layer.wer);
    out.emplace_back("inter_ctc_loss" + name, layer.loss);
  }
  return out;
}

}  // namespace fathom::asr
