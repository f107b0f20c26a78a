// Resolvers: the functions behind ${name:arg,…}.
//
// Built in: oc.env oc.decode oc.create oc.select oc.deprecated oc.dict.keys oc.dict.values, Hydra's now and hydra, and
// NeMo's multiply, sum, gpu_name. A registry is filled once, before configs are read; reading it
// from many threads is safe, changing it is not.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.h"

namespace fathom::config {

class Evaluation;  // one read in progress, see evaluation.h
class ResolverRegistry;

// What a resolver may look at besides its arguments.
class ResolverContext {
 public:
  explicit ResolverContext(Evaluation& evaluation, const void* place) : evaluation_(evaluation), place_(place) {}

  const Node& root() const;
  const Node* parent() const;    // the container of the interpolation; null for a root
  std::string full_key() const;  // of the interpolation
  // OmegaConf.select from the place of the interpolation: relative keys (".x") work. Resolved; false when absent or
  // missing.
  bool select(std::string_view key, Node* value) const;
  // The same without resolving what is inside a container.
  bool select_unresolved(std::string_view key, Node* value, std::string* full_key) const;
  // The root that has the `hydra` key ${hydra:…} reads; null outside of a run.
  const Node* hydra() const;
  const ResolverRegistry& registry() const;
  // Parses `text` with the grammar of resolver arguments (oc.decode) and evaluates interpolations in it.
  Node decode(std::string_view text) const;

 private:
  Evaluation& evaluation_;
  const void* place_;
};

// Throws ConfigError or any std::exception; the reader adds the key and the interpolation's text.
using ResolverFunction = std::function<Node(const std::vector<Node>& args, const ResolverContext& context)>;

class ResolverRegistry {
 public:
  ResolverRegistry() = default;

  // `name` is an identifier or several joined by dots. Throws ConfigError ValueError for an empty name, and for one
  // that is taken unless `replace`.
  void add(const std::string& name, ResolverFunction function, bool replace = false);
  void remove(const std::string& name) { functions_.erase(name); }
  const ResolverFunction* find(std::string_view name) const;
  std::vector<std::string> names() const;  // sorted

  // More resolvers, made by `fill` when a name is first looked for in vain: finding plugins takes time that most
  // configs need not spend. A name that both have is an error of that look-up.
  void add_late(std::function<void(ResolverRegistry&)> fill);

  // The built-ins. ${now:…} gives the time of the first use in the process, in every format.
  static ResolverRegistry with_builtins();
  // A tree with a key `hydra`, which answers ${hydra:path}. Null: ${hydra:…} is an error.
  std::shared_ptr<const Node> hydra_config;

 private:
  struct Late;
  const ResolverRegistry* late() const;

  std::map<std::string, ResolverFunction, std::less<>> functions_;
  std::shared_ptr<Late> late_;  // shared by copies
};

// with_builtins(), made once.
const ResolverRegistry& default_resolvers();
// add_late() for the default ones. To be called before they are first used.
void add_late_default_resolvers(std::function<void(ResolverRegistry&)> fill);

// Writes into what `registry` has the resolvers of NeMo's and Hydra's scripts.
void add_builtin_resolvers(ResolverRegistry& registry);

}  // namespace fathom::config
