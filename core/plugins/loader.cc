#include "core/plugins/loader.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

// Boost.DLL's library_info uses std::vector without including it.
#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

#include "core/plugins/elf_section.h"
#include "core/plugins/host_table.h"
#include "core/plugins/search_path.h"
#include "fathom/plugin.h"

#ifndef FATHOM_HOST_LIBTORCH
#error "FATHOM_HOST_LIBTORCH must be the version of libtorch this program is built with"
#endif

namespace fathom::plugins {
namespace {

constexpr const char* kRebuild = "rebuild the plugin with this program's SDK (fathom_add_plugin)";

std::string demangled(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                         &std::free);
  return status == 0 && text != nullptr ? text.get() : symbol;
}

std::string after(const std::string& text, const std::string& marker) {
  const size_t at = text.find(marker);
  if (at == std::string::npos) return {};
  const size_t begin = at + marker.size();
  return text.substr(begin, text.find_first_of(" \n,:()", begin) - begin);
}

// The dynamic linker's words in ours.
Refusal linker_refusal(const std::string& text, const std::string& file) {
  for (const char* marker : {"undefined symbol: ", "version lookup error: "}) {
    if (const std::string symbol = after(text, marker); !symbol.empty()) {
      return {"needs the function or variable '" + demangled(symbol) +
                  "', which neither this program nor its libraries have",
              kRebuild};
    }
  }
  if (const size_t end = text.find(": cannot open shared object file"); end != std::string::npos) {
    const size_t begin = text.find_last_of(" \"(", end);
    const std::string library =
        text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1));
    if (library != file) {
      return {"needs the library " + library + ", which is not found",
              "install it, or put it beside the plugin (its RUNPATH is $ORIGIN)"};
    }
  }
  return {"cannot be loaded: " + text, kRebuild};
}

std::string folder_of_this_library() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&host_versions), &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code failed;
  const auto file = std::filesystem::canonical(info.dli_fname, failed);
  return failed ? std::string() : file.parent_path().string();
}

// The plugin's libtorch must be the program's. The engine library brings it and knows where it lies; without an engine
// beside this library (a tool, a test) the plugin's own RUNPATH decides.
void map_libtorch() {
  if (::dlopen("libtorch_cpu.so", RTLD_NOW | RTLD_NOLOAD) != nullptr) return;
  const std::string engine = folder_of_this_library() + "/libfathom_engine.so";
  struct stat info {};
  if (::stat(engine.c_str(), &info) != 0) return;
  ::dlopen(engine.c_str(),
           RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);  // when it fails, loading the plugin says what is missing
}

// A second libtorch in one process aborts when it registers its operators.
std::optional<Refusal> bundled_libtorch(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  for (const auto& place : {folder, folder / "lib"}) {
    for (const char* name : {"libtorch_cpu.so", "libc10.so", "libtorch.so"}) {
      std::error_code failed;
      if (std::filesystem::exists(place / name, failed)) {
        return Refusal{
            "brings a libtorch of its own (" + (place / name).string() + "), but a process can have only one",
            "remove that copy"};
      }
    }
  }
  return std::nullopt;
}

fathom_status add(void* ctx, const fathom_component* component) {
  return guard(
      [&] { static_cast<std::vector<const fathom_component*>*>(ctx)->push_back(checked_component(*component)); });
}

}  // namespace

const HostVersions& host_versions() {
  static const HostVersions versions{FATHOM_ABI_MAJOR, FATHOM_ABI_MINOR, FATHOM_HOST_LIBTORCH, build_cxx_tag()};
  return versions;
}

