#include "core/plugins/registry.h"

#include <algorithm>
#include <cstdlib>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/plugins/absent_classes.h"
#include "core/plugins/kind.h"
#include "core/plugins/loader.h"
#include "core/plugins/section.h"

namespace fathom::plugins {
namespace {

// One plugin and, once it is loaded, its descriptors by (kind, name). Never moves.
struct Slot {
  PluginRecord record;
  bool built_in = false;
  bool duplicate = false;  // refused only because another plugin gives one of its names
  const fathom_plugin_entry* entry = nullptr;
  const fathom_plugin_entry* builtin = nullptr;  // as add_builtin() got it
  std::map<std::pair<fathom_kind, std::string>, const fathom_component*> components;
};

struct Claim {
  Slot* slot;
  const ProvidedComponent* component;
};

std::vector<std::string> all_names(const ProvidedComponent& component) {
  std::vector<std::string> names{component.name};
  names.insert(names.end(), component.aliases.begin(), component.aliases.end());
  return names;
}

// "x" of "optim.x.y" below "optim".
std::string first_key(const std::string& key, const std::string& path) {
  const size_t begin = path.empty() ? 0 : path.size() + 1;
  return key.substr(begin, key.find_first_of(".[", begin) - begin);
}

std::string last_part(std::string_view name) { return std::string(name.substr(name.find_last_of(".:/") + 1)); }

}  // namespace

struct PluginRegistry::Impl {
  std::recursive_mutex mutex;
  std::optional<SearchPath> path;
  bool scanned = false;
  std::list<Slot> slots;                                          // built-in ones first, then in search order
  std::map<std::string, std::vector<Claim>, std::less<>> claims;  // by name and alias; usable plugins only
  std::vector<Slot*> loaded;                                      // in the order of loading
  bool exit_hook = false;

  void scan() {
    if (scanned) return;
    if (!path) path = resolve_search_path(default_search_request());
    for (const auto& refused : path->refused) {
      log_warning("plugins", "folder {} is left out: {}", refused.path, refused.reason);
    }
    for (const auto& folder : path->folders) {
      for (const auto& file : plugin_files(folder.path)) take_file(file, folder.origin);
    }
    scanned = true;
  }

  void take_file(const std::string& file, const std::string& origin) {
    for (const auto& slot : slots) {
      if (slot.record.file == file) return;  // a link, or a folder given twice
    }
    Inspected inspected = inspect_plugin(file);
    Slot& slot = slots.emplace_back();
    slot.record = {file, origin, std::move(inspected.info), false, {}};
    if (inspected.refusal)
      slot.record.refusal = inspected.refusal->sentence(file);
    else if (!give_way(slot))
      claim_names(slot);
  }

  // A program that is linked with a plugin uses its own copy and leaves the file alone.
  bool give_way(Slot& slot) {
    for (const auto& other : slots) {
      if (!other.built_in || &other == &slot || other.record.info.name != slot.record.info.name) continue;
      slot.record.refusal = slot.record.file + ": the plugin '" + slot.record.info.name +
                            "' is part of this program; nothing needs to be done";
      return true;
    }
    return false;
  }

  // Enters a plugin's names. A plugin that gives a name another one gives already is left out as a whole: which of two
  // classes a config means must never depend on the order of folders.
  void claim_names(Slot& slot) {
    for (const auto& component : slot.record.info.provides) {
      for (const auto& name : all_names(component)) {
        if (const Claim* other = claim_of(component.kind, name); other != nullptr && other->slot != &slot) {
          slot.duplicate = true;
          slot.record.refusal = slot.record.file + ": gives the " + std::string(kind_name(component.kind)) + " '" +
                                name + "', which " + other->slot->record.file + " gives too; remove one of the two";
          return;
        }
      }
    }
    for (const auto& component : slot.record.info.provides) {
      for (auto& name : all_names(component)) claims[name].push_back({&slot, &component});
    }
  }

  const Claim* claim_of(fathom_kind kind, const std::string& name) const {
    const auto found = claims.find(name);
    if (found == claims.end()) return nullptr;
    for (const auto& claim : found->second) {
      if (claim.component->kind == kind) return &claim;
    }
    return nullptr;
  }

