// Recorded checkpoint files and .nemo archives, read by the code that the program uses.
//
// lightning_ckpt: every value, tensor (dtype, shape, strides, offset, sharing, numbers) and attribute is compared; then
// the value is written, read back, and compared again, tensors bit for bit. Hostile files must give a typed error, or
// what the record allows instead. nemo_models/archives: members, configurations, artifacts and weights; what needs a
// model is in the model suites.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "core/archive/inspect.h"
#include "core/archive/nemo_archive.h"
#include "core/base/file.h"
#include "core/checkpoint/torch_file.h"
#include "fathom/error.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using namespace fathom::checkpoint;
using nlohmann::json;
namespace fs = std::filesystem;
using Kind = PickleValue::Kind;

constexpr int64_t kListedValues = 2000;

double number_of(const json& value) {
  if (value.is_object() && value.contains("$float")) return number_of(value["$float"]);
  if (value.is_string()) return std::strtod(value.get_ref<const std::string&>().c_str(), nullptr);
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  return value.get<double>();
}

bool same_number(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

// Returns the first difference, "" when there is none.
class Comparison {
 public:
  std::string compare(const PickleValue& value, const json& expected, const std::string& where) {
    for (const char* kind : {"dict", "list", "tuple", "set"}) {
      if (!expected.contains(kind)) continue;
      if (value.kind_name() != kind) return differs(where, kind, std::string(value.kind_name()));
      return std::string_view(kind) == "dict" ? compare_dict(value.as_dict(), expected, where)
                                              : compare_items(value.items(), expected[kind], where);
    }
    if (expected.contains("tensor")) {
      if (!value.is_tensor()) return differs(where, "a tensor", std::string(value.kind_name()));
      return compare_tensor(value.as_tensor(), expected, where);
    }
    if (expected.contains("bytes")) {
      if (value.kind() != Kind::kBytes) return differs(where, "bytes", std::string(value.kind_name()));
      std::string bytes;
      for (const auto& byte : expected["bytes"]) bytes += static_cast<char>(byte.get<int>());
      return bytes == value.as_string() ? "" : differs(where, json_text(expected), "other bytes");
    }
    if (expected.contains("dtype")) {
      if (value.kind() != Kind::kDtype) return differs(where, json_text(expected), std::string(value.kind_name()));
      return equal_text(where, expected["dtype"], std::string(info_of(value.as_dtype()).name));
    }
    if (expected.contains("omegaconf")) {
      if (value.kind() != Kind::kObject || !value.as_object().module.starts_with("omegaconf")) {
        return differs(where, json_text(expected), std::string(value.kind_name()));
      }
      return compare(value.plain(), expected["content"], where);
    }
    if (expected.contains("object")) {
      if (value.kind() != Kind::kObject) return differs(where, json_text(expected), std::string(value.kind_name()));
      return equal_text(where, expected["object"], value.as_object().full_name());
    }
    return compare_scalar(value, expected, where);
  }

 private:
  static std::string differs(const std::string& where, const std::string& expected, const std::string& got) {
    return fmt::format("{}: expected {}, got {}", where, expected.substr(0, 200), got.substr(0, 200));
  }
  static std::string equal_text(const std::string& where, const json& expected, const std::string& got) {
    return expected == got ? "" : differs(where, json_text(expected), got);
  }

  std::string compare_dict(const PickleDict& dict, const json& expected, const std::string& where) {
    const json& entries = expected["dict"];
    if (dict.size() != entries.size())
      return differs(where, fmt::format("{} entries", entries.size()), fmt::format("{}", dict.size()));
    for (size_t i = 0; i < entries.size(); ++i) {
      const auto& [key, value] = dict.entries()[i];
      const std::string at = fmt::format("{}[{}]", where, json_text(entries[i][0]));
      if (auto bad = compare(key, entries[i][0], at + " (key)"); !bad.empty()) return bad;
      if (auto bad = compare(value, entries[i][1], at); !bad.empty()) return bad;
    }
    const bool ordered = dict.cls() == PickleDict::Class::kOrderedDict;
    if (expected.value("class", "") == "collections.OrderedDict" && !ordered)
      return differs(where, "OrderedDict", "dict");
    if (!expected.contains("class") && dict.cls() != PickleDict::Class::kDict)
      return differs(where, "dict", "another class");
    if (expected.contains("metadata")) {
      const PickleValue* metadata = dict.attributes.find("_metadata");
      if (metadata == nullptr) return differs(where, "_metadata", "none");
      // The record gives its entries only, not its class.
      PickleValue plain = PickleValue::dict();
      for (const auto& [key, value] : metadata->as_dict()) plain.mutable_dict().set(key, value);
      return compare(plain, expected["metadata"], where + "._metadata");
    }
    return "";
  }

  std::string compare_items(const PickleList& items, const json& expected, const std::string& where) {
    if (items.size() != expected.size())
      return differs(where, fmt::format("{} items", expected.size()), fmt::format("{}", items.size()));
    for (size_t i = 0; i < items.size(); ++i) {
      if (auto bad = compare(items[i], expected[i], fmt::format("{}[{}]", where, i)); !bad.empty()) return bad;
    }
    return "";
  }

  std::string compare_scalar(const PickleValue& value, const json& expected, const std::string& where) {
    if (!expected.contains("v")) return differs(where, json_text(expected), "a form this suite does not know");
    const json& v = expected["v"];
    const std::string type = expected.value("t", "");
    if (type == "int") {
      if (value.kind() == Kind::kBigInt) {
        const bool same =
            std::strtod(value.as_string().c_str(), nullptr) == number_of(v);  // JSON numbers end at 64 bits
        return same ? "" : differs(where, json_text(v), value.as_string());
      }
      if (value.kind() != Kind::kInt) return differs(where, "int", std::string(value.kind_name()));
      return v == value.as_int() ? "" : differs(where, json_text(v), std::to_string(value.as_int()));
    }
    if (type == "float") {
      if (value.kind() != Kind::kFloat) return differs(where, "float", std::string(value.kind_name()));
      return same_number(value.as_double(), number_of(v))
                 ? ""
                 : differs(where, json_text(v), fmt::format("{}", value.as_double()));
    }
    if (v.is_null()) return value.is_none() ? "" : differs(where, "None", std::string(value.kind_name()));
    if (v.is_boolean()) {
      if (value.kind() != Kind::kBool) return differs(where, "bool", std::string(value.kind_name()));
      return v == value.as_bool() ? "" : differs(where, json_text(v), "the other");
    }
    if (!value.is_string()) return differs(where, json_text(v), std::string(value.kind_name()));
    return equal_text(where, v, value.as_string());
  }

  std::string compare_tensor(const PickleTensor& stored, const json& expected, const std::string& where) {
    const at::Tensor tensor = to_tensor(stored);
    if (auto bad = equal_text(where, expected["tensor"], std::string(info_of(stored.dtype).name)); !bad.empty())
      return bad;
    if (std::string(at::toString(tensor.scalar_type())).empty()) return differs(where, "a dtype", "none");
    if (expected["shape"] != json(tensor.sizes().vec()))
      return differs(where, json_text(expected["shape"]), json_text(json(tensor.sizes().vec())));
    if (expected["stride"] != json(tensor.strides().vec())) {
      return differs(where, "stride " + json_text(expected["stride"]), json_text(json(tensor.strides().vec())));
    }
    if (expected["offset"] != tensor.storage_offset())
      return differs(where, "offset " + json_text(expected["offset"]), std::to_string(tensor.storage_offset()));
    if (expected["storage_bytes"] != tensor.storage().nbytes()) {
      return differs(where, json_text(expected["storage_bytes"]) + " bytes", std::to_string(tensor.storage().nbytes()));
    }
    const void* memory = tensor.storage().unsafeGetStorageImpl();
    const int64_t number = expected["storage"].get<int64_t>();
    if (by_number_.emplace(number, memory).first->second != memory ||
        by_memory_.emplace(memory, number).first->second != number) {
      return differs(where, fmt::format("storage {}", number), "memory shared in another way");
    }
    if (expected.value("requires_grad", false) != tensor.requires_grad())
      return differs(where, "another requires_grad", tensor.requires_grad() ? "true" : "false");
    if (expected.value("parameter", false) != stored.is_parameter)
      return differs(where, "another class", stored.is_parameter ? "Parameter" : "Tensor");
    if (expected["values"].is_null() || stored.numel() > kListedValues) return "";
    return compare_values(tensor.detach(), expected["values"], where);
  }

  static std::string compare_values(const at::Tensor& tensor, const json& expected, const std::string& where) {
    if (static_cast<int64_t>(expected.size()) != tensor.numel())
      return differs(where, fmt::format("{} values", expected.size()), fmt::format("{}", tensor.numel()));
    if (tensor.is_complex()) {
      const at::Tensor flat = tensor.to(at::kComplexDouble).contiguous().view(-1);
      const auto* values = flat.const_data_ptr<c10::complex<double>>();
      for (size_t i = 0; i < expected.size(); ++i) {
        if (!same_number(values[i].real(), number_of(expected[i][0])) ||
            !same_number(values[i].imag(), number_of(expected[i][1]))) {
          return differs(fmt::format("{} value {}", where, i), json_text(expected[i]),
                         fmt::format("{} {}", values[i].real(), values[i].imag()));
        }
      }
      return "";
    }
    if (at::isIntegralType(tensor.scalar_type(), /*includeBool=*/false)) {  // 64-bit integers do not fit a double
      const at::Tensor flat = tensor.to(at::kLong).contiguous().view(-1);
      const auto* values = flat.const_data_ptr<int64_t>();
      for (size_t i = 0; i < expected.size(); ++i) {
        if (expected[i] != values[i])
          return differs(fmt::format("{} value {}", where, i), json_text(expected[i]), std::to_string(values[i]));
      }
      return "";
    }
    const at::Tensor flat = tensor.to(at::kDouble).contiguous().view(-1);
    const auto* values = flat.const_data_ptr<double>();
    for (size_t i = 0; i < expected.size(); ++i) {
      if (!same_number(values[i], number_of(expected[i]))) {
        return differs(fmt::format("{} value {}", where, i), json_text(expected[i]), fmt::format("{}", values[i]));
      }
    }
    return "";
  }

  std::map<int64_t, const void*> by_number_;
  std::map<const void*, int64_t> by_memory_;
};

class StringWriter final : public FileWriter {
 public:
  void write(std::string_view bytes) override { text += bytes; }
  std::string text;
};

std::string case_file(const Case& c) {
  return (fs::path(c.folder) / c.body.at("kind").get<std::string>() / c.body.at("file").get<std::string>()).string();
}

Outcome run_content(const Case& c) {
  const std::string path = case_file(c);
  const PickleFile file = read_pickle_file(path);
  const bool legacy = file.container == PickleFile::Container::kLegacy;
  if (c.body.contains("container") && (c.body["container"] == "legacy") != legacy) return fail("another container");
  const PickleValue value = load_torch_file(path);
  if (auto bad = Comparison().compare(value, c.body.at("content"), "content"); !bad.empty()) return fail(bad);
  StringWriter written;
  PickleFileWriter(value).write(written);
  const PickleValue again = load_torch_bytes(written.text, path + " (written again)");
  if (auto bad = Comparison().compare(again, c.body.at("content"), "written again"); !bad.empty()) return fail(bad);
  StringWriter second;
  PickleFileWriter(again).write(second);
  if (second.text != written.text) return fail("expected the same bytes when written a second time, got others");
  return pass();
}

// Converts every tensor, as a loader of weights would.
void touch_tensors(const PickleValue& value) {
  if (value.is_tensor()) to_tensor(value);
  if (value.is_dict()) {
    for (const auto& [key, item] : value.as_dict()) touch_tensors(item);
  } else if (value.is_sequence()) {
    for (const auto& item : value.items()) touch_tensors(item);
  }
}

Outcome run_hostile(const Case& c) {
  const std::string path = case_file(c), expected = c.body.at("expected");
  std::set<std::string> before, after;
  const auto list = [&](std::set<std::string>& names) {
    for (const char* place : {"/tmp/evil.txt", "../../evil.txt", "../evil.txt", "evil.txt"}) {
      if (fs::exists(place)) names.insert(place);
    }
  };
  list(before);
  std::optional<PickleValue> value;
  std::string error;
  try {
    value = load_torch_file(path);
    touch_tensors(*value);
  } catch (const Error& caught) {
    if (caught.code() != Code::kBadData)
      return fail("expected bad data, got error code " + std::to_string(static_cast<int>(caught.code())));
    error = caught.message();
  }
  list(after);
  if (before != after) return fail("expected no file outside, got one written");
  const bool rejected = !error.empty();
  if (expected == "reject" && !rejected) return fail("expected a rejection, got a value");
  if ((expected == "accept" || expected == "accept_swapped" || expected == "accept_as_view") && rejected) {
    return fail("expected it to be read, got: " + error);
  }
  if (c.body.contains("content") && !rejected) {
    if (auto bad = Comparison().compare(*value, c.body["content"], "content"); !bad.empty()) return fail(bad);
  }
  return pass();
}

Outcome run_checkpoint(const Case& c) { return c.body.at("kind") == "hostile" ? run_hostile(c) : run_content(c); }

// ---- .nemo archives

Outcome check_members(const NemoArchive& archive, const json& expected) {
  if (expected.contains("compressed") && expected["compressed"] != archive.is_compressed())
    return fail("another compression");
  size_t files = 0;
  for (const auto& member : expected.at("members")) {
    if (member.at("type") != "file") continue;
    ++files;
    const NemoArchive::Member* found = archive.find(member.at("name").get<std::string>());
    if (found == nullptr) return fail("expected a member " + json_text(member.at("name")) + ", got none");
    if (member.at("size") != found->bytes.size()) {
      return fail(
          fmt::format("{}: expected {} bytes, got {}", found->name, json_text(member.at("size")), found->bytes.size()));
    }
  }
  if (files != archive.members().size())
    return fail(fmt::format("expected {} members, got {}", files, archive.members().size()));
  return pass();
}

const json* at_path(const json& tree, const std::string& path) {
  const json* at = &tree;
  size_t from = 0;
  while (from < path.size()) {
    const size_t dot = std::min(path.find('.', from), path.size());
    const auto it = at->find(path.substr(from, dot - from));
    if (it == at->end()) return nullptr;
    at = &*it;
    from = dot + 1;
  }
  return at;
}

Outcome same_members(const NemoArchive& a, const NemoArchive& b) {
  if (a.members().size() != b.members().size()) return fail("another number of members than in " + b.path());
  for (const auto& member : a.members()) {
    const auto* other = b.find(member.name);
    if (other == nullptr || other->bytes != member.bytes)
      return fail(member.name + ": expected the bytes of " + b.path() + ", got others");
  }
  return pass();
}

// Writes the archive again and reads that.
Outcome round_trip(const NemoArchive& archive) {
  const std::string path = fs::temp_directory_path() / fmt::format("fathom-conformance-{}.nemo", ::getpid());
  std::vector<NemoMember> members;
  for (const auto& member : archive.members())
    members.push_back(NemoMember::of_text(member.name, std::string(member.bytes)));
  write_nemo_archive(path, members);
  const Outcome outcome = same_members(NemoArchive::open(path), archive);
  fs::remove(path);
  return outcome;
}

Outcome check_state(const NemoArchive& archive, const std::string& state_file, const json& shapes) {
  const auto& weights = archive.at(kNemoWeights);
  const NamedTensors tensors = state_dict_tensors(load_torch_bytes(weights.bytes, archive.path()));
  if (tensors.size() != shapes.size())
    return fail(fmt::format("expected {} tensors, got {}", shapes.size(), tensors.size()));
  std::map<std::string, at::Tensor> recorded;
  for (const auto& [name, tensor] : load_safetensors(state_file)) recorded[name] = tensor;
  for (const auto& [name, tensor] : tensors) {
    if (!shapes.contains(name) || shapes[name] != json(tensor.sizes().vec()))
      return fail(name + ": expected another shape");
    if (recorded.contains(name) && !at::equal(recorded[name], tensor)) return fail(name + ": expected other values");
    if (!recorded.contains(name)) return fail(name + ": expected no such tensor");
  }
  return pass();
}

Outcome run_archive(const Case& c) {
  const fs::path folder(c.folder);
  if (c.body.contains("same_content_as")) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() != ".nemo") continue;
      const NemoArchive archive = NemoArchive::open(entry.path().string());
      if (auto outcome = check_members(archive, c.body); !outcome.passed) return outcome;
      const fs::path other = folder / ".." / ".." / c.body["same_content_as"].get<std::string>();
      if (fs::exists(other)) {
        if (auto outcome = same_members(archive, NemoArchive::open(other.string())); !outcome.passed) return outcome;
      }
      load_torch_bytes(archive.at(kNemoWeights).bytes, archive.path());
      return round_trip(archive);
    }
    return fail("expected a .nemo file in the folder, got none");
  }
  for (const auto& [name, expected] : c.body.at("archives").items()) {
    const NemoArchive archive = NemoArchive::open((folder / name).string());
    if (auto outcome = check_members(archive, expected); !outcome.passed) return fail(name + ": " + outcome.detail);
    if (expected.at("model_config.yaml") != archive.config_text())
      return fail(name + ": expected another configuration text");
    if (auto outcome = round_trip(archive); !outcome.passed) return fail(name + ": " + outcome.detail);
    const json config = config_to_json(archive.config_text(), name);
    if (!name.starts_with("nested")) continue;
    if (auto outcome = check_state(archive, (folder / "state.safetensors").string(), c.body.at("state"));
        !outcome.passed) {
      return fail(name + ": " + outcome.detail);
    }
    const Inspection inspection = inspect_file((folder / name).string());
    for (const auto& [key, text] : c.body.at("artifact_texts").items()) {
      const json* reference = at_path(config, key);
      if (reference == nullptr || !reference->is_string()) return fail(name + ": expected a configuration key " + key);
      const std::string member = reference->get<std::string>().substr(std::string("nemo:").size());
      if (archive.at(member).bytes != text.get<std::string>())
        return fail(name + ": " + key + ": expected another text");
      const bool listed =
          std::any_of(inspection.artifacts.begin(), inspection.artifacts.end(),
                      [&](const auto& artifact) { return artifact.key == key && artifact.member == member; });
      if (!listed) return fail(name + ": expected inspect to list the artifact " + key);
    }
    for (const auto& module : c.body.at("named_nemo_modules")) {
      const json* section = at_path(config, module[1].get<std::string>());
      const std::string target = section == nullptr ? "" : section->value("target", "");
      if (!target.ends_with("." + module[2].get<std::string>()))
        return fail(name + ": expected a model at " + json_text(module[1]));
    }
  }
  return pass();
}

Outcome guarded(const std::function<Outcome(const Case&)>& run, const Case& c) {
  try {
    return run(c);
  } catch (const Error& error) {
    return fail(fmt::format("expected no error, got: {}", error.what()));
  }
}

}  // namespace

void add_checkpoint_suites(std::vector<Suite>& suites) {
  suites.push_back({"lightning_ckpt", [](const Case& c) { return guarded(run_checkpoint, c); }});
  suites.push_back({"nemo_models/archives", [](const Case& c) { return guarded(run_archive, c); }});
}

}  // namespace fathom::conformance
