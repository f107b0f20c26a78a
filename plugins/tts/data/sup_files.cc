#include "plugins/tts/data/sup_files.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fathom/model_files.h"

namespace fathom::tts {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSettings = "settings.json";
constexpr const char* kEndings[] = {".safetensors", ".pt", ".npy"};

std::string read_text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {(std::istreambuf_iterator<char>(in)), {}};
}

// Whole or not at all, whoever else writes the same.
void write_settings(const fs::path& path, const Json& settings) {
  const fs::path part = path.string() + ".part" + std::to_string(::getpid());
  {
    std::ofstream out(part, std::ios::binary);
    out << json_text(settings, 2) << "\n";
    if (!out.flush()) throw Error(Code::kCantCreate, "the folder of supplementary data cannot be written to").at(part);
  }
  fs::rename(part, path);
}

}  // namespace

SupFolder::SupFolder(std::string path, const Json& settings) : path_(std::move(path)) {
  std::error_code failed;
  fs::create_directories(path_, failed);
  if (failed || !fs::is_directory(path_)) {
    throw Error(Code::kCantCreate, "the folder of supplementary data cannot be made")
        .at(path_)
        .seen(failed ? failed.message() : "no folder");
  }
  const fs::path file = fs::path(path_) / kSettings;
  if (!fs::exists(file)) {
    if (fs::is_empty(path_)) write_settings(file, settings);
    return;
  }
  Json kept;
  try {
    kept = parse_text(read_text_of(file));
  } catch (const nlohmann::json::exception&) {
  }
  if (!kept.is_object()) {
    throw Error(Code::kBadData, "the settings of a folder of supplementary data are broken")
        .at(file)
        .next("delete the folder, and let it be made anew");
  }
  for (const auto& [key, value] : settings.items()) {
    const Json other = kept.value(key, Json(nullptr));
    const bool equal =
        value.is_number() && other.is_number() ? value.get<double>() == other.get<double>() : value == other;
    if (equal) continue;
    throw Error(Code::kBadData, "supplementary data was computed with other settings")
        .at(file)
        .seen(key + ": " + json_text(other))
        .expected(key + ": " + json_text(value))
        .next("name another sup_data_path, or delete this folder");
  }
}

std::string SupFolder::file(const std::string& clip) const { return path_ + "/" + clip + kEndings[0]; }

std::string SupFolder::find(const std::string& clip) const {
  if (!keeps()) return "";
  for (const char* ending : kEndings) {
    const std::string path = path_ + "/" + clip + ending;
    if (::access(path.c_str(), F_OK) == 0) return path;
  }
  return "";
}

at::Tensor load_one_tensor(const std::string& path) {
  const Values stored = load_tensors(path);
  if (stored.size() != 1 || !stored.begin()->second.is_tensor()) {
    throw Error(Code::kBadData, "the file should hold one tensor")
        .at(path)
        .seen(std::to_string(stored.size()) + " values");
  }
  const at::Tensor& values = stored.begin()->second.tensor();
  if (values.is_complex() || values.numel() == 0)
    throw Error(Code::kBadData, "the file holds no real numbers").at(path).seen(std::string(values.toString()));
  return values.to(at::kFloat).contiguous();
}

std::optional<at::Tensor> SupFolder::load(const std::string& clip) const {
  const std::string path = find(clip);
  if (path.empty()) return std::nullopt;
  return load_one_tensor(path);
}

void SupFolder::save(const std::string& clip, const at::Tensor& values) const {
  if (keeps()) save_tensors(file(clip), {{"values", values.contiguous()}});
}

void SupFolder::save_npy(const std::string& clip, const at::Tensor& values) const {
  if (!keeps()) return;
  const bool is_mask = values.scalar_type() == at::kBool;
  const at::Tensor data = values.to(at::kCPU, is_mask ? at::kBool : at::kFloat).contiguous();
  std::string shape;
  for (const int64_t size : data.sizes()) shape += std::to_string(size) + (data.dim() == 1 ? "," : ", ");
  std::string header =
      std::string("{'descr': '") + (is_mask ? "|b1" : "<f4") + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  constexpr size_t kBefore = 10, kAligned = 64;  // magic, version and length; as numpy.lib.format has it
  header.append(kAligned - 1 - (kBefore + header.size()) % kAligned, ' ');
  header += '\n';
  const fs::path path = path_ + "/" + clip + ".npy";
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  std::string part = path.string() + ".XXXXXX";  // two threads may compute the same
  const int made = failed ? -1 : ::mkstemp(part.data());
  if (made >= 0) ::close(made);
  {
    std::ofstream out(made >= 0 ? part : std::string(), std::ios::binary | std::ios::trunc);
    const char version[] = {'\x93',
                            'N',
                            'U',
                            'M',
                            'P',
                            'Y',
                            1,
                            0,
                            static_cast<char>(header.size() & 0xFF),
                            static_cast<char>(header.size() >> 8)};
    out.write(version, sizeof(version));
    out << header;
    out.write(static_cast<const char*>(data.const_data_ptr()), static_cast<std::streamsize>(data.nbytes()));
    out.close();
    if (out) {
      fs::permissions(part, fs::perms(0644), failed);
      fs::rename(part, path, failed);
      if (!failed) return;
    }
  }
  std::error_code ignored;
  if (made >= 0) fs::remove(part, ignored);
  throw Error(Code::kCantCreate, "a feature cannot be written").at(path).seen(failed ? failed.message() : "no room?");
}

std::string clip_name(const std::string& audio_path, const std::string& base) {
  fs::path path = fs::path(audio_path).lexically_normal();
  if (const fs::path inside = path.lexically_relative(fs::path(base).lexically_normal());
      !inside.empty() && *inside.begin() != "..")
    path = inside;
  std::string name = path.replace_extension().string();
  for (char& c : name) c = c == '/' ? '_' : c;
  return name;
}

std::string common_folder(const std::vector<std::string>& audio_paths) {
  std::optional<fs::path> common;
  for (const std::string& audio : audio_paths) {
    const fs::path folder = fs::path(audio).lexically_normal().parent_path();
    if (!common) {
      common = folder;
      continue;
    }
    fs::path shared;
    for (auto a = common->begin(), b = folder.begin(); a != common->end() && b != folder.end() && *a == *b; ++a, ++b)
      shared /= *a;
    common = shared;
  }
  return common ? common->string() : "";
}

}  // namespace fathom::tts
