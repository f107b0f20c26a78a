// What `fathom plugins list` and `fathom plugins info` print. Reads descriptions only: nothing is loaded.
#pragma once

#include <string>
#include <vector>

#include "core/plugins/registry.h"

namespace fathom::plugins {

// [{name, version, file, abi: [major, minor], torch_use, status: "ok"|"refused", reason?, provides: [{kind, name,
// aliases}]}]. A plugin whose description cannot be read has its file's name as name, and null for version, abi and
// torch_use.
Json plugins_json(const std::vector<PluginRecord>& plugins);
// The same for people: one block per plugin, refused ones last with the reason, then the folders looked into.
std::string plugins_text(const std::vector<PluginRecord>& plugins, const SearchPath& path);

// A component (by name or alias, of any kind) or a plugin by its name. Components: {kind, name, aliases, doc, plugin,
// version, file, options: [{name, type, default?, required?, unit?, doc, options?}], extra, inputs?, outputs?, state?};
// ports are {name, type, optional?, list_depth?}. A plugin: as in plugins_json with licence, vendor, url, libtorch and
// docs. A list, as several kinds may use one name. Throws Error as PluginRegistry::find does.
Json info_json(PluginRegistry& registry, const std::string& name);
std::string info_text(const Json& info);
// "[B D T] SpectrogramType": a port's type in JSON form for people.
std::string port_type_text(const Json& type);

}  // namespace fathom::plugins
