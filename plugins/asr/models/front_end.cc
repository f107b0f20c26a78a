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

}  // namespace

VersionConventions::VersionConventions(Json& model_config, bool restoring) : config_(model_config) {
  if (!restoring) config_.erase("nemo_version");
  if (!config_.contains("nemo_version")) return;
  const Json& version = config_["nemo_version"];
  if (!version.is_string() || !is_before_2_5(version.get<std::string>())) return;
  // Cepstra have had one convention all along.
  if (class_of(config_["preprocessor"]) != "AudioToMFCCPreprocessor") add("preprocessor", "front_end", "nemo1");
  // The same release began to mask inside the subsampling.
  if (config_.contains("encoder") && class_of(config_["encoder"]) == "ConformerEncoder")
    add("encoder", "subsampling_conv_masking", false);
}

VersionConventions::~VersionConventions() {
  for (const auto& [section, key] : added_) config_[section].erase(key);
}

void VersionConventions::add(const char* section, const char* key, Json value) {
  if (config_[section].contains(key)) return;
  config_[section][key] = std::move(value);
  added_.emplace_back(section, key);
}

double frame_stride(const Json& section, int64_t sample_rate) {
  const auto number = [&](const char* key) { return section.contains(key) && section[key].is_number(); };
  if (number("n_window_stride")) return section["n_window_stride"].get<double>() / static_cast<double>(sample_rate);
  return number("window_stride") ? section["window_stride"].get<double>() : 0.01;
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
