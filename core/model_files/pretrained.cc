#include "core/model_files/pretrained.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model_files/digest.h"
#include "core/model_files/download.h"
#include "core/model_files/hub_cache.h"
#include "core/model_files/model_class.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"

namespace fathom::model_files {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path nemo_cache() {
  const std::string own = environment("NEMO_CACHE_DIR");
  if (!own.empty()) return own;
  const std::string home = environment("HOME");
  return fs::path(home.empty() ? "." : home) / ".cache/torch/NeMo";
}

// "stt_en_quartznet15x5": what may be part of a path.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 200 && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; });
}

PretrainedModel parse_model(const Json& json, const std::string& plugin, const std::string& model_class) {
  const auto text = [&](const char* key, bool needed) -> std::string {
    const auto found = json.is_object() ? json.find(key) : json.end();
    if (json.is_object() && found != json.end() && found->is_string() && !(needed && found->get<std::string>().empty()))
      return found->get<std::string>();
    if (!needed && (!json.is_object() || found == json.end())) return "";
    throw Error(Code::kBadData, "a plugin's list of pretrained models is malformed")
        .at(plugin + ": " + model_class)
        .seen(json_text(json))
        .expected(std::string("a text '") + key + "'");
  };
  PretrainedModel out{text("name", true),
                      text("description", false),
                      text("location", true),
                      {},
                      text("sha256", false),
                      model_class,
                      plugin};
  if (!is_plain_name(out.name)) {
    throw Error(Code::kBadData, "a plugin's pretrained model has a name that cannot be one of a file")
        .at(plugin + ": " + model_class)
        .seen(out.name);
  }
  if (const auto aliases = json.find("aliases"); aliases != json.end() && aliases->is_array()) {
    for (const auto& alias : *aliases) {
      if (alias.is_string()) out.aliases.push_back(alias.get<std::string>());
    }
  }
  return out;
}

// A name as the user may mean a file by it.
bool looks_like_path(const std::string& given) {
  for (const char* start : {"/", "./", "../", "~"}) {
    if (given.starts_with(start)) return true;
  }
  for (const char* suffix : {".nemo", ".ckpt", ".pt", ".pth", ".safetensors"}) {
    if (given.ends_with(suffix)) return true;
  }
  return given.empty() || given == "." || given == "..";
}

std::string newest_in_nemo_cache(const std::string& name) {
  constexpr int kDeepest = 5;
  std::error_code ignored;  // a cache that is not there holds nothing
  std::string newest;
  fs::file_time_type newest_time;
  for (fs::recursive_directory_iterator it(nemo_cache(), ignored), end; it != end && !ignored; it.increment(ignored)) {
    if (it.depth() > kDeepest) it.disable_recursion_pending();
    if (it->path().filename() != name + ".nemo" || !it->is_regular_file(ignored)) continue;
    const auto time = it->last_write_time(ignored);
    if (newest.empty() || time > newest_time) {
      newest = it->path();
      newest_time = time;
    }
  }
  return newest;
}

const PretrainedModel* find_declared(const std::vector<PretrainedModel>& models, const std::string& name) {
  for (const PretrainedModel& model : models) {
    if (model.name == name || std::find(model.aliases.begin(), model.aliases.end(), name) != model.aliases.end())
      return &model;
  }
  return nullptr;
}

std::vector<std::string> names_of(const std::vector<PretrainedModel>& models) {
  std::vector<std::string> names;
  for (const PretrainedModel& model : models) names.push_back(model.name);
  return names;
}

std::string mirror_url(const std::string& name) {
  std::string mirror = environment("FATHOM_MODEL_MIRROR");
  while (mirror.ends_with('/')) mirror.pop_back();
  return mirror.empty() ? "" : mirror + "/" + name + ".nemo";
}

std::string fetch_declared(const PretrainedModel& model, const FetchOptions& options) {
  DownloadRequest request;
  const std::string mirror = mirror_url(model.name);
  request.url = mirror.empty() ? model.location : mirror;
  request.sha256 = model.sha256;
  if (request.sha256.empty() && !mirror.empty()) request.sha256 = published_checksum(mirror + ".sha256");
  request.progress = options.progress;
  request.retry_seconds = options.retry_seconds;
  // NeMo's folder for it: the file's stem, then a hash of what the model says of itself.
  const std::string stem = fs::path(model.location).stem();
  request.path = nemo_cache() / (std::string("NeMo_") + kNemoVersion) / (is_plain_name(stem) ? stem : model.name) /
                 md5_hex(model.location + model.description) / (model.name + ".nemo");
  download(request);
  return request.path;
}

