// Opens a plugin, or refuses it in one sentence. A loaded plugin stays loaded until the process ends: tensors hold
// autograd nodes whose code lies in it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/plugins/plugin_info.h"

namespace fathom::plugins {

// What this program was built with: the boundary's version, libtorch and the C++ tag.
const HostVersions& host_versions();

// Reads the description of the plugin at `file` (canonical path) without loading it, and checks that it may be loaded.
// Never throws for what is wrong with the file: that is the refusal.
struct Inspected {
  PluginInfo info;  // as far as it could be read; empty name when it could not
  std::optional<Refusal> refusal;
};
Inspected inspect_plugin(const std::string& file, const HostVersions& host = host_versions());

struct LoadedPlugin {
  const fathom_plugin_entry* entry;
  std::vector<const fathom_component*> components;  // in the order of registration
  PluginInfo registered;                            // what it registered, for comparison with its description
};

// Runs a descriptor's register_all. A refusal when it fails or throws; then nothing of it is kept.
std::variant<LoadedPlugin, Refusal> register_plugin(const fathom_plugin_entry* entry);

// Maps the library (all symbols bound at once, none shown to others), checks its descriptor and registers it.
// `info` is what inspect_plugin said. Not thread-safe: the registry holds its lock.
std::variant<LoadedPlugin, Refusal> load_plugin(const std::string& file, const PluginInfo& info,
                                                const HostVersions& host = host_versions());

}  // namespace fathom::plugins
