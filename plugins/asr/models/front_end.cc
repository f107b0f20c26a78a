#include "plugins/asr/models/front_end.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cstdio>

#include "fathom/support.h"

namespace fathom::asr {
namespace {

constexpr const char* kLastOfOldConventions = "2.4.0";

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

std::vector<VersionConventions::Key> VersionConventions::keys_of_config() const {
  std::vector<Key> keys;
  // Cepstra have had one convention all along.
  if (class_of(config_["preprocessor"]) != "AudioToMFCCPreprocessor")
    keys.push_back({"preprocessor", "front_end", "nemo1", "nemo3"});
  // The same release began to mask inside the subsampling.
  const std::string encoder = config_.contains("encoder") ? class_of(config_["encoder"]) : "";
  if (encoder == "ConformerEncoder" || encoder == "SqueezeformerEncoder")
    keys.push_back({"encoder", "subsampling_conv_masking", false, true});
  return keys;
}

VersionConventions::VersionConventions(Json& model_config, bool restoring)
    : config_(model_config), keys_(keys_of_config()) {
  Json& preprocessor = config_["preprocessor"];
  if (preprocessor.value("use_grads", Json(nullptr)) == Json(true)) {
    throw Error(Code::kFailed,
                "the audio of a speech model gets no gradients: NeMo has no such key, and could not read the file")
        .at("preprocessor.use_grads")
        .seen("true")
        .expected("false")
        .next("leave it out; a preprocessor that is used alone has it");
  }
  preprocessor.erase("use_grads");
  if (!restoring) config_.erase("nemo_version");
  const Json version = config_.value("nemo_version", Json(nullptr));
  const bool version_is_old = version.is_string() && is_before_2_5(version.get<std::string>());
  bool old = version_is_old;
  const Key* first = nullptr;
  for (const Key& key : keys_) {
    const Json given = config_[key.section].value(key.name, Json(nullptr));
    if (given != key.old_value && given != key.value) continue;  // open, or nothing that the module knows
    const bool asks_old = given == key.old_value;
    if (first != nullptr && asks_old != old) {
      throw Error(Code::kFailed, "no NeMo computes like this: both came with 2.5")
          .at(std::string(key.section) + "." + key.name)
          .seen(json_text(given) + ", with " + first->section + "." + first->name + ": " +
                json_text(config_[first->section][first->name]))
          .expected(json_text(asks_old ? key.value : key.old_value))
          .next("leave one of them out: the other decides");
    }
    old = asks_old;
    first = &key;
  }
  if (old && !version_is_old) {
    config_["nemo_version"] = kLastOfOldConventions;
    log(LogLevel::kInfo, "asr",
        std::string(first->section) + "." + first->name + ": computes as NeMo before 2.5; saved as a model of NeMo " +
            kLastOfOldConventions + ", as NeMo has no such key");
  } else if (version_is_old && !old) {
    config_.erase("nemo_version");  // the saved file gets today's
  }
  if (!old) return;
  for (const Key& key : keys_) {
    if (config_[key.section].value(key.name, Json(nullptr)).is_null()) config_[key.section][key.name] = key.old_value;
  }
}

VersionConventions::~VersionConventions() {
  for (const Key& key : keys_) config_[key.section].erase(key.name);
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
