// fathom-describe PLUGIN.so [-o FILE]: loads a freshly linked plugin, lets it register, and writes its description as
// JSON. fathom_add_plugin() runs it after linking and embeds the result in the ELF section `.fathom.plugin`.
//
// It stands alone, without the host's libraries, so that building a plugin needs only the SDK. Of the host's table it
// offers what registration may use; anything that would need a running program answers FATHOM_UNAVAILABLE.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "core/plugins/child_process.h"
#include "core/plugins/kind.h"
#include "core/plugins/plugin_info.h"
#include "fathom/abi/module.h"

namespace {

using fathom::Code;
using fathom::Error;
using fathom::Json;
using fathom::plugins::kind_name;

struct Recorded {
  Json element_types = Json::array();
  std::vector<const fathom_component*> components;
  std::vector<std::string> types;  // interned neural types; the id is the position + 1
  fathom_error error{};
  std::string parts[6];
};
Recorded& recorded() {
  static auto* instance = new Recorded();
  return *instance;
}

void set_error(const fathom_error* error) {
  auto& r = recorded();
  const fathom_str from[6] = {error->what, error->where, error->seen, error->expected, error->candidates, error->next};
  for (int i = 0; i < 6; ++i) r.parts[i] = fathom::to_string(from[i]);
  r.error = {sizeof(fathom_error),       error->code,
             fathom::to_abi(r.parts[0]), fathom::to_abi(r.parts[1]),
             fathom::to_abi(r.parts[2]), fathom::to_abi(r.parts[3]),
             fathom::to_abi(r.parts[4]), fathom::to_abi(r.parts[5])};
}
const fathom_error* last_error() { return recorded().error.struct_size == 0 ? nullptr : &recorded().error; }

fathom_status not_here(const char* what) {
  return fathom::report(Error(
      Code::kUnavailable, std::string(what) + " needs a running program: not possible while a plugin is described"));
}

void log_text(int32_t, fathom_str component, fathom_str text) {
  std::fprintf(stderr, "[%.*s] %.*s\n", static_cast<int>(component.len), component.ptr, static_cast<int>(text.len),
               text.ptr);
}
fathom_status intern_type(fathom_str json, fathom_type_id* id) {
  auto& types = recorded().types;
  const std::string text = fathom::to_string(json);
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == text) {
      *id = static_cast<fathom_type_id>(i + 1);
      return FATHOM_OK;
    }
  }
  types.push_back(text);
  *id = static_cast<fathom_type_id>(types.size());
  return FATHOM_OK;
}
void type_text(fathom_type_id id, const fathom_text_sink* out) {
  const auto& types = recorded().types;
  if (id >= 1 && id <= types.size()) fathom::write(out, types[id - 1]);
}
fathom_status register_element_type(fathom_str json) {
  return fathom::guard(
      [&] { recorded().element_types.push_back(fathom::parse_json(json, "an element type's definition")); });
}
fathom_status register_axis_kind(fathom_str) { return FATHOM_OK; }  // types are recorded with their labels
fathom_status check_ports(uint32_t, fathom_str, const fathom_ports*, const fathom_named_value*, size_t) {
  return not_here("a typed call");
}
fathom_status create(uint32_t, fathom_str, fathom_str, fathom_str, fathom_object*) {
  return not_here("making a component");
}
int32_t thread_budget() { return 1; }
int32_t cancelled() { return 0; }
fathom_status intern_source(fathom_str, fathom_str, uint32_t* id) {
  *id = 0;  // only messages of typed calls need it
  return FATHOM_OK;
}
const void* get_extension(fathom_str) { return nullptr; }

const fathom_host kHost = {
    sizeof(fathom_host), FATHOM_ABI_MAJOR, FATHOM_ABI_MINOR,       &set_error,          &last_error,  &log_text,
    &intern_type,        &type_text,       &register_element_type, &register_axis_kind, &check_ports, &create,
    &thread_budget,      &cancelled,       &intern_source,         &get_extension};

fathom_status add(void*, const fathom_component* component) {
  return fathom::guard([&] { recorded().components.push_back(fathom::plugins::checked_component(*component)); });
}

// A config of the required options alone: the examples that the author gave (OptionSet::example), else ones and empty
// texts and lists.
Json example_config(const Json& schema) {
  Json config = Json::object();
  for (const auto& option : schema.value("options", Json::array())) {
    if (!option.value("required", false)) continue;
    const std::string type = option["type"];
    Json value = option.value("example", Json());
    if (value.is_null() && (type == "int" || type == "float")) value = 1;
    if (value.is_null() && type == "bool") value = false;
    if (value.is_null() && type == "str") value = "";
    if (value.is_null() && type.starts_with("list")) value = Json::array();
    if (value.is_null() && (type.starts_with("dict") || type == "object")) value = Json::object();
    config[option["name"].get<std::string>()] = std::move(value);
  }
  return config;
}

