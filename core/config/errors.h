// ConfigError: a fathom::Error that also carries the name Hydra or OmegaConf has for it and the key it is about.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/node.h"
#include "fathom/error.h"

namespace fathom::config {

class ConfigError : public Error {
 public:
  // `kind` is the class name a user of Hydra knows: "ConfigKeyError", "ValidationError", "InterpolationKeyError" …
  ConfigError(std::string kind, std::string what, std::string full_key = {})
      : Error(Code::kFailed, with_key(what, full_key)),
        kind_(std::move(kind)),
        bare_(std::move(what)),
        full_key_(std::move(full_key)) {}

  const std::string& kind() const { return kind_; }
  // The message without the key.
  const std::string& bare_message() const { return bare_; }
  // "a.b[0]"; empty when the error is about no key or about the root.
  const std::string& full_key() const { return full_key_; }
  // The kind of the error this one was made from (a failed override carries the validation error's kind); may be empty.
  const std::string& cause() const { return cause_; }

  // Error's builders, without slicing.
  ConfigError&& with_where(std::string where) && { return keep(std::move(*this).at(std::move(where))); }
  ConfigError&& with_where(const Origin& origin) && { return keep(std::move(*this).at(origin.text())); }
  ConfigError&& with_seen(std::string value) && { return keep(std::move(*this).seen(std::move(value))); }
  ConfigError&& with_expected(std::string text) && { return keep(std::move(*this).expected(std::move(text))); }
  ConfigError&& with_candidates(const std::vector<std::string>& names) && {
    return keep(std::move(*this).candidates(names));
  }
  ConfigError&& with_next(std::string step) && { return keep(std::move(*this).next(std::move(step))); }
  ConfigError&& with_cause(std::string kind) && {
    cause_ = std::move(kind);
    return std::move(*this);
  }

 private:
  static std::string with_key(std::string what, const std::string& key) {
    if (!key.empty()) what += "\n    full_key: " + key;
    return what;
  }
  ConfigError&& keep(Error&&) { return std::move(*this); }

  std::string kind_, bare_, full_key_, cause_;
};

// A path that goes on below a value: `a.b` where a is 1. Who asks whether there is something takes it for "no".
class PathThroughValueError final : public ConfigError {
 public:
  PathThroughValueError(std::string_view path, const std::string& value_key, const std::string& part,
                        const Origin& origin)
      : ConfigError("ConfigTypeError", "Error trying to access " + std::string(path) + ": node `" + value_key +
                                           "` is not a container and thus cannot contain `" + part + "`") {
    std::move(*this).with_where(origin);
  }
};

// The names among `map`'s string keys that are close to `key`, best first: for "did you mean".
std::vector<std::string> nearest_keys(const Node& map, std::string_view key);

}  // namespace fathom::config
