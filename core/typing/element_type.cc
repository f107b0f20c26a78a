#include "core/typing/element_type.h"

#include <array>
#include <deque>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "core/base/text.h"
#include "core/typing/json_fields.h"
#include "fathom/error.h"
#include "fathom/json.h"
#include "fathom/utf8.h"

namespace fathom::typing {
namespace {

struct BuiltinClass {
  std::string_view name;
  std::string_view parent;
  std::string_view param = {};  // its one parameter, None by default
};

// A parent stands before its children.
constexpr std::array kBuiltins = {
    BuiltinClass{"VoidType", "ElementType"},
    BuiltinClass{"ChannelType", "ElementType"},
    BuiltinClass{"EmbeddedTextType", "ChannelType"},
    BuiltinClass{"LogitsType", "ElementType"},
    BuiltinClass{"ProbsType", "ElementType"},
    BuiltinClass{"LogprobsType", "ElementType"},
    BuiltinClass{"LabelsType", "ElementType"},
    BuiltinClass{"HypothesisType", "LabelsType"},
    BuiltinClass{"LengthsType", "ElementType"},
    BuiltinClass{"LossType", "ElementType"},
    BuiltinClass{"EncodedRepresentation", "ChannelType"},
    BuiltinClass{"AcousticEncodedRepresentation", "EncodedRepresentation"},
    BuiltinClass{"AudioSignal", "ElementType", "freq"},
    BuiltinClass{"VideoSignal", "ElementType", "fps"},
    BuiltinClass{"SpectrogramType", "ChannelType"},
    BuiltinClass{"MelSpectrogramType", "SpectrogramType"},
    BuiltinClass{"MFCCSpectrogramType", "SpectrogramType"},
    BuiltinClass{"PredictionsType", "LabelsType"},
    BuiltinClass{"RegressionValuesType", "PredictionsType"},
    BuiltinClass{"CategoricalValuesType", "PredictionsType"},
    BuiltinClass{"MaskType", "PredictionsType"},
    BuiltinClass{"Index", "ElementType"},
    BuiltinClass{"Target", "ElementType"},
    BuiltinClass{"ClassificationTarget", "Target"},
    BuiltinClass{"ImageValue", "ElementType"},
    BuiltinClass{"NormalizedImageValue", "ImageValue"},
    BuiltinClass{"ImageFeatureValue", "ImageValue"},
    BuiltinClass{"StringType", "ElementType"},
    BuiltinClass{"StringLabel", "StringType"},
    BuiltinClass{"BoolType", "ElementType"},
    BuiltinClass{"IntType", "ElementType"},
    BuiltinClass{"FloatType", "ElementType"},
    BuiltinClass{"TokenIndex", "IntType"},
    BuiltinClass{"Length", "IntType"},
    BuiltinClass{"ProbabilityDistributionSamplesType", "ElementType"},
    BuiltinClass{"NormalDistributionSamplesType", "ProbabilityDistributionSamplesType"},
    BuiltinClass{"SequenceToSequenceAlignmentType", "ElementType"},
    BuiltinClass{"NormalDistributionMeanType", "ElementType"},
    BuiltinClass{"NormalDistributionLogVarianceType", "ElementType"},
    BuiltinClass{"TokenDurationType", "ElementType"},
    BuiltinClass{"TokenLogDurationType", "ElementType"},
    BuiltinClass{"LogDeterminantType", "ElementType"},
};

struct Tree {
  std::shared_mutex mutex;
  std::deque<ElementClass> classes;                    // addresses stay
  std::deque<ElementTypeDefinition> definitions;       // as given, same order: to tell "same" from "other"
  std::unordered_map<std::string_view, size_t> index;  // name (inside classes) -> position

  Tree() {
    add({.name = "ElementType", .parent = {}}, nullptr, "nemo");
    for (const auto& builtin : kBuiltins) {
      ElementTypeDefinition definition{.name = std::string(builtin.name), .parent = std::string(builtin.parent)};
      if (!builtin.param.empty()) definition.params.emplace_back(std::string(builtin.param), ParamValue{});
      add(definition, &classes[index.at(builtin.parent)], "nemo");
    }
    void_class = &classes[index.at("VoidType")];
  }

