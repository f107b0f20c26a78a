#include "plugins/asr/models/front_end.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cstdio>

namespace fathom::asr {
namespace {

bool is_before_2_5(const std::string& version) {
  int major = 0, minor = 0;
  return std::sscanf(version.c_str(), "%d.%d", &major, &minor) == 2 && (major < 2 || (major == 2 && minor < 5));
}

std::string class_of(const Json& section) {
  const auto text = [&](const char* key) {
    return section.contains(key) && section[key].is_string() ? section[key].get<std::string>() : "";
  };
  const std::string target = text("_target_").empty() ? text("cls") : text("_target_");
  return target.substr(target.rfind('.') + 1);
}

int64_t subsampling_of(const Json& encoder) {
  if (encoder.contains("subsampling_factor") && encoder["subsampling_factor"].is_number_integer())
    return encoder["subsampling_factor"].get<int64_t>();
  int64_t product = 1;
  if (!encoder.contains("jasper") || !encoder["jasper"].is_array()) return product;
  for (const auto& block : encoder["jasper"]) {
    if (!block.contains("stride")) continue;
    const Json& value = block["stride"];
    const int64_t one = value.is_array() ? value.at(0).get<int64_t>() : value.get<int64_t>();
    const int64_t times = block.value("stride_last", false) ? 1 : block.value("repeat", int64_t{1});
    for (int64_t i = 0; i < times; ++i) product *= one;
  }
  return product;
}

}  // namespace

void choose_front_end(Json& model_config) {
  Json& section = model_config["preprocessor"];
  if (section.contains("front_end") || !model_config.contains("nemo_version")) return;
  const Json& version = model_config["nemo_version"];
  if (version.is_string() && is_before_2_5(version.get<std::string>())) section["front_end"] = "nemo1";
}

double seconds_per_frame(const Json& model_config, int64_t sample_rate) {
  const Json& front = model_config["preprocessor"];
  double stride = 0.01;
  if (front.contains("n_window_stride") && front["n_window_stride"].is_number()) {
    stride = front["n_window_stride"].get<double>() / static_cast<double>(sample_rate);
  } else if (front.contains("window_stride") && front["window_stride"].is_number()) {
    stride = front["window_stride"].get<double>();
  }
  return stride * static_cast<double>(subsampling_of(model_config["encoder"]));
}

ModuleHandle& InferenceFrontEnd::follow(const ModuleHandle& original, const Json& section,
                                        const std::string& config_path) {
  const auto source = original.torch_module();
  const c10::InferenceMode normal_tensors(false);  // buffers made in inference mode could not be written outside it
  if (!module_) {
    Json own = section;
    if (class_of(section) == "AudioToMelSpectrogramPreprocessor") {
      own["dither"] = 0.0;
      own["pad_to"] = int64_t{0};
    }
    module_ = make_module(own, config_path);
  }
  const auto copy = module_.torch_module();
  copy->eval();
  const at::NoGradGuard no_grad;
  auto to = copy->named_buffers();
  for (const auto& buffer : source->named_buffers()) {
    at::Tensor* mine = to.find(buffer.key());
    if (mine == nullptr) continue;
    if (mine->device() != buffer.value().device() || mine->scalar_type() != buffer.value().scalar_type()) {
      copy->to(buffer.value().device(), buffer.value().scalar_type());
      to = copy->named_buffers();
      mine = to.find(buffer.key());
    }
    mine->copy_(buffer.value());
  }
  return module_;
}

}  // namespace fathom::asr
