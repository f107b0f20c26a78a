#include "core/model_files/model_class.h"

#include "core/plugins/kind.h"
#include "core/plugins/registry.h"

namespace fathom::model_files {

std::string nemo_target(const std::string& name) {
  constexpr uint32_t kModels = plugins::kind_bit(FATHOM_KIND_MODEL);
  if (!plugins::registry().contains(kModels, name)) return name;
  const auto found = plugins::registry().find(kModels, name);
  for (const auto& alias : found.component->aliases) {
    if (alias.starts_with("nemo.collections.")) return alias;
  }
  return name;
}

}  // namespace fathom::model_files
