#include "core/model_files/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "core/archive/inspect.h"
#include "core/archive/json_pickle.h"
#include "core/archive/pickle_file.h"
#include "core/archive/safetensors.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/json.h"
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"
#include "core/model_files/model_class.h"
#include "core/model_files/stored_model.h"
#include "fathom/error.h"

namespace fathom::model_files {
namespace {

namespace fs = std::filesystem;
using checkpoint::NemoArchive;
using checkpoint::NemoMember;
using checkpoint::PickleTensor;
using checkpoint::PickleValue;

constexpr const char* kLightningVersion = "2.4.0";  // of the layout
constexpr std::string_view kInArchive = "nemo:";

void refuse_to_replace(const std::string& path, bool replace) {
  if (replace || !fs::exists(path)) return;
  throw Error(Code::kCantCreate, "the output is there already").at(path).next("give another name, or --force");
}

// --- what is written ---------------------------------------------------------------------------------------------

PickleTensor contiguous(const std::string& name, PickleTensor tensor) {
  if (tensor.is_contiguous()) return tensor;
  auto elements = std::make_shared<std::string>();
  dense_bytes(tensor, name, *elements);
  auto storage = std::make_shared<checkpoint::PickleStorage>();
  storage->dtype = tensor.dtype;
  storage->size = elements->size();
  storage->bytes = *elements;
  storage->owner = std::move(elements);
  tensor.storage = std::move(storage);
  tensor.offset = 0;
  tensor.strides.assign(tensor.sizes.size(), 1);
  for (size_t d = tensor.sizes.size(); d-- > 1;)
    tensor.strides[d - 1] = tensor.strides[d] * std::max<int64_t>(tensor.sizes[d], 1);
  return tensor;
}

// As state_dict() gives it: views stay views, so that tied weights stay tied.
PickleValue state_value(const std::vector<NamedTensor>& state, const PickleValue& metadata) {
  PickleValue out = PickleValue::ordered_dict();
  for (const auto& [name, tensor] : state) {
    PickleTensor plain = tensor;
    plain.is_parameter = plain.requires_grad = false;
    out.mutable_dict().set(name, std::move(plain));
  }
  if (!metadata.is_none()) out.mutable_dict().attributes = PickleValue::dict({{"_metadata", metadata}});
  return out;
}

struct Content {
  std::vector<NamedTensor> state;
  PickleValue metadata;
  std::optional<config::Node> config;
  std::vector<NemoMember> artifacts;
};

void write_pickle(const std::string& path, const PickleValue& value, const std::string& root) {
  const checkpoint::PickleFileWriter file(value, root);
  write_file_atomically(path, [&](FileWriter& writer) { file.write(writer); });
}

void write_checkpoint(const std::string& path, const Content& content) {
  PickleValue hyper_parameters = PickleValue::dict();
  if (content.config)
    hyper_parameters.mutable_dict().set("cfg", checkpoint::json_to_pickle(config::to_json(*content.config)));
  const PickleValue file = PickleValue::dict({{"epoch", 0},
                                              {"global_step", 0},
                                              {"pytorch-lightning_version", kLightningVersion},
                                              {"state_dict", state_value(content.state, content.metadata)},
                                              {"hparams_name", "cfg"},
                                              {"hyper_parameters", hyper_parameters}});
  write_pickle(path, file, "archive");
}

void write_safetensors(const std::string& path, const Content& content) {
  checkpoint::SafetensorsFile file;
  for (const auto& [name, tensor] : content.state) file.tensors.emplace_back(name, contiguous(name, tensor));
  file.metadata["format"] = "pt";
  if (content.config) file.metadata[checkpoint::kConfigInSafetensors] = config::to_yaml(*content.config);
  checkpoint::write_safetensors(path, file);
}

// NeMo's save_to(pack_nemo_file=False): the members as files of a folder.
void write_folder(const std::string& path, const std::vector<NemoMember>& members) {
  for (const NemoMember& member : members) {
    const fs::path file = fs::path(path) / member.name;
    create_directories(file.parent_path().string());
    write_file_atomically(file.string(), [&](FileWriter& writer) { member.produce(writer); });
  }
}

void write_nemo(const std::string& path, const Content& content) {
  const checkpoint::PickleFileWriter weights(state_value(content.state, content.metadata), "model_weights");
  std::vector<NemoMember> members = {
      NemoMember::of_text(std::string(checkpoint::kNemoConfig), config::to_yaml(*content.config)),
      {std::string(checkpoint::kNemoWeights), weights.size(), [&](FileWriter& writer) { weights.write(writer); }}};
  members.insert(members.end(), content.artifacts.begin(), content.artifacts.end());
  if (path.ends_with('/'))
    write_folder(path, members);
  else
    checkpoint::write_nemo_archive(path, members);
}

struct Format {
  std::function<void(const std::string& path, const Content& content)> write;
  bool is_nemo = false;
};

Format format_of(const std::string& path) {
  static const std::map<std::string, Format> kFormats = {
      {".nemo", {write_nemo, true}},
      {".ckpt", {write_checkpoint}},
      {".pt",
       {[](const auto& at, const Content& c) { write_pickle(at, state_value(c.state, c.metadata), "archive"); }}},
      {".pth",
       {[](const auto& at, const Content& c) { write_pickle(at, state_value(c.state, c.metadata), "archive"); }}},
      {".safetensors", {write_safetensors}}};
  if (path.ends_with('/')) return {write_nemo, true};
  const std::string suffix = fs::path(path).extension();
  if (const auto found = kFormats.find(suffix); found != kFormats.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, format] : kFormats) known.push_back(name);
  throw Error(Code::kUsage, "the output's suffix names no format")
      .at(path)
      .seen(suffix)
      .expected(join(known, ", ") + ", or FOLDER/ for an unpacked .nemo")
      .candidates(nearest_names(suffix, known));
}

// --- where config and artifacts come from --------------------------------------------------------------------------

// What is wrong with a config is wrong with the file that holds it.
void resolve(config::Node& config, const std::string& source) {
  try {
    config::resolve(config);
  } catch (const config::ConfigError& error) {
    throw Error(Code::kBadData, error.message())
        .at(error.where().empty() ? source : error.where())
        .seen(error.seen())
        .expected(error.expected())
        .candidates(error.candidates())
        .next(error.next());
  }
}

config::Node config_of_file(const std::string& path) {
  config::LoadOptions options;
  options.check_interpolations = false;
  config::Node config = config::load_yaml_text(read_file(path), path, options);
  if (!config.is_map()) throw Error(Code::kBadData, "the config is no map of keys").at(path);
  resolve(config, path);  // an experiment's model may refer to what stands beside it
  return model_section(std::move(config));
}

// The archive keeps it resolved, with the class under `target` and a version.
void complete_config(config::Node& config, const std::string& source) {
  if (!config.is_map()) throw Error(Code::kBadData, "the model's config is no map of keys").at(source);
  resolve(config, source);
  if (const config::Node* own = config.find("_target_"); own != nullptr && config.find("target") == nullptr) {
    if (!own->is_string()) throw Error(Code::kBadData, "_target_ is no name of a class").at(source + ":_target_");
    config.set("target", config::Node::scalar(nemo_target(std::get<std::string>(own->value()))));
    config.erase("_target_");
  }
  if (const config::Node* target = config.find("target"); target == nullptr || !target->is_string()) {
    throw Error(Code::kBadData, "the config does not name the model's class")
        .at(source)
        .expected("a key `target`, as nemo.collections.asr.models.EncDecCTCModel")
        .next("give the model's section with --config, or a .nemo of the same model with --like");
  }
  if (config.find("nemo_version") == nullptr) {
    log_warning("convert",
                "{} has no nemo_version: {} is written. Models of NeMo before 2.5 need theirs, as their "
                "front-end differs: put it into the config",
                source, kNemoVersion);
    config.set("nemo_version", config::Node::scalar(std::string(kNemoVersion)));
  }
}

NemoMember member_of(const NemoArchive::Member& member) {
  return {member.name, member.bytes.size(),
          [bytes = member.bytes, owner = member.owner](FileWriter& writer) { writer.write(bytes); }};
}

void find_artifacts(const config::Node& node, const std::string& key, std::map<std::string, std::string>& found) {
  if (node.is_string()) {
    const auto& text = std::get<std::string>(node.value());
    if (text.starts_with(kInArchive)) found.emplace(text.substr(kInArchive.size()), key);
  } else if (node.is_list()) {
    for (size_t i = 0; i < node.size(); ++i)
      find_artifacts(node.items()[i], key + "[" + std::to_string(i) + "]", found);
  } else if (node.is_map()) {
    for (const auto& [name, value] : node.entries())
      find_artifacts(value, key.empty() ? name.text() : key + "." + name.text(), found);
  }
}

// The files the config names, from `archive` or `folder`; all of the archive's where `whole`, as NeMo's old archives
// refer to some by their names alone.
std::vector<NemoMember> collect_artifacts(const config::Node& config, const NemoArchive* archive,
                                          const std::string& folder, bool whole) {
  std::vector<NemoMember> members;
  std::set<std::string> names;
  const auto add = [&](NemoMember member) {
    if (names.insert(member.name).second) members.push_back(std::move(member));
  };
  std::map<std::string, std::string> wanted;
  find_artifacts(config, "", wanted);
  for (const auto& [name, key] : wanted) {
    if (const NemoArchive::Member* member = archive == nullptr ? nullptr : archive->find(name)) {
      add(member_of(*member));
    } else if (!folder.empty() && fs::path(name).filename() == name && fs::is_regular_file(folder + "/" + name)) {
      add(NemoMember::of_file(name, folder + "/" + name));
    } else {
      throw Error(Code::kBadData, "the config names a file that is not there")
          .at(key)
          .seen("nemo:" + name)
          .expected(archive != nullptr ? "a member of " + archive->path() : "a file of that name beside the config")
          .next("give a .nemo that holds it with --like, or put the file beside the YAML of --config");
    }
  }
  if (archive != nullptr && whole) {
    for (const auto& member : archive->members()) {
      if (member.name != checkpoint::kNemoConfig && member.name != checkpoint::kNemoWeights) add(member_of(member));
    }
  }
  return members;
}

void check_alike(const std::vector<NamedTensor>& state, const StoredModel& like, const std::string& input) {
  std::map<std::string_view, const PickleTensor*> expected;
  for (const auto& [name, tensor] : like.state) expected.emplace(name, &tensor);
  std::vector<std::string> wrong;
  for (const auto& [name, tensor] : state) {
    const auto found = expected.find(name);
    if (found == expected.end())
      wrong.push_back("only in the input: " + name);
    else if (found->second->sizes != tensor.sizes)
      wrong.push_back(fmt::format("{}: [{}] is [{}] there", name, fmt::join(tensor.sizes, ", "),
                                  fmt::join(found->second->sizes, ", ")));
    if (found != expected.end()) expected.erase(found);
  }
  for (const auto& [name, tensor] : expected) wrong.push_back("not in the input: " + std::string(name));
  if (wrong.empty()) return;
  constexpr size_t kMostShown = 10;
  const size_t count = wrong.size();
  if (count > kMostShown) {
    wrong.resize(kMostShown);
    wrong.push_back(fmt::format("and {} more", count - kMostShown));
  }
  throw Error(Code::kBadData, "the weights are not those of a model like " + like.path)
      .at(input)
      .seen(join(wrong, "; "))
      .next("`fathom diff --tensors` lists all of it");
}

// --- one module of it -----------------------------------------------------------------------------------------------

void keep_module(Content& content, const ConvertOptions& options, const std::string& input, bool is_nemo) {
  const std::string prefix = options.module + ".";
  std::vector<NamedTensor> kept;
  std::set<std::string> others;
  for (auto& [name, tensor] : content.state) {
    if (name.starts_with(prefix))
      kept.emplace_back(name.substr(prefix.size()), tensor);
    else
      others.insert(name.substr(0, name.find('.')));
  }
  if (kept.empty()) {
    throw Error(Code::kBadData, "the file has no weights below '" + options.module + "'")
        .at(input)
        .expected("one of its modules")
        .candidates(nearest_names(options.module, {others.begin(), others.end()}))
        .next("`fathom inspect --tensors` lists the names");
  }
  content.state = std::move(kept);
  content.metadata = {};
  if (!content.config) return;
  const std::string field = options.config_field.empty() ? options.module : options.config_field;
  resolve(*content.config, input);  // while what it refers to is still there
  const config::Node* section = config::find_path(*content.config, field);
  const bool is_model = section != nullptr && section->is_map() && section->find("target") != nullptr;
  if (is_nemo && !is_model) {
    throw Error(Code::kBadData, "the module is no model of its own: its section has no `target`")
        .at(input + ":" + field)
        .next(section == nullptr ? "name its section with --config-field"
                                 : "write its weights to a .ckpt or .safetensors");
  }
  if (section != nullptr && section->is_map()) {
    config::Node own = *section;
    content.config = std::move(own);
  } else {
    content.config.reset();
  }
}

}  // namespace