  void rebuild_claims() {
    claims.clear();
    for (auto& slot : slots) {
      if (std::exchange(slot.duplicate, false)) slot.record.refusal.clear();
      if (slot.record.refusal.empty() && (slot.record.loaded || !give_way(slot))) claim_names(slot);
    }
  }

  // A refused plugin that describes `name`; one that is refused as a duplicate comes first.
  const Slot* refused_provider(uint32_t kinds, std::string_view name) const {
    const Slot* other = nullptr;
    for (const auto& slot : slots) {
      if (slot.record.refusal.empty()) continue;
      for (const auto& component : slot.record.info.provides) {
        if ((kinds & kind_bit(component.kind)) == 0) continue;
        for (const auto& own : all_names(component)) {
          if (own == name && slot.duplicate) return &slot;
          if (own == name) other = &slot;
        }
      }
    }
    return other;
  }

  Claim find(uint32_t kinds, std::string_view name, const std::string& where) {
    scan();
    std::vector<Claim> fitting;
    if (const auto found = claims.find(name); found != claims.end()) {
      for (const auto& claim : found->second) {
        if ((kinds & kind_bit(claim.component->kind)) != 0) fitting.push_back(claim);
      }
    }
    const Slot* refused = refused_provider(kinds, name);
    if (fitting.size() == 1) {
      if (refused != nullptr && refused->duplicate) {
        throw Error(Code::kFailed, "two plugins give the " + std::string(kind_name(fitting[0].component->kind)) + " '" +
                                       std::string(name) + "'")
            .at(where)
            .seen(fitting[0].slot->record.file + " and " + refused->record.file)
            .next("remove one of the two files");
      }
      return fitting[0];
    }
    if (fitting.size() > 1) {
      std::vector<std::string> seen;
      for (const auto& claim : fitting)
        seen.push_back(std::string(kind_name(claim.component->kind)) + " of " + claim.slot->record.file);
      throw Error(Code::kFailed, "'" + std::string(name) + "' is ambiguous")
          .at(where)
          .seen(join(seen, ", "))
          .expected("one " + kinds_text(kinds));
    }
    if (refused != nullptr) {
      throw Error(Code::kUnavailable,
                  "the " + kinds_text(kinds) + " '" + std::string(name) + "' is in a plugin that was refused")
          .at(where)
          .seen(refused->record.refusal)
          .next("make that plugin loadable, then run again");
    }
    throw unknown(kinds, name, where);
  }

  Error unknown(uint32_t kinds, std::string_view name, const std::string& where) {
    std::vector<std::string> known = names(kinds, true), near;
    for (const auto& candidate : known) {  // the same class under another path
      if (last_part(candidate) == last_part(name) && near.size() < 3) near.push_back(candidate);
    }
    for (auto& candidate : nearest_names(name, known)) {
      if (near.size() < 3 && std::find(near.begin(), near.end(), candidate) == near.end())
        near.push_back(std::move(candidate));
    }
    std::string seen(name), next;
    if (const auto elsewhere = claims.find(name); elsewhere != claims.end()) {
      seen += " (of kind " + std::string(kind_name(elsewhere->second.front().component->kind)) + ", in " +
              elsewhere->second.front().slot->record.file + ")";
    }
    std::vector<std::string> folders;
    for (const auto& folder : path->folders) folders.push_back(folder.path);
    size_t refused = 0;
    for (const auto& slot : slots) refused += slot.record.refusal.empty() ? 0 : 1;
    if (slots.empty()) {
      next = "no plugin was found in " + (folders.empty() ? std::string("any folder") : join(folders, ", ")) +
             ": give --plugin-dir or FATHOM_PLUGIN_PATH";
    } else {
      next = "`fathom plugins list` shows what there is; plugins are looked for in " +
             (folders.empty() ? std::string("no folder") : join(folders, ", "));
      if (refused > 0) next += "; " + std::to_string(refused) + " refused";
    }
    if (const auto absent = absent_class(name)) {
      return Error(Code::kUnavailable, "this class of NeMo's is not supported: " + absent->what)
          .at(where)
          .seen(std::string(name))
          .next(absent->instead);
    }
    return Error(slots.empty() ? Code::kUnavailable : Code::kFailed,
                 "no plugin gives the " + kinds_text(kinds) + " '" + std::string(name) + "'")
        .at(where)
        .seen(std::move(seen))
        .candidates(near)
        .next(std::move(next));
  }

