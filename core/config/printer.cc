#include "core/config/printer.h"

#include <algorithm>
#include <cmath>

#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/evaluation.h"
#include "core/config/python_text.h"
#include "core/config/yaml_emitter.h"
#include "fathom/utf8.h"

namespace fathom::config {
namespace {

std::string quoted(std::string_view text, bool bytes) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    char buffer[16];
    char32_t code = c;
    size_t length = bytes ? 1 : utf8::decode(text, i, &code);
    if (length == 0) length = 1;
    if (c == '\\' || c == static_cast<unsigned char>(quote)) {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (code < 0x20 || code == 0x7F || (bytes && c >= 0x80) || (code >= 0x80 && code < 0xA1) || code == 0xAD) {
      std::snprintf(buffer, sizeof(buffer), "\\x%02x", static_cast<unsigned>(code));
      out += buffer;
    } else if (code == 0x2028 || code == 0x2029 || code == 0x200B || code == 0x3000 || code == 0xFEFF) {
      std::snprintf(buffer, sizeof(buffer), "\\u%04x", static_cast<unsigned>(code));
      out += buffer;
    } else {
      out += text.substr(i, length);
    }
    i += length;
  }
  return out + quote;
}

std::string scalar_str(const Scalar& value, bool repr) {
  return std::visit(
      [repr](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return "None";
        } else if constexpr (std::is_same_v<T, bool>) {
          return v ? "True" : "False";
        } else if constexpr (std::is_same_v<T, int64_t>) {
          return std::to_string(v);
        } else if constexpr (std::is_same_v<T, double>) {
          return python_float_text(v);
        } else if constexpr (std::is_same_v<T, std::string>) {
          return repr ? quoted(v, false) : v;
        } else if constexpr (std::is_same_v<T, Bytes>) {
          return "b" + quoted(v.data, true);
        } else {
          const std::string name = v.type.empty() ? v.name : v.type + "." + v.name;
          return repr ? "<" + name + ">" : name;
        }
      },
      value);
}

void emit(YamlEmitter& emitter, const Node& node);

void emit_scalar(YamlEmitter& emitter, const Scalar& value) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          emitter.plain("null");
        } else if constexpr (std::is_same_v<T, bool>) {
          emitter.plain(v ? "true" : "false");
        } else if constexpr (std::is_same_v<T, int64_t>) {
          emitter.plain(std::to_string(v));
        } else if constexpr (std::is_same_v<T, double>) {
          emitter.plain(yaml_float_text(v));
        } else if constexpr (std::is_same_v<T, std::string>) {
          emitter.string(v);
        } else if constexpr (std::is_same_v<T, Bytes>) {
          emitter.binary(v.data);
        } else {
          emitter.string(v.name);
        }
      },
      value);
}

void emit(YamlEmitter& emitter, const Node& node) {
  switch (node.kind()) {
    case Node::Kind::kScalar: emit_scalar(emitter, node.value()); return;
    case Node::Kind::kList:
      emitter.begin_list(node.size() == 0);
      for (const auto& item : node.items()) {
        emitter.item();
        emit(emitter, item);
      }
      emitter.end();
      return;
    case Node::Kind::kMap:
      emitter.begin_map(node.size() == 0);
      for (const auto& [key, value] : node.entries()) {
        emitter.begin_key();
        emit_scalar(emitter, key.value);
        emitter.begin_value();
        emit(emitter, value);
      }
      emitter.end();
      return;
  }
}

}  // namespace

std::string to_yaml(const Node& node, const PrintOptions& options) {
  Node resolved;
  const Node* printed = &node;
  if (options.resolve) {
    const ResolverRegistry& resolvers = options.resolvers != nullptr ? *options.resolvers : default_resolvers();
    resolved = options.root != nullptr ? to_container(*options.root, options.path, {}, resolvers)
                                       : to_container(node, {}, resolvers);
    printed = &resolved;
  }
  YamlEmitter emitter;
  emit(emitter, *printed);
  return emitter.finish();
}

std::string python_str(const Node& node) {
  return node.is_scalar() ? scalar_str(node.value(), false) : python_repr(node);
}

std::string python_repr(const Node& node) {
  if (node.is_scalar()) return scalar_str(node.value(), true);
  std::string out = node.is_list() ? "[" : "{";
  for (const auto& item : node.items()) out += (out.size() == 1 ? "" : ", ") + python_repr(item);
  for (const auto& [key, value] : node.entries()) {
    out += (out.size() == 1 ? "" : ", ") + scalar_str(key.value, true) + ": " + python_repr(value);
  }
  return out + (node.is_list() ? "]" : "}");
}

}  // namespace fathom::config
