#include "core/plugins/plugin_resolvers.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/config/json.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "fathom/abi/resolver.h"

namespace fathom::plugins {
namespace {

// Made at the first call; then read by all threads.
class PluginResolver {
 public:
  explicit PluginResolver(std::string name) : name_(std::move(name)) {}

  config::Node call(const std::vector<config::Node>& arguments) {
    std::call_once(made_, [&] {
      handle_ = Handle<fathom_resolver_v1>(
          registry().create(kind_bit(FATHOM_KIND_RESOLVER), {{"_target_", name_}}, "resolver " + name_));
    });
    Json words = Json::array();
    for (const auto& argument : arguments) words.push_back(config::to_json(argument));
    const std::string text = json_text(words);
    const std::string result = read_text(
        [&](const fathom_text_sink* sink) { return handle_.vtable().call(handle_.self(), to_abi(text), sink); });
    try {
      return config::from_json(parse_text(result));
    } catch (const nlohmann::json::exception& error) {
      throw Error(Code::kInternal, "the resolver '" + name_ + "' did not answer with JSON").seen(result);
    }
  }

 private:
  std::string name_;
  std::once_flag made_;
  Handle<fathom_resolver_v1> handle_;
};

}  // namespace

void register_plugin_resolvers(config::ResolverRegistry& resolvers) {
  for (const auto& plugin : registry().plugins()) {
    if (!plugin.refusal.empty()) continue;
    for (const auto& component : plugin.info.provides) {
      if (component.kind != FATHOM_KIND_RESOLVER) continue;
      // Leaked: the plugin stays loaded, and resolvers are copied into registries of unknown life.
      auto* resolver = new PluginResolver(component.name);
      const auto function = [resolver](const std::vector<config::Node>& arguments, const config::ResolverContext&) {
        return resolver->call(arguments);
      };
      resolvers.add(component.name, function);
      for (const auto& alias : component.aliases) resolvers.add(alias, function);
    }
  }
}

}  // namespace fathom::plugins