  std::vector<std::string> names(uint32_t kinds, bool with_aliases) const {
    std::set<std::string> out;
    for (const auto& [name, list] : claims) {
      for (const auto& claim : list) {
        if ((kinds & kind_bit(claim.component->kind)) == 0) continue;
        if (with_aliases || claim.component->name == name) out.insert(name);
      }
    }
    return {out.begin(), out.end()};
  }

  void keep_loaded(Slot& slot, const LoadedPlugin& loaded_plugin) {
    slot.entry = loaded_plugin.entry;
    slot.record.loaded = true;
    for (const auto* component : loaded_plugin.components) {
      slot.components[{component->kind, to_string(component->name)}] = component;
    }
    loaded.push_back(&slot);
    if (!exit_hook) {
      exit_hook = true;
      std::atexit([] { registry().shutdown(); });
    }
  }

  void refuse(Slot& slot, const std::string& sentence) {
    slot.record.refusal = sentence;
    rebuild_claims();
  }

  const fathom_component* load(uint32_t kinds, std::string_view name, const std::string& where) {
    const Claim claim = find(kinds, name, where);
    Slot& slot = *claim.slot;
    if (!slot.record.loaded) {
      auto result = load_plugin(slot.record.file, slot.record.info);
      if (const auto* refusal = std::get_if<Refusal>(&result)) {
        refuse(slot, refusal->sentence(slot.record.file));
        Error error = refusal->error(slot.record.file);
        throw Error(error.code(), error.message())
            .at(slot.record.file)
            .seen(where.empty() ? "" : "needed by " + where)
            .next(error.next());
      }
      keep_loaded(slot, std::get<LoadedPlugin>(result));
    }
    const auto found = slot.components.find({claim.component->kind, claim.component->name});
    if (found == slot.components.end()) {
      throw Error(Code::kUnavailable, "the plugin describes the " + std::string(kind_name(claim.component->kind)) +
                                          " '" + claim.component->name + "' but does not register it")
          .at(slot.record.file)
          .next("build the plugin again with fathom_add_plugin()");
    }
    return found->second;
  }
};

PluginRegistry::PluginRegistry() : impl_(std::make_unique<Impl>()) {}
PluginRegistry::~PluginRegistry() = default;

void PluginRegistry::use_search_path(SearchPath path) {
  const std::lock_guard lock(impl_->mutex);
  // Loaded plugins stay: their code cannot go away. The others are looked for again.
  impl_->slots.remove_if([](const Slot& slot) { return !slot.record.loaded; });
  impl_->rebuild_claims();
  impl_->path = std::move(path);
  impl_->scanned = false;
}

void PluginRegistry::add_plugin_dir(const std::string& folder) {
  SearchRequest request;
  request.plugin_dirs = {folder};
  SearchPath more = resolve_search_path(request);
  const std::lock_guard lock(impl_->mutex);
  for (const auto& known : search_path().folders) {
    if (known.path != more.folders.front().path) more.folders.push_back(known);
  }
  more.refused = impl_->path->refused;
  use_search_path(std::move(more));
}

const SearchPath& PluginRegistry::search_path() {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->path) impl_->path = resolve_search_path(default_search_request());
  return *impl_->path;
}

void PluginRegistry::add_builtin(const fathom_plugin_entry* entry) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& slot : impl_->slots) {
    if (slot.builtin == entry) return;
  }
  const std::string file = "built in: " + to_string(entry->name);
  auto result = register_plugin(entry);
  if (const auto* refusal = std::get_if<Refusal>(&result)) throw refusal->error(file);
  auto& loaded = std::get<LoadedPlugin>(result);
  if (auto refusal = incompatibility(loaded.registered, host_versions())) throw refusal->error(file);
  Slot& slot = impl_->slots.emplace_front();
  slot.record = {file, "built in", std::move(loaded.registered), false, {}};
  slot.built_in = true;
  slot.builtin = entry;
  impl_->rebuild_claims();
  if (!slot.record.refusal.empty()) {
    const std::string sentence = slot.record.refusal;
    impl_->slots.pop_front();
    impl_->rebuild_claims();
    throw Error(Code::kFailed, "a name is given twice").at(file).seen(sentence);
  }
  impl_->keep_loaded(slot, loaded);
}

