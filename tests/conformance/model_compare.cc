#include "tests/conformance/model_compare.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/archive/nemo_archive.h"
#include "core/base/file.h"
#include "core/config/json.h"
#include "core/config/yaml_loader.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "tests/conformance/case_reader.h"

namespace fathom::conformance {
namespace {

std::string missing_below(const Json& section, bool is_root) {
  for (const char* key : {"target", "_target_"}) {
    if (!section.contains(key) || !section[key].is_string()) continue;
    const auto name = section[key].get<std::string>();
    const uint32_t kinds = is_root ? plugins::kind_bit(FATHOM_KIND_MODEL) : ~uint32_t{0};
    if (!plugins::registry().contains(kinds, name)) return name;
  }
  for (const auto& [key, value] : section.items()) {
    if (!value.is_object() || key.ends_with("_ds") || key == "optim") continue;
    if (auto missing = missing_below(value, false); !missing.empty()) return missing;
  }
  return "";
}

// A transducer's characters are lists of one.
std::string text_of(const nlohmann::json& value) {
  return value.is_array() ? value.at(0).get<std::string>() : value.get<std::string>();
}

void compare_times(const std::string& what, const Json& got, const nlohmann::json& expected, Differences& differences) {
  for (const char* kind : {"char", "word", "segment"}) {
    if (!expected.contains(kind)) continue;
    const Json mine = got.value(kind, Json::array());
    const nlohmann::json& wanted = expected[kind];
    if (mine.size() != wanted.size()) {
      differences.add(fmt::format("{}: expected {} {} entries, got {}", what, wanted.size(), kind, mine.size()));
      continue;
    }
    for (size_t i = 0; i < mine.size(); ++i) {
      const auto near = [&](const char* key) {
        return std::abs(wanted[i].at(key).get<double>() - mine[i].at(key).get<double>()) < 1e-6;
      };
      const auto equal = [&](const char* key) {
        return wanted[i].at(key).get<int64_t>() == mine[i].at(key).get<int64_t>();
      };
      if (text_of(wanted[i].at(kind)) == mine[i].at(kind).get<std::string>() && equal("start_offset") &&
          equal("end_offset") && near("start") && near("end")) {
        continue;
      }
      differences.add(
          fmt::format("{}: {} {}: expected {}, got {}", what, kind, i, json_text(wanted[i]), json_text(mine[i])));
      break;
    }
  }
}

}  // namespace

std::string missing_class(const std::string& nemo) {
  const auto archive = checkpoint::NemoArchive::open(nemo);
  return missing_below(config::to_json(config::load_yaml_text(archive.config_text(), nemo)), true);
}

std::string tensor_difference(const std::string& name, const at::Tensor& got, const at::Tensor& expected,
                              const Bounds& bounds) {
  if (!got.defined()) return name + ": expected a tensor, got none";
  if (got.sizes() != expected.sizes())
    return fmt::format("{}: expected shape {}, got {}", name, c10::str(expected.sizes()), c10::str(got.sizes()));
  const at::Tensor a = got.detach().to(at::kDouble), b = expected.to(at::kDouble);
  const bool real = expected.is_floating_point();
  const at::Tensor close =
      at::isclose(a, b, real ? bounds.relative : 0, real ? bounds.absolute : 0, /*equal_nan=*/true);
  if (close.all().item<bool>()) return "";
  const at::Tensor error = (a - b).abs().masked_fill(close, 0).nan_to_num(INFINITY).flatten();
  const int64_t worst = error.argmax().item<int64_t>();
  return fmt::format("{}: {} of {} numbers differ; worst at {}: expected {}, got {}", name,
                     close.logical_not().sum().item<int64_t>(), close.numel(), worst, b.flatten()[worst].item<double>(),
                     a.flatten()[worst].item<double>());
}

PaddedAudio padded(const std::vector<at::Tensor>& clips) {
  int64_t longest = 0;
  for (const auto& clip : clips) longest = std::max(longest, clip.size(0));
  const auto count = static_cast<int64_t>(clips.size());
  PaddedAudio audio{at::zeros({count, longest}), at::empty({count}, at::kLong)};
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor& clip = clips[static_cast<size_t>(i)];
    audio.signal[i].slice(0, 0, clip.size(0)).copy_(clip);
    audio.lengths[i] = clip.size(0);
  }
  return audio;
}

