// Where a logger writes: Lightning's <save_dir>/<name>/<version> when the config names a folder, else the run's folder.
#pragma once

#include <optional>
#include <string>

#include "fathom/options.h"

namespace fathom::loggers {

struct FolderOptions {
  std::optional<std::string> save_dir;
  std::optional<std::string> name;
  Json version = nullptr;  // int, text or null
  static void describe(OptionSet<FolderOptions>& o);
};

// `context` is the host's: save_dir = folder of the run. Makes nothing.
std::string logger_folder(const FolderOptions& options, const Json& context, const std::string& sub_dir = "");

}  // namespace fathom::loggers