std::vector<PluginRecord> PluginRegistry::plugins() {
  const std::lock_guard lock(impl_->mutex);
  impl_->scan();
  std::vector<PluginRecord> out;
  for (const auto& slot : impl_->slots) out.push_back(slot.record);
  return out;
}

Found PluginRegistry::find(uint32_t kinds, std::string_view name, const std::string& where) {
  const std::lock_guard lock(impl_->mutex);
  const Claim claim = impl_->find(kinds, name, where);
  return {claim.component, claim.slot->record.info.name, claim.slot->record.file};
}

bool PluginRegistry::contains(uint32_t kinds, std::string_view name) {
  try {
    find(kinds, name);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<std::string> PluginRegistry::names(uint32_t kinds, bool with_aliases) {
  const std::lock_guard lock(impl_->mutex);
  impl_->scan();
  return impl_->names(kinds, with_aliases);
}

const fathom_component* PluginRegistry::load(uint32_t kinds, std::string_view name, const std::string& where) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->load(kinds, name, where);
}

fathom_object PluginRegistry::create(uint32_t kinds, const Json& section, const std::string& config_path,
                                     const Json& context) {
  Selection selection = select_component(kinds, section, config_path);
  const std::string where = child_key(config_path, selection.key);
  const Found found = find(kinds, selection.name, where);
  flatten_params(selection, found.component->schema, config_path);
  throw_problems(check_options(found.component->name, found.component->schema, selection.options, config_path));
  const fathom_component* component = load(kinds, selection.name, where);

  const std::string config_text = config_text_of(selection.options), context_text = json_text(context);
  const fathom_create_args args = {sizeof(fathom_create_args), to_abi(config_text),           to_abi(config_path),
                                   to_abi(context_text),       to_abi(found.component->name), to_abi(found.plugin)};
  fathom_object object{component, nullptr};
  try {
    check(component->create(&args, &object.self));
  } catch (Error& error) {
    error.locate(config_path);
    throw;
  }
  if (object.self == nullptr) {
    throw Error(Code::kInternal, "the plugin made no '" + found.component->name + "' and gave no reason")
        .at(found.file);
  }
  return object;
}

std::vector<Error> PluginRegistry::validate_section(uint32_t kinds, const Json& section, const std::string& config_path,
                                                    const Locate& locate, Gaps gaps) {
  const auto place = [&](const std::string& key) {
    const std::string written = locate ? locate(key) : std::string();
    return written.empty() ? key : written;
  };
  try {
    Selection selection = select_component(kinds, section, place(config_path));
    const Found found = find(kinds, selection.name, place(child_key(config_path, selection.key)));
    flatten_params(selection, found.component->schema, place(config_path));
    // Options of a `params` map are written one level deeper.
    const bool deeper = section.contains("params") && !selection.options.contains("params");
    const Locate place_of = [&](const std::string& key) {
      const bool moved = deeper && key.size() > config_path.size() && !section.contains(first_key(key, config_path));
      return place(moved ? child_key(config_path, "params" + std::string(config_path.empty() ? "." : "") +
                                                      key.substr(config_path.size()))
                         : key);
    };
    return check_options(found.component->name, found.component->schema, selection.options, config_path, place_of,
                         gaps);
  } catch (Error& error) {
    return {std::move(error)};
  }
}

void PluginRegistry::shutdown() {
  std::vector<Slot*> order;
  {
    const std::lock_guard lock(impl_->mutex);
    order.assign(impl_->loaded.rbegin(), impl_->loaded.rend());
    impl_->loaded.clear();
  }
  for (Slot* slot : order) {
    if (slot->entry->shutdown != nullptr) slot->entry->shutdown();
  }
}

PluginRegistry& registry() {
  static auto* instance = new PluginRegistry();
  return *instance;
}

}  // namespace fathom::plugins