  const ElementClass& add(const ElementTypeDefinition& definition, const ElementClass* parent,
                          std::string_view provider) {
    ElementClass cls;
    cls.name = definition.name;
    cls.parent = parent;
    if (parent != nullptr) {
      cls.defaults = parent->defaults;
      cls.fields = parent->fields;
    }
    for (const auto& [name, value] : definition.params) set_param(cls.defaults, name, value);
    if (definition.fields) cls.fields = definition.fields;
    cls.open_params = definition.open_params || (parent != nullptr && parent->open_params);
    cls.doc = definition.doc;
    cls.provider = provider;
    classes.push_back(std::move(cls));
    definitions.push_back(definition);
    index.emplace(classes.back().name, classes.size() - 1);
    return classes.back();
  }

  const ElementClass* find(std::string_view name) const {
    const auto it = index.find(name);
    return it == index.end() ? nullptr : &classes[it->second];
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& cls : classes) names.push_back(cls.name);
    return names;
  }

  const ElementClass* void_class = nullptr;
};

Tree& tree() {
  static auto& instance = *new Tree;
  return instance;
}

bool same_definition(const ElementTypeDefinition& a, const ElementTypeDefinition& b) {
  if (a.parent != b.parent || a.fields != b.fields || a.open_params != b.open_params) return false;
  if (a.params.size() != b.params.size()) return false;
  for (const auto& [name, value] : a.params) {
    const ParamValue* other = find_param(b.params, name);
    if (other == nullptr || !params_equal(value, *other)) return false;
  }
  return true;
}

std::string describe(const ElementTypeDefinition& definition) {
  std::string text = definition.name + "(" + definition.parent + ")";
  for (const auto& [name, value] : definition.params) text += " " + name + "=" + param_repr(value);
  if (definition.fields) text += " fields [" + join(*definition.fields, ", ") + "]";
  if (definition.open_params) text += " with open parameters";
  return text;
}

bool is_identifier(std::string_view name) {
  if (name.empty()) return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
    const bool inner = (c >= '0' && c <= '9') || c == '.';
    if (!letter && !(inner && &c != name.data())) return false;
  }
  return utf8::is_valid(name);
}

}  // namespace

const ElementClass& register_element_type(const ElementTypeDefinition& given, std::string_view provider) {
  ElementTypeDefinition definition = given;
  definition.params.clear();
  for (const auto& [name, value] : given.params) {
    const double* real = std::get_if<double>(&value);
    if (!is_identifier(name) || (real != nullptr && *real - *real != 0)) {
      throw Error(Code::kFailed, "element type '" + given.name + "' has a bad parameter")
          .at(std::string(provider))
          .seen(name + "=" + param_repr(value))
          .expected("an identifier and None, a bool, a finite number or text");
    }
    set_param(definition.params, name, value);
  }
  if (!is_identifier(definition.name)) {
    throw Error(Code::kFailed, "an element type's name must be an identifier")
        .at(std::string(provider))
        .seen("'" + definition.name + "'");
  }
  Tree& all = tree();
  std::unique_lock lock(all.mutex);
  if (const auto it = all.index.find(definition.name); it != all.index.end()) {
    const ElementClass& known = all.classes[it->second];
    if (same_definition(all.definitions[it->second], definition)) return known;
    throw Error(Code::kFailed, "element type '" + definition.name + "' is defined differently by " + known.provider +
                                   " and " + std::string(provider))
        .at(std::string(provider))
        .seen(describe(definition))
        .expected(describe(all.definitions[it->second]) + ", as " + known.provider + " defines it")
        .next("rename one of them, or give both the same definition");
  }
  const ElementClass* parent = all.find(definition.parent);
  if (parent == nullptr) {
    throw Error(Code::kFailed,
                "element type '" + definition.name + "' has an unknown parent '" + definition.parent + "'")
        .at(std::string(provider))
        .candidates(nearest_names(definition.parent, all.names()))
        .next("register the parent first");
  }
  return all.add(definition, parent, provider);
}

