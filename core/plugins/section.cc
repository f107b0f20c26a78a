#include "core/plugins/section.h"

#include <algorithm>
#include <cmath>

#include "core/plugins/kind.h"
#include "core/plugins/option_check.h"

namespace fathom::plugins {
namespace {

bool names_a_class(const Json& section, const char* key) {
  return section.contains(key) && section[key].is_string() && !section[key].get_ref<const std::string&>().empty();
}

bool all_finite(const Json& value) {
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  if (!value.is_structured()) return true;
  return std::all_of(value.begin(), value.end(), [](const Json& item) { return all_finite(item); });
}

void word_infinities(Json& value) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::isnan(number))
      value = "nan";
    else if (std::isinf(number))
      value = number > 0 ? "inf" : "-inf";
  } else if (value.is_structured()) {
    for (auto& item : value) word_infinities(item);
  }
}

}  // namespace

std::string config_text_of(const Json& options) {
  if (all_finite(options)) return json_text(options);
  Json copy = options;
  word_infinities(copy);
  return json_text(copy);
}

std::string selecting_key(uint32_t kinds, const Json& section) {
  if (!section.is_object()) return {};
  for (const char* key : {"_target_", "cls", "target"}) {
    if (names_a_class(section, key)) return key;
  }
  if ((kinds & kNamedKinds) != 0 && names_a_class(section, "name")) return "name";
  return {};
}

Selection select_component(uint32_t kinds, const Json& section, const std::string& path) {
  const bool by_name = (kinds & kNamedKinds) != 0;
  const std::string key = selecting_key(kinds, section);
  if (key.empty()) {
    throw Error(Code::kFailed, "this section names no " + kinds_text(kinds))
        .at(path)
        .seen(json_text(section))
        .expected(by_name ? "a map with `name` or `_target_`" : "a map with `_target_`")
        .next(std::string("add ") + (by_name ? "name: …" : "_target_: …") +
              "; `fathom plugins list` shows what there is");
  }
  Selection out{section[key].get<std::string>(), key, section};
  out.options.erase(key);
  if (out.options.contains("_partial_") && out.options["_partial_"] == true) {
    throw Error(Code::kFailed, "_partial_ is not possible here: a component is made whole")
        .at(child_key(path, "_partial_"))
        .next("remove it");
  }
  if (out.options.contains("_args_") && !out.options["_args_"].empty()) {
    throw Error(Code::kFailed, "_args_ is not possible here: options have names")
        .at(child_key(path, "_args_"))
        .next("write name: value");
  }
  // They steer how Hydra builds Python objects and mean nothing to a component, which gets its section as it stands.
  for (const char* hydra : {"_partial_", "_args_", "_recursive_", "_convert_"}) out.options.erase(hydra);
  return out;
}

void flatten_params(Selection& selection, const Json& schema, const std::string& path) {
  if (!selection.options.contains("params")) return;
  if (schema.contains("options")) {
    for (const auto& option : schema["options"]) {
      if (option["name"] == "params") return;
    }
  }
  const Json params = selection.options["params"];
  if (params.is_null()) {
    selection.options.erase("params");
    return;
  }
  if (!params.is_object()) return;  // not the old form: the options' check names it
  selection.options.erase("params");
  for (const auto& [key, value] : params.items()) {
    if (selection.options.contains(key)) {
      throw Error(Code::kFailed, "option '" + key + "' stands both in the section and in its params")
          .at(child_key(path, key))
          .next("remove one");
    }
    selection.options[key] = value;
  }
}

}  // namespace fathom::plugins
