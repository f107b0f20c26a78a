// Resolvers that plugins bring, among those of the config: ${name:args} calls the component of kind `resolver` with
// that name.
#pragma once

#include "core/config/resolver.h"

namespace fathom::plugins {

// Adds every resolver the registry's plugins describe, under its name and aliases. Nothing is loaded before the first
// use of one; its object then lives as long as the process. Throws ConfigError when a name is one of the built-in
// resolvers'.
void register_plugin_resolvers(config::ResolverRegistry& resolvers);

}  // namespace fathom::plugins