[[noreturn]] void refuse_unknown(const std::string& name, const std::vector<PretrainedModel>& models) {
  throw Error(Code::kNoInput, "no plugin declares a pretrained model '" + name + "'")
      .expected("a name of `fathom models list`, or user/name of the Hugging Face hub")
      .candidates(nearest_names(name, names_of(models)))
      .next("fathom models list");
}

}  // namespace

std::vector<PretrainedModel> pretrained_models() {
  std::vector<PretrainedModel> out;
  for (const plugins::PluginRecord& plugin : plugins::registry().plugins()) {
    if (!plugin.refusal.empty()) continue;
    for (const auto& component : plugin.info.provides) {
      if (component.kind != FATHOM_KIND_MODEL) continue;
      const auto declared = component.schema.find("pretrained_models");
      if (declared == component.schema.end() || !declared->is_array()) continue;
      for (const Json& model : *declared) out.push_back(parse_model(model, plugin.info.name, component.name));
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

Json pretrained_json() {
  Json out = Json::array();
  for (const PretrainedModel& model : pretrained_models()) {
    const std::string path = find_on_this_machine(model.name);
    out.push_back({{"name", model.name},
                   {"description", model.description},
                   {"location", model.location},
                   {"class", model.model_class},
                   {"plugin", model.plugin},
                   {"aliases", model.aliases},
                   {"sha256", model.sha256.empty() ? Json(nullptr) : Json(model.sha256)},
                   {"path", path.empty() ? Json(nullptr) : Json(path)}});
  }
  return out;
}

std::string find_on_this_machine(const std::string& name, std::vector<std::string>* places) {
  const auto repository = parse_hub_name(name);
  std::string file = repository ? repository->name() : name;
  if (!is_plain_name(file)) return "";
  if (!repository) {
    const auto models = pretrained_models();
    if (const PretrainedModel* declared = find_declared(models, name)) file = declared->name;
  }
  if (places != nullptr) places->push_back(file + ".nemo below " + nemo_cache().string());
  // A revision is the hub's own word: NeMo's cache knows none.
  if (!repository || repository->revision == kMainRevision) {
    if (std::string found = newest_in_nemo_cache(file); !found.empty()) return found;
  }
  return repository ? find_in_hub_cache(*repository, places) : "";
}

std::string fetch_model(const std::string& name, const FetchOptions& options) {
  if (std::string here = find_on_this_machine(name); !here.empty()) return here;
  if (const auto repository = parse_hub_name(name)) {
    if (std::string found = fetch_from_hub(*repository, options); !found.empty()) return found;
    throw Error(Code::kInternal, "a download ended nowhere").seen(name);
  }
  const auto models = pretrained_models();
  const PretrainedModel* declared = find_declared(models, name);
  if (declared == nullptr) refuse_unknown(name, models);
  return fetch_declared(*declared, options);
}

std::string model_file(const std::string& given, const std::string& where, Code absent) {
  if (looks_like_path(given) || file_exists(given)) return given;
  std::vector<std::string> places;
  if (std::string here = find_on_this_machine(given, &places); !here.empty()) {
    log_info("models", "{} is {}", given, here);
    return here;
  }
  if (environment("FATHOM_DOWNLOAD") == "1") {
    log_info("models", "{} is not on this machine: it is downloaded, as FATHOM_DOWNLOAD=1 allows", given);
    return fetch_model(given);
  }
  const auto models = pretrained_models();
  const bool known = parse_hub_name(given).has_value() || find_declared(models, given) != nullptr;
  throw Error(absent,
              "there is no file and no pretrained model '" + given + "' on this machine, and none is downloaded")
      .at(where)
      .seen(places.empty() ? "no such file" : "no such file; no " + join(places, "; no "))
      .expected("a .nemo file, a name of `fathom models list`, or user/name of the Hugging Face hub")
      .candidates(known ? "" : join(nearest_names(given, names_of(models)), ", "))
      .next(known ? "`fathom models fetch " + given + "` downloads it; FATHOM_DOWNLOAD=1 allows every command to" : "");
}

}  // namespace fathom::model_files
