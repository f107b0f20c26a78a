// The reference page of a plugin, generated from what its components declare: docs/reference/NAME.md.
#pragma once

#include <string>

#include "core/plugins/registry.h"

namespace fathom::plugins {

// Markdown: the plugin, its element types, then each component by kind and name with its names, ports and options
// (options of options as "jasper[].filters"). Nothing is loaded. Throws Error(kFailed) when there is no plugin of that
// name, with the nearest ones.
std::string reference_page(PluginRegistry& registry, const std::string& plugin);

}  // namespace fathom::plugins
