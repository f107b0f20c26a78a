#include "core/model_files/compare.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_map>

#include "core/config/json.h"
#include "core/model_files/stored_model.h"
#include "core/model_files/tensor_values.h"
#include "fathom/error.h"

namespace fathom::model_files {
namespace {

using checkpoint::info_of;
using checkpoint::NemoArchive;
using checkpoint::PickleTensor;

constexpr std::string_view kInArchive = "nemo:";

// NeMo's name of an artifact without its random prefix of 32 hexadecimal digits.
std::string_view plain_name(std::string_view member) {
  constexpr size_t kPrefix = 32;
  const bool prefixed =
      member.size() > kPrefix + 1 && member[kPrefix] == '_' && member.find_first_not_of("0123456789abcdef") == kPrefix;
  return prefixed ? member.substr(kPrefix + 1) : member;
}

class ConfigComparison {
 public:
  ConfigComparison(const StoredModel& a, const StoredModel& b) : a_(a), b_(b) {}

  Json run() {
    Json out = {{"compared", a_.config.has_value() && b_.config.has_value()}, {"keys", 0}};
    if (a_.config && b_.config) compare(config::to_json(*a_.config), config::to_json(*b_.config), "");
    out["keys"] = keys_;
    out["differences"] = std::move(differences_);
    return out;
  }

 private:
  void compare(const Json& a, const Json& b, const std::string& key) {
    if (a.is_object() && b.is_object()) {
      for (const auto& [name, value] : a.items()) {
        const std::string full = key.empty() ? name : key + "." + name;
        if (const auto other = b.find(name); other != b.end())
          compare(value, *other, full);
        else
          differ(full, &value, nullptr);
      }
      for (const auto& [name, value] : b.items()) {
        if (!a.contains(name)) differ(key.empty() ? name : key + "." + name, nullptr, &value);
      }
    } else if (a.is_array() && b.is_array() && a.size() == b.size()) {
      for (size_t i = 0; i < a.size(); ++i) compare(a[i], b[i], key + "[" + std::to_string(i) + "]");
    } else {
      ++keys_;
      if (a == b) return;
      const bool files = is_artifact(a) && is_artifact(b);
      if (files && same_file(a, b)) return;
      differ(key, &a, &b);
      if (files) differences_.back()["artifact"] = true;
    }
  }

  void differ(const std::string& key, const Json* a, const Json* b) {
    Json entry = {{"key", key}};
    if (a != nullptr) entry["a"] = *a;
    if (b != nullptr) entry["b"] = *b;
    differences_.push_back(std::move(entry));
  }

  static bool is_artifact(const Json& value) {
    return value.is_string() && value.get_ref<const std::string&>().starts_with(kInArchive);
  }
  bool same_file(const Json& a, const Json& b) const {
    if (!a_.archive || !b_.archive) return false;
    const std::string_view a_name = std::string_view(a.get_ref<const std::string&>()).substr(kInArchive.size());
    const std::string_view b_name = std::string_view(b.get_ref<const std::string&>()).substr(kInArchive.size());
    const NemoArchive::Member* a_file = a_.archive->find(a_name);
    const NemoArchive::Member* b_file = b_.archive->find(b_name);
    return a_file != nullptr && b_file != nullptr && plain_name(a_name) == plain_name(b_name) &&
           a_file->bytes == b_file->bytes;
  }