Converted convert_model_file(const std::string& input, const std::string& output, const ConvertOptions& options) {
  const Format format = format_of(output);
  if (!options.config_field.empty() && options.module.empty())
    throw Error(Code::kUsage, "a module's section was named, but no module").seen(options.config_field);
  refuse_to_replace(output, options.replace);
  StoredModel model = read_stored_model(input);
  Content content{std::move(model.state), model.metadata, model.config, {}};
  const std::optional<StoredModel> like =
      options.like.empty() ? std::nullopt : std::make_optional(read_stored_model(options.like));
  if (like) {
    check_alike(content.state, *like, input);
    if (like->config) content.config = like->config;
  }
  if (!options.config.empty()) content.config = config_of_file(options.config);
  if (!options.module.empty()) keep_module(content, options, input, format.is_nemo);

  if (format.is_nemo) {
    const std::string source = !options.config.empty() ? options.config : like ? like->path : input;
    if (!content.config) {
      throw Error(Code::kUsage, "a .nemo needs the model's config, and the input has none")
          .at(input)
          .next("give --config FILE.yaml, or --like MODEL.nemo");
    }
    complete_config(*content.config, source);
    const StoredModel& holder = like ? *like : model;
    const NemoArchive* archive = holder.archive ? &*holder.archive : nullptr;
    const std::string folder = options.config.empty() ? "" : fs::absolute(options.config).parent_path().string();
    content.artifacts = collect_artifacts(*content.config, archive, folder, /*whole=*/options.module.empty());
  }
  format.write(output, content);

  Converted done;
  done.tensors = content.state.size();
  for (const auto& [name, tensor] : content.state)
    done.bytes += static_cast<uint64_t>(tensor.numel()) * checkpoint::info_of(tensor.dtype).size;
  done.has_config = content.config.has_value();
  for (const auto& artifact : content.artifacts) done.artifacts.push_back(artifact.name);
  done.left_out = std::move(model.left_out);
  return done;
}

std::vector<std::string> split_by_module(const std::string& input, const std::string& folder, bool replace) {
  const StoredModel model = read_stored_model(input);
  std::map<std::string, std::vector<NamedTensor>> parts;
  for (const auto& [name, tensor] : model.state) {
    const size_t dot = name.find('.');
    const std::string part = name.substr(0, dot);
    if (part.empty() || part.find('/') != std::string::npos)
      throw Error(Code::kBadData, "a tensor's name gives no name for a file").at(input).seen(name);
    parts[part].emplace_back(dot == std::string::npos ? "" : name.substr(dot + 1), tensor);
  }
  std::vector<std::string> paths;
  for (const auto& [part, state] : parts) {
    paths.push_back(folder + "/" + part + ".ckpt");
    refuse_to_replace(paths.back(), replace);
  }
  const bool is_new = !fs::exists(folder);
  create_directories(folder);
  try {
    auto path = paths.begin();
    for (const auto& [part, state] : parts) write_pickle(*path++, state_value(state, {}), part);
  } catch (...) {  // some of the modules are nothing to leave behind
    std::error_code ignored;
    if (is_new) fs::remove_all(folder, ignored);
    throw;
  }
  return paths;
}

}  // namespace fathom::model_files
