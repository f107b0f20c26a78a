#include "core/plugins/search_path.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/base/text.h"
#include "fathom/error.h"

namespace fathom::plugins {
namespace {

namespace fs = std::filesystem;

void add_named(SearchPath& out, const std::string& folder, const std::string& origin) {
  if (folder.empty()) {
    throw Error(Code::kUsage, "an empty plugin folder")
        .at(origin)
        .expected("absolute folders")
        .next("remove the empty part");
  }
  std::error_code failed;
  if (folder.front() != '/') {
    const fs::path meant = fs::absolute(folder, failed);
    throw Error(Code::kUsage, "a relative plugin folder is refused")
        .at(origin)
        .seen(folder)
        .expected("an absolute folder: what a relative one means changes with the working directory")
        .next(failed ? std::string("write the whole path") : "write " + meant.lexically_normal().string());
  }
  const fs::path canonical = fs::canonical(folder, failed);
  if (failed || !fs::is_directory(canonical, failed)) {
    throw Error(Code::kNoInput, "no such plugin folder").at(origin).seen(folder).next("create it or leave it out");
  }
  if (const std::string reason = writable_by_everybody(canonical); !reason.empty()) {
    throw Error(Code::kUnavailable, "plugin folder refused: " + reason)
        .at(origin)
        .seen(folder)
        .next("chmod o-w it, or use another folder");
  }
  out.folders.push_back({canonical, origin});
}

void add_default(SearchPath& out, const std::string& folder, const std::string& origin) {
  std::error_code failed;
  const fs::path canonical = fs::canonical(folder, failed);
  if (failed || !fs::is_directory(canonical, failed)) return;
  if (const std::string reason = writable_by_everybody(canonical); !reason.empty()) {
    out.refused.push_back({canonical, origin, reason});
    return;
  }
  out.folders.push_back({canonical, origin});
}

}  // namespace

std::string writable_by_everybody(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "cannot look at " + path;
  if ((info.st_mode & S_IWOTH) != 0) return "everybody may write to " + path;
  // In a sticky folder (/tmp) others cannot replace what they do not own; elsewhere they can.
  for (fs::path above = fs::path(path).parent_path();; above = above.parent_path()) {
    if (::stat(above.c_str(), &info) != 0) return "cannot look at " + above.string();
    if ((info.st_mode & S_IWOTH) != 0 && (info.st_mode & S_ISVTX) == 0)
      return "everybody may write to " + above.string();
    if (above == above.parent_path()) return {};
  }
}

SearchRequest default_search_request() {
  SearchRequest request;
  if (const char* path = std::getenv("FATHOM_PLUGIN_PATH"); path != nullptr && *path != '\0')
    request.environment_path = path;
  std::error_code failed;
  if (const fs::path program = fs::read_symlink("/proc/self/exe", failed); !failed) request.program = program;
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/') {
    request.user_data_home = data;  // the XDG specification says to ignore a relative one
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    request.user_data_home = std::string(home) + "/.local/share";
  }
  return request;
}

SearchPath resolve_search_path(const SearchRequest& request) {
  SearchPath out;
  for (const auto& folder : request.plugin_dirs) add_named(out, folder, "--plugin-dir");
  if (request.environment_path && !request.environment_path->empty()) {
    for (const auto& folder : split(*request.environment_path, ':')) add_named(out, folder, "FATHOM_PLUGIN_PATH");
  }
  if (!request.program.empty()) {
    add_default(out, fs::path(request.program).parent_path() / "../lib/fathom/plugins", "prefix");
  }
  if (request.user_data_home) add_default(out, *request.user_data_home + "/fathom/plugins", "user");

  std::vector<SearchFolder> once;
  for (auto& folder : out.folders) {
    const bool known =
        std::any_of(once.begin(), once.end(), [&](const auto& other) { return other.path == folder.path; });
    if (!known) once.push_back(std::move(folder));
  }
  out.folders = std::move(once);
  return out;
}

std::vector<std::string> plugin_files(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code failed;
  fs::directory_iterator entries(folder, failed);
  if (failed) throw Error(Code::kIo, "cannot list the plugin folder: " + failed.message()).at(folder);
  for (const auto& entry : entries) {
    if (entry.path().extension() != ".so") continue;
    const fs::path file = fs::canonical(entry.path(), failed);
    if (failed)
      files.push_back(entry.path());  // a dangling link: the reader will say so
    else if (fs::is_regular_file(file, failed))
      files.push_back(file);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

}  // namespace fathom::plugins