  const StoredModel &a_, &b_;
  Json differences_ = Json::array();
  int64_t keys_ = 0;
};

Json tensor_facts(const PickleTensor& tensor) {
  return {{"shape", tensor.sizes}, {"dtype", info_of(tensor.dtype).name}};
}

Json number_or_name(const ValueDifference& found) {
  if (found.has_nan) return "nan";
  if (std::isinf(found.largest)) return "inf";
  return found.largest;
}

// Null where nothing differs.
Json compare_tensors(const std::string& name, const PickleTensor& a, const PickleTensor& b, double tolerance) {
  Json entry = {{"name", name}, {"difference", ""}, {"a", tensor_facts(a)}, {"b", tensor_facts(b)}};
  if (a.sizes != b.sizes) {
    entry["difference"] = "shape";
    return entry;
  }
  std::string a_scratch, b_scratch;
  const auto found = compare_values(a.dtype, dense_bytes(a, name, a_scratch), b.dtype, dense_bytes(b, name, b_scratch),
                                    static_cast<uint64_t>(a.numel()));
  if (found) {
    entry["max_abs_difference"] = number_or_name(*found);
    entry["elements"] = found->elements;
  }
  if (a.dtype != b.dtype) {
    entry["difference"] = "dtype";
    return entry;
  }
  if (found->elements == 0 || (!found->has_nan && found->largest <= tolerance)) return nullptr;
  entry["difference"] = "values";
  return entry;
}

Json compare_states(const StoredModel& a, const StoredModel& b, double tolerance) {
  std::unordered_map<std::string_view, const PickleTensor*> a_tensors, b_tensors;
  for (const auto& [name, tensor] : a.state) a_tensors.emplace(name, &tensor);
  for (const auto& [name, tensor] : b.state) b_tensors.emplace(name, &tensor);
  Json differences = Json::array();
  int64_t compared = 0;
  for (const auto& [name, tensor] : a.state) {
    const auto other = b_tensors.find(name);
    if (other == b_tensors.end()) {
      differences.push_back({{"name", name}, {"difference", "missing"}, {"a", tensor_facts(tensor)}});
      continue;
    }
    ++compared;
    if (Json entry = compare_tensors(name, tensor, *other->second, tolerance); !entry.is_null())
      differences.push_back(std::move(entry));
  }
  for (const auto& [name, tensor] : b.state) {
    if (!a_tensors.contains(name))
      differences.push_back({{"name", name}, {"difference", "extra"}, {"b", tensor_facts(tensor)}});
  }
  return {{"compared", compared}, {"differences", std::move(differences)}};
}

std::string facts_text(const Json& facts) {
  return facts["dtype"].get<std::string>() + " " + json_text(facts["shape"]);
}

std::string value_text(const Json& entry, const char* side) {
  if (!entry.contains(side)) return "(absent)";
  constexpr size_t kLongest = 200;
  std::string text = json_text(entry[side]);
  if (text.size() > kLongest) text = std::to_string(text.size()) + " bytes of JSON";
  return text;
}

std::string tensor_line(const Json& entry) {
  const auto kind = entry["difference"].get<std::string>();
  std::string text = "tensor   " + entry["name"].get<std::string>() + ": ";
  if (kind == "missing") return text + "only in A: " + facts_text(entry["a"]);
  if (kind == "extra") return text + "only in B: " + facts_text(entry["b"]);
  if (kind != "values") text += facts_text(entry["a"]) + " -> " + facts_text(entry["b"]);
  if (!entry.contains("elements") || (kind == "dtype" && entry["elements"] == 0)) return text;
  return text + fmt::format("{}{} elements differ, by {} at most", kind == "values" ? "" : ", ",
                            json_text(entry["elements"]), json_text(entry["max_abs_difference"]));
}

}  // namespace

Json compare_model_files(const std::string& a_path, const std::string& b_path, const CompareOptions& options) {
  const StoredModel a = read_stored_model(a_path), b = read_stored_model(b_path);
  Json out = {{"equal", true}, {"a", a_path}, {"b", b_path}};
  if (options.config) out["config"] = ConfigComparison(a, b).run();
  if (options.tensors) out["tensors"] = compare_states(a, b, options.tolerance);
  for (const char* part : {"config", "tensors"}) {
    if (out.contains(part) && !out[part]["differences"].empty()) out["equal"] = false;
  }
  return out;
}

std::string comparison_text(const Json& comparison) {
  std::string text, summary;
  if (comparison.contains("config")) {
    const Json& config = comparison["config"];
    for (const auto& entry : config["differences"]) {
      text += fmt::format("config   {}: {} -> {}{}\n", entry["key"].get<std::string>(), value_text(entry, "a"),
                          value_text(entry, "b"), entry.contains("artifact") ? " (other content)" : "");
    }
    summary = config["compared"].get<bool>() ? fmt::format("{} keys of the config differ", config["differences"].size())
                                             : "the configs were not compared: not both files have one";
  }
  if (comparison.contains("tensors")) {
    const Json& tensors = comparison["tensors"];
    for (const auto& entry : tensors["differences"]) text += tensor_line(entry) + "\n";
    summary += fmt::format("{}{} tensors differ, {} are in both", summary.empty() ? "" : "; ",
                           tensors["differences"].size(), json_text(tensors["compared"]));
  }
  return text + (comparison["equal"].get<bool>() ? "equal: " : "different: ") + summary + "\n";
}

}  // namespace fathom::model_files