const ElementClass& register_element_type_json(std::string_view json, std::string_view provider) {
  const nlohmann::json body = parse_json_object(json, "element type", provider);
  refuse_unknown_keys(body, {"name", "parent", "params", "fields", "open_params", "doc"}, "element type", provider);
  ElementTypeDefinition definition;
  definition.name = json_text(body, "name", "element type", provider);
  if (body.contains("parent")) definition.parent = json_text(body, "parent", "element type", provider);
  if (body.contains("params")) definition.params = json_params(body["params"], provider);
  if (body.contains("doc")) definition.doc = json_text(body, "doc", "element type", provider);
  if (body.contains("open_params")) definition.open_params = json_flag(body, "open_params", "element type", provider);
  if (const auto it = body.find("fields"); it != body.end() && !it->is_null()) {
    definition.fields.emplace();
    if (!it->is_array()) bad_field("fields", *it, "a list of names", "element type", provider);
    for (const auto& field : *it) {
      if (!field.is_string()) bad_field("fields", *it, "a list of names", "element type", provider);
      definition.fields->push_back(field.get<std::string>());
    }
  }
  return register_element_type(definition, provider);
}

const ElementClass* find_element_class(std::string_view name) {
  Tree& all = tree();
  std::shared_lock lock(all.mutex);
  return all.find(name);
}

const ElementClass& element_class(std::string_view name) {
  if (const ElementClass* found = find_element_class(name)) return *found;
  Tree& all = tree();
  std::shared_lock lock(all.mutex);
  throw Error(Code::kBadData, "there is no element type '" + std::string(name) + "'")
      .candidates(nearest_names(name, all.names()))
      .next("correct the name, or load the plugin that defines it");
}

std::vector<const ElementClass*> element_classes() {
  Tree& all = tree();
  std::shared_lock lock(all.mutex);
  std::vector<const ElementClass*> out;
  for (const auto& cls : all.classes) out.push_back(&cls);
  return out;
}

std::string ElementType::text() const {
  std::vector<std::string> given;
  for (const auto& [name, value] : params) {
    if (!std::holds_alternative<std::monostate>(value)) given.push_back(name + "=" + param_repr(value));
  }
  return given.empty() ? cls->name : cls->name + "(" + join(given, ", ") + ")";
}

ElementType make_element(std::string_view name, const Params& params) {
  ElementType element{&element_class(name), {}};
  element.params = element.cls->defaults;
  for (const auto& [key, value] : params) {
    if (!element.cls->open_params && find_param(element.cls->defaults, key) == nullptr) {
      std::vector<std::string> known;
      for (const auto& entry : element.cls->defaults) known.push_back(entry.first);
      throw Error(Code::kBadData, "element type " + element.cls->name + " has no parameter '" + key + "'")
          .seen(key + "=" + param_repr(value))
          .expected(known.empty() ? "no parameters" : join(known, ", "));
    }
    if (const double* real = std::get_if<double>(&value); real != nullptr && *real - *real != 0) {
      throw Error(Code::kBadData, "parameter '" + key + "' of " + element.cls->name + " is not finite")
          .seen(param_repr(value));
    }
    set_param(element.params, key, value);
  }
  return element;
}

Comparison compare(const ElementType& first, const ElementType& second) {
  // VoidType and what derives from it takes everything.
  if (first.cls->is_a(*tree().void_class)) return Comparison::kSame;
  if (first.cls != second.cls) {
    if (first.cls->is_a(*second.cls)) return Comparison::kLess;
    if (second.cls->is_a(*first.cls)) return Comparison::kGreater;
    return Comparison::kIncompatible;
  }
  // Same class: its fields are the same by construction (one definition per name), so only parameters can differ.
  if (first.params.size() != second.params.size()) return Comparison::kSameTypeIncompatibleParams;
  for (size_t i = 0; i < first.params.size(); ++i) {
    if (first.params[i].first != second.params[i].first) return Comparison::kSameTypeIncompatibleParams;
  }
  for (size_t i = 0; i < first.params.size(); ++i) {
    const ParamValue& a = first.params[i].second;
    const ParamValue& b = second.params[i].second;
    if (std::holds_alternative<std::monostate>(a) || std::holds_alternative<std::monostate>(b)) continue;
    if (!params_equal(a, b)) return Comparison::kSameTypeIncompatibleParams;
  }
  return Comparison::kSame;
}

}  // namespace fathom::typing
