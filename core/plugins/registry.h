// Components by kind and name: what the host, the engine and plugins ask when a config names a class.
//
// The first question sets the search path and reads the descriptions of all plugins found (no plugin is loaded for
// that); a plugin is loaded when one of its components is made. All functions may be called from any thread, also by a
// plugin that is creating a component.
//
//   auto& r = fathom::plugins::registry();
//   r.use_search_path(resolve_search_path(request));        // once, before the first question; optional
//   Handle<fathom_module_v1> m(r.create(kind_bit(FATHOM_KIND_MODULE), section, "model.encoder"));
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugins/option_check.h"
#include "core/plugins/plugin_info.h"
#include "core/plugins/search_path.h"

namespace fathom::plugins {

// A plugin that was found, usable or not.
struct PluginRecord {
  std::string file;    // canonical path; "built in" for those of the program itself
  std::string origin;  // which part of the search path
  PluginInfo info;     // empty name when it could not be read
  bool loaded = false;
  std::string refusal;  // one sentence; empty when it may be used
};

// A component that was found by name.
struct Found {
  const ProvidedComponent* component;  // valid until use_search_path() or add_plugin_dir()
  std::string plugin, file;
};

class PluginRegistry {
 public:
  PluginRegistry();
  ~PluginRegistry();
  PluginRegistry(const PluginRegistry&) = delete;
  PluginRegistry& operator=(const PluginRegistry&) = delete;

  // Replaces the default search path (default_search_request) and forgets plugins that were found but not loaded.
  void use_search_path(SearchPath path);
  // The same with one more folder in front, as --plugin-dir does. Throws like resolve_search_path.
  void add_plugin_dir(const std::string& folder);
  const SearchPath& search_path();

  // Registers a descriptor that lies in the program itself (tests, programs linked with their plugins). Throws Error
  // when its registration fails or one of its names is taken. The same descriptor twice is the same plugin; a file that
  // holds the plugin of that name is left alone.
  void add_builtin(const fathom_plugin_entry* entry);

  // All plugins found, in the order of the search path.
  std::vector<PluginRecord> plugins();

  // The component called `name` (its name or an alias) of one of `kinds`; nothing is loaded. Throws Error: kFailed for
  // an unknown name, with the nearest names; kUnavailable when a refused plugin would have provided it; kFailed when
  // two plugins or two kinds give it. `where` is the place of the name.
  Found find(uint32_t kinds, std::string_view name, const std::string& where = {});
  // Whether find() would succeed.
  bool contains(uint32_t kinds, std::string_view name);
  // Every name and alias of these kinds, sorted, refused plugins left out.
  std::vector<std::string> names(uint32_t kinds, bool with_aliases = true);

  // As find(), but loads the plugin and gives its descriptor. Throws Error(kUnavailable) when it is refused on loading.
  const fathom_component* load(uint32_t kinds, std::string_view name, const std::string& where = {});

  // Makes the component a section names (see section.h): checks the section against the declared options, loads the
  // plugin, calls create. The caller owns the object: component->destroy(self), or fathom::Handle.
  // `config_path` is the section's full key; `context` is what the host tells this kind (see the kind's header).
  fathom_object create(uint32_t kinds, const Json& section, const std::string& config_path,
                       const Json& context = Json::object());

  // All that is wrong with a section, without loading or making anything; empty when create() would get as far as the
  // component's own code, or with Gaps::kFilledLater once what is not given has been filled in. `locate` gives the
  // place of a full key, so that each error can name a file and line.
  std::vector<Error> validate_section(uint32_t kinds, const Json& section, const std::string& config_path,
                                      const Locate& locate = {}, Gaps gaps = Gaps::kRefused);

  // Calls the plugins' shutdown functions, last loaded first, each once. Also runs at exit.
  void shutdown();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The process's registry. Never destroyed: plugins may use the host while the process ends.
PluginRegistry& registry();

}  // namespace fathom::plugins
