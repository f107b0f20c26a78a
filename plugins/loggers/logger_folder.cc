#include "plugins/loggers/logger_folder.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace fathom::loggers {
namespace {

namespace fs = std::filesystem;

// One more than the highest version_N that is there.
int64_t next_version(const fs::path& folder) {
  constexpr std::string_view kPrefix = "version_";
  int64_t next = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    int64_t number = 0;
    const char* end = name.data() + name.size();
    const auto [stop, problem] = std::from_chars(name.data() + kPrefix.size(), end, number);
    if (problem == std::errc() && stop == end) next = std::max(next, number + 1);
  }
  return next;
}

}  // namespace

void FolderOptions::describe(OptionSet<FolderOptions>& o) {
  o("save_dir", &FolderOptions::save_dir, "root of log folders; default the run's folder");
  o("name", &FolderOptions::name, "folder below save_dir");
  o("version", &FolderOptions::version, "folder below the name: a text, or N for version_N");
}

std::string logger_folder(const FolderOptions& options, const Json& context, const std::string& sub_dir) {
  fs::path folder;
  if (!options.save_dir) {
    folder = context.value("save_dir", ".");
    if (options.name && !options.name->empty()) folder /= *options.name;
    if (options.version.is_string()) folder /= options.version.get<std::string>();
    if (options.version.is_number_integer()) folder /= "version_" + json_text(options.version);
  } else {
    folder = fs::path(*options.save_dir) / options.name.value_or("lightning_logs");
    if (options.version.is_string())
      folder /= options.version.get<std::string>();
    else if (options.version.is_number_integer())
      folder /= "version_" + json_text(options.version);
    else
      folder /= "version_" + std::to_string(next_version(folder));
  }
  if (!options.version.is_null() && !options.version.is_string() && !options.version.is_number_integer()) {
    throw Error(Code::kFailed, "a logger's version is an int, a text or null")
        .at("version")
        .seen(json_text(options.version));
  }
  if (!sub_dir.empty()) folder /= sub_dir;
  return folder.lexically_normal();
}

}  // namespace fathom::loggers