// The ports of a module, for `plugins info` and the reference pages. It is made in a child process: one that cannot be
// made alone, or crashes, goes without.
Json ports_of(const fathom_component& component) {
  const std::string config = fathom::json_text(example_config(fathom::parse_text(fathom::to_view(component.schema))));
  const auto result = fathom::plugins::run_in_child(
      [&]() -> std::string {
        const fathom_create_args args = {sizeof(fathom_create_args), fathom::to_abi(config), fathom::to_abi(""),
                                         fathom::to_abi("{}"),       component.name,         {}};
        void* self = nullptr;
        if (component.create(&args, &self) != FATHOM_OK) return {};
        const auto& table = *static_cast<const fathom_module_v1*>(component.vtable);
        fathom_ports in{}, out{};
        if (table.ports(self, &in, &out) != FATHOM_OK) return {};
        const auto list = [](const fathom_ports& given) {
          Json all = Json::array();
          const fathom::ArrayView<fathom_ports> ports(given);
          for (size_t i = 0; i < ports.size(); ++i) {
            Json port = {{"name", fathom::to_string(ports[i].name)},
                         {"type", fathom::parse_text(recorded().types.at(ports[i].type - 1))}};
            if (ports[i].optional != 0) port["optional"] = true;
            if (ports[i].list_depth != 0) port["list_depth"] = ports[i].list_depth;
            all.push_back(std::move(port));
          }
          return all;
        };
        return fathom::json_text(Json{{"inputs", list(in)}, {"outputs", list(out)}});
      },
      20);
  return result.finished && !result.text.empty() ? fathom::parse_text(result.text) : Json(nullptr);
}

void add_ports(fathom::plugins::PluginInfo& info, const std::vector<const fathom_component*>& components) {
  for (size_t i = 0; i < components.size(); ++i) {
    auto& provided = info.provides[i];
    if ((provided.kind != FATHOM_KIND_MODULE && provided.kind != FATHOM_KIND_LOSS) ||
        provided.schema.contains("inputs"))
      continue;
    if (const Json ports = ports_of(*components[i]); !ports.is_null()) provided.schema.update(ports);
  }
}

std::string describe(const std::string& file) {
  fathom::host_slot() = &kHost;
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw Error(Code::kUnavailable, std::string("the plugin does not load: ") + ::dlerror()).at(file);
  const auto* entry = static_cast<const fathom_plugin_entry*>(::dlsym(library, FATHOM_PLUGIN_ENTRY_NAME));
  if (entry == nullptr) {
    throw Error(Code::kBadData, "the library exports no " FATHOM_PLUGIN_ENTRY_NAME)
        .at(file)
        .next("write FATHOM_PLUGIN(…) in one of its files");
  }
  if (entry->magic != FATHOM_PLUGIN_MAGIC || entry->struct_size < offsetof(fathom_plugin_entry, query) ||
      entry->register_all == nullptr) {
    throw Error(Code::kBadData, FATHOM_PLUGIN_ENTRY_NAME " is no plugin descriptor of this SDK").at(file);
  }
  const fathom_registrar registrar = {sizeof(fathom_registrar), nullptr, &add};
  fathom::check(entry->register_all(&kHost, &registrar));
  fathom::plugins::check_unique(recorded().components);
  auto info = fathom::plugins::describe_plugin(*entry, recorded().components, recorded().element_types);
  add_ports(info, recorded().components);
  const std::string text = fathom::json_text(fathom::plugins::to_json(info));
  fathom::plugins::parse_plugin_info(text);  // what is embedded must be readable
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool to_file = words.size() == 3 && words[1] == "-o";
  if (words.size() != 1 && !to_file) {
    std::fprintf(stderr, "usage: fathom-describe PLUGIN.so [-o FILE]\n");
    return FATHOM_USAGE;
  }
  try {
    const std::string text = describe(words[0]);
    if (!to_file) {
      std::cout << text << '\n' << std::flush;
      return std::cout ? FATHOM_OK : FATHOM_IO;
    }
    std::ofstream out(words[2], std::ios::binary | std::ios::trunc);
    out << text << std::flush;
    if (!out) throw Error(Code::kCantCreate, "cannot write the description").at(words[2]);
    return FATHOM_OK;
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n  at: %s\n", error.what(), words[0].c_str());
    return FATHOM_INTERNAL;
  }
}

FATHOM_JSON_TEXT;