void Differences::add(const std::string& text) {
  if (!text.empty() && ++count_ <= 4) text_ += (text_.empty() ? "" : "; ") + text;
}

Outcome Differences::outcome() const {
  if (count_ == 0) return pass();
  return fail(count_ > 4 ? fmt::format("{} (and {} more)", text_, count_ - 4) : text_);
}

Json tokenizer_section(const RestoredModel& restored) {
  constexpr std::string_view kBefore = "tokenizer.";
  Json section = restored.config["tokenizer"];
  for (const auto& [key, path] : restored.model.artifacts()) {
    if (!key.starts_with(kBefore)) continue;
    Json* place = &section;
    std::string rest = key.substr(kBefore.size());
    for (size_t dot = 0; (dot = rest.find('.')) != std::string::npos; rest = rest.substr(dot + 1))
      place = &(*place)[rest.substr(0, dot)];
    (*place)[rest] = path;
  }
  return section;
}

std::string wave_file(const at::Tensor& samples, int64_t sample_rate) {
  const at::Tensor plain = samples.to(at::kFloat).contiguous();
  const auto bytes = static_cast<uint32_t>(plain.numel() * sizeof(float)), rate = static_cast<uint32_t>(sample_rate);
  std::string out;
  const auto put = [&](auto number) { out.append(reinterpret_cast<const char*>(&number), sizeof number); };
  out += "RIFF";
  put(36 + bytes);
  out += "WAVEfmt ";
  put(uint32_t{16});
  put(uint16_t{3});  // IEEE float
  put(uint16_t{1});
  put(rate);
  put(static_cast<uint32_t>(rate * sizeof(float)));
  put(static_cast<uint16_t>(sizeof(float)));
  put(uint16_t{32});
  out += "data";
  put(bytes);
  out.append(static_cast<const char*>(plain.const_data_ptr()), bytes);
  return out;
}

void compare_gradients(const torch::nn::Module& model, const std::string& grads_json, const std::string& prefix,
                       Differences& differences) {
  constexpr double kRelative = 1e-3;
  const nlohmann::json recorded = parse_lenient_json(read_file(grads_json));
  std::map<std::string, at::Tensor> gradients;
  for (const auto& item : model.named_parameters()) gradients[prefix + item.key()] = item.value().grad();
  for (const auto& [name, expected] : recorded.at("params").items()) {
    if (expected.is_null() || !name.starts_with(prefix)) continue;
    const auto found = gradients.find(name);
    if (found == gradients.end() || !found->second.defined()) {
      differences.add(name + ": expected a gradient, got none");
      continue;
    }
    const double norm = found->second.norm().item<double>(), wanted = expected.at("norm");
    if (std::abs(norm - wanted) > kRelative * std::max(wanted, 1e-3))
      differences.add(fmt::format("gradient of {}: expected norm {}, got {}", name, wanted, norm));
  }
}

void compare_prediction(const std::string& what, const Json& item, const nlohmann::json& expected,
                        Differences& differences) {
  const nlohmann::json& want = expected.is_array() ? expected.at(0) : expected;
  const std::string text = want.is_string() ? want.get<std::string>() : want.at("text").get<std::string>();
  if (!item.contains("pred_text"))
    differences.add(what + ": expected a text, got none");
  else if (item["pred_text"] != text)
    differences.add(fmt::format("{}: expected '{}', got {}", what, text, json_text(item["pred_text"])));
  if (want.is_object() && want.contains("timestamp") && want["timestamp"].is_object())
    compare_times(what, item.value("timestamps", Json::object()), want["timestamp"], differences);
}

}  // namespace fathom::conformance
