// Where plugins are looked for, in this order:
//   1. folders named with --plugin-dir
//   2. FATHOM_PLUGIN_PATH (colon separated)
//   3. PREFIX/lib/fathom/plugins, PREFIX found from the running program (PREFIX/bin/fathom), so that the build tree and
//   the
//      install tree both work
//   4. $XDG_DATA_HOME/fathom/plugins (~/.local/share when unset)
// A plugin is code that runs with the user's rights: folders and files that everybody may write are refused, and so are
// relative folders, whose meaning changes with the working directory.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fathom::plugins {

struct SearchFolder {
  std::string path;    // canonical, absolute
  std::string origin;  // "--plugin-dir", "FATHOM_PLUGIN_PATH", "prefix", "user"
};

struct RefusedFolder {
  std::string path, origin, reason;
};

struct SearchPath {
  std::vector<SearchFolder> folders;   // exist and may be used; each once
  std::vector<RefusedFolder> refused;  // default folders (3 and 4) that are there but must not be used
};

struct SearchRequest {
  std::vector<std::string> plugin_dirs;         // --plugin-dir, in order
  std::optional<std::string> environment_path;  // FATHOM_PLUGIN_PATH; empty text counts as unset
  std::string program;                          // the running program's file; empty: no prefix
  std::optional<std::string> user_data_home;    // XDG_DATA_HOME or ~/.local/share
};

// From the environment and /proc/self/exe.
SearchRequest default_search_request();

// Throws Error for a folder the user named that is relative or empty (kUsage), missing (kNoInput), or writable by
// everybody (kUnavailable). Default folders that do not exist are left out silently.
SearchPath resolve_search_path(const SearchRequest& request);

// Why `path` (a canonical file or folder) must not be trusted: everybody may write to it, or to a folder above it that
// is not sticky. Empty when it may be used.
std::string writable_by_everybody(const std::string& path);

// Files of `folder` ending in ".so", sorted by name; links are followed and each file is given once, by canonical path.
std::vector<std::string> plugin_files(const std::string& folder);

}  // namespace fathom::plugins
