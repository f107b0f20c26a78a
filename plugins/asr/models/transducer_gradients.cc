#include "plugins/asr/models/transducer_gradients.h"

#include <ATen/ATen.h>

#include "fathom/error.h"

namespace fathom::asr {
namespace {

double number_of(const Json& noise, const char* key, const std::string& path) {
  const Json value = noise.value(key, Json(0));
  if (value.is_number() && value.get<double>() >= 0) return value.get<double>();
  throw Error(Code::kFailed, std::string("option '") + key + "' is out of range")
      .at(path + "." + key)
      .seen(json_text(value))
      .expected("a number of at least 0");
}

template <typename Change>
void for_gradients(torch::nn::Module& model, const std::string& child, const Change& change) {
  const auto children = model.named_children();
  const auto* module = children.find(child);
  if (module == nullptr) return;
  for (const at::Tensor& parameter : (*module)->parameters()) {
    if (parameter.grad().defined()) change(parameter.mutable_grad());
  }
}

void make_unit(at::Tensor& gradient) {
  const double norm = gradient.norm().item<double>();
  if (norm > 0) gradient.div_(norm);
}

}  // namespace

TransducerGradients::TransducerGradients(const Json& section, const std::string& noise_path) {
  const auto is_on = [&](const char* key) { return section.value(key, Json(nullptr)) == Json(true); };
  joint_txu_ = is_on("normalize_joint_txu");
  encoder_norm_ = is_on("normalize_encoder_norm");
  decoder_norm_ = is_on("normalize_decoder_norm");
  joint_norm_ = is_on("normalize_joint_norm");
  const Json noise = section.value("variational_noise", Json(nullptr));
  if (noise.is_null()) return;
  if (!noise.is_object()) {
    throw Error(Code::kFailed, "option has the wrong type")
        .at(noise_path)
        .seen(json_text(noise))
        .expected("{std, start_step}");
  }
  noise_ = number_of(noise, "std", noise_path);
  noise_start_ = static_cast<int64_t>(number_of(noise, "start_step", noise_path));
}

void TransducerGradients::change(torch::nn::Module& model, int64_t global_step) const {
  const at::NoGradGuard no_grad;
  if (noise_ > 0 && global_step >= noise_start_) {
    for_gradients(model, "decoder", [&](at::Tensor& gradient) { gradient.add_(at::randn_like(gradient), noise_); });
  }
  if (joint_txu_ && most_frames_ > 0 && most_tokens_ > 0) {
    for_gradients(model, "encoder", [&](at::Tensor& gradient) { gradient.div_(most_tokens_); });
    for_gradients(model, "decoder", [&](at::Tensor& gradient) { gradient.div_(most_frames_); });
  }
  if (encoder_norm_) for_gradients(model, "encoder", make_unit);
  if (decoder_norm_) for_gradients(model, "decoder", make_unit);
  if (joint_norm_) for_gradients(model, "joint", make_unit);
}

}  // namespace fathom::asr
