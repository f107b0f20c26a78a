#include "core/plugins/scaffold.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "core/base/file.h"
#include "core/plugins/search_path.h"
#include "fathom/error.h"

namespace fathom::plugins {
namespace {

namespace fs = std::filesystem;
constexpr const char* kTemplateName = "my_collection";

std::string identifier(const std::string& text) {
  std::string out;
  for (const char c : text) out += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (out.empty() || std::isdigit(static_cast<unsigned char>(out.front()))) out.insert(0, "plugin_");
  return out;
}

std::string renamed(std::string text, const std::string& name) {
  const std::string old = kTemplateName;
  for (size_t at = text.find(old); at != std::string::npos; at = text.find(old, at + name.size()))
    text.replace(at, old.size(), name);
  return text;
}

}  // namespace

std::string template_folder() {
  const fs::path program = default_search_request().program;
  std::error_code failed;
  const fs::path folder = fs::canonical(program.parent_path() / "../share/fathom/template", failed);
  if (failed) {
    throw Error(Code::kNoInput, "the plugin template is not installed")
        .at((program.parent_path().parent_path() / "share/fathom/template").string())
        .next("install the program with its SDK");
  }
  return folder;
}

std::vector<std::string> new_plugin_project(const std::string& from, const std::string& to) {
  std::error_code failed;
  if (fs::exists(to, failed) && !(fs::is_directory(to, failed) && fs::is_empty(to, failed))) {
    throw Error(Code::kCantCreate, "the folder exists already").at(to).next("name a new folder");
  }
  const std::string name = identifier(fs::absolute(to).lexically_normal().filename().string().empty()
                                          ? fs::absolute(to).lexically_normal().parent_path().filename().string()
                                          : fs::absolute(to).lexically_normal().filename().string());
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    if (!entry.is_regular_file()) continue;
    const fs::path target = fs::path(to) / renamed(fs::relative(entry.path(), from).string(), name);
    create_directories(target.parent_path());
    write_file_atomically(target, renamed(read_file(entry.path()), name));
    fs::permissions(target, entry.status().permissions(), failed);
    files.push_back(target);
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace fathom::plugins