Inspected inspect_plugin(const std::string& file, const HostVersions& host) {
  Inspected out;
  try {
    if (const std::string reason = writable_by_everybody(file); !reason.empty()) {
      out.refusal = Refusal{"is not safe to load: " + reason, "chmod o-w it, or move it to another folder"};
      return out;
    }
    const auto text = read_elf_section(file, kDescriptionSection);
    if (!text) {
      out.refusal = Refusal{"carries no plugin description (section .fathom.plugin)",
                            "build it with fathom_add_plugin() of the SDK"};
      return out;
    }
    out.info = parse_plugin_info(*text);
    out.refusal = incompatibility(out.info, host);
    if (!out.refusal && out.info.torch_use != FATHOM_TORCH_NONE) out.refusal = bundled_libtorch(file);
  } catch (const Error& error) {
    std::string reason = error.message();
    if (error.code() == Code::kBadData && !error.where().empty() && error.where() != file) {
      reason += ": " + error.where() + (error.expected().empty() ? "" : " ought to be " + error.expected());
    } else if (!error.seen().empty()) {
      reason += ": " + error.seen();
    }
    out.refusal = Refusal{"cannot be used: " + reason, "build it again with fathom_add_plugin() of the SDK"};
  }
  return out;
}

std::variant<LoadedPlugin, Refusal> register_plugin(const fathom_plugin_entry* given) {
  const auto* entry = new fathom_plugin_entry(filled(given));  // for good, as the plugin
  LoadedPlugin out{entry, {}, {}};
  RegistrationScope scope(to_view(entry->name));
  const fathom_registrar registrar = {sizeof(fathom_registrar), &out.components, &add};
  try {
    check(entry->register_all(host_table(), &registrar));
    check_unique(out.components);
    out.registered = describe_plugin(*entry, out.components, scope.element_types());
    return out;
  } catch (const Error& error) {
    std::string text = error.message();
    for (const auto* part : {&error.where(), &error.seen(), &error.expected()}) {
      if (!part->empty()) text += " (" + *part + ")";
    }
    return Refusal{"failed while registering: " + text, "report it to the plugin's author, or remove the plugin"};
  } catch (const std::exception& error) {  // an exception must not cross; one that does ends here
    return Refusal{"threw an exception while registering: " + std::string(error.what()),
                   "report it to the plugin's author"};
  } catch (...) {
    return Refusal{"threw an exception of unknown type while registering", "report it to the plugin's author"};
  }
}

std::variant<LoadedPlugin, Refusal> load_plugin(const std::string& file, const PluginInfo& info,
                                                const HostVersions& host) {
  if (info.torch_use != FATHOM_TORCH_NONE) map_libtorch();
  // Leaked on purpose: its destructor would unmap the plugin.
  auto* library = new boost::dll::shared_library();
  try {
    library->load(std::filesystem::path(file), boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {  // its text holds the dynamic linker's
    delete library;
    return linker_refusal(error.what(), file);
  }
  if (!library->has(FATHOM_PLUGIN_ENTRY_NAME)) {
    return Refusal{"is a shared library without " FATHOM_PLUGIN_ENTRY_NAME,
                   "write FATHOM_PLUGIN(…) in one of its files"};
  }
  const auto* entry = &library->get<const fathom_plugin_entry>(FATHOM_PLUGIN_ENTRY_NAME);
  if (entry->magic != FATHOM_PLUGIN_MAGIC || entry->struct_size < offsetof(fathom_plugin_entry, query) ||
      entry->register_all == nullptr) {
    return Refusal{"has a " FATHOM_PLUGIN_ENTRY_NAME " that is no plugin descriptor (wrong magic or size)", kRebuild};
  }
  // The description may be older than the code.
  const PluginInfo actual = describe_plugin(filled(entry), {}, Json::array());
  if (auto refusal = incompatibility(actual, host)) return *refusal;
  auto result = register_plugin(entry);
  if (const auto* loaded = std::get_if<LoadedPlugin>(&result);
      loaded != nullptr && info.name != loaded->registered.name) {
    return Refusal{"calls itself '" + loaded->registered.name + "' but is described as '" + info.name + "'", kRebuild};
  }
  return result;
}

}  // namespace fathom::plugins
