// YAML text to a tree, typed as OmegaConf types it (YAML 1.1 as PyYAML's safe loader reads it, with OmegaConf's float
// rule and without timestamps).
//
// Errors are ConfigError of kind ScannerError, ParserError, ComposerError, ConstructorError, KeyValidationError or
// GrammarParseError, each with "file:line:column". Thread-safe: no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.h"

namespace fathom::config {

struct LoadOptions {
  size_t max_depth = 200;              // nested containers
  size_t max_alias_nodes = 1'000'000;  // nodes made by expanding aliases: stops "billion laughs"
  bool check_interpolations = true;    // refuse strings with ${ that are no interpolation, as OmegaConf does
  // Also as the argument of OmegaConf.create: a document that is one string becomes {string: null}, an empty one {}.
  bool container_only = true;
  // Receives "file:line:col: text" for what is legal but surely not meant: base-60 numbers, octal numbers, dotted keys.
  std::vector<std::string>* warnings = nullptr;
};

// `source_name` is what origins and errors call the text. The result is a map or a list; with container_only off, any.
Node load_yaml_text(std::string_view text, const std::string& source_name, const LoadOptions& options = {});
// Throws fathom::Error kNoInput when the file cannot be read.
Node load_yaml_file(const std::string& path, const LoadOptions& options = {});

// The value of one plain (unquoted) YAML scalar. Throws ConfigError ConstructorError for integers beyond 64 bits and
// for the two scalars PyYAML cannot construct ("=" and "<<" as values).
Scalar parse_plain_scalar(std::string_view text);

}  // namespace fathom::config
