#include "core/plugins/option_check.h"

#include "core/base/text.h"

namespace fathom::plugins {
namespace {

class Checker {
 public:
  Checker(const std::string& owner, const Locate& locate, Gaps gaps) : owner_(owner), locate_(locate), gaps_(gaps) {}

  void object(const Json& schema, const Json& options, const std::string& path) {
    const Json& declared = schema.contains("options") ? schema["options"] : kNone;
    std::vector<std::string> names;
    for (const auto& option : declared) names.push_back(option.at("name").get<std::string>());
    for (const auto& [key, value] : options.items()) {
      const Json* option = nullptr;
      for (const auto& candidate : declared) {
        if (candidate["name"] == key) option = &candidate;
      }
      const std::string full_key = child_key(path, key);
      if (option != nullptr)
        declared_value(*option, value, full_key);
      else if (!schema.value("extra", false))
        unknown(key, value, names, full_key);
    }
    for (const auto& option : declared) {
      const std::string name = option["name"];
      if (option.value("required", false) && !options.contains(name) && gaps_ == Gaps::kRefused) {
        problems_.push_back(Error(Code::kFailed, "option '" + name + "' of " + owner_ + " is missing")
                                .at(place(path))
                                .expected(expected(option))
                                .next("add " + child_key(path, name)));
      }
    }
  }

  std::vector<Error> take() { return std::move(problems_); }

 private:
  static const Json kNone;

  std::string place(const std::string& key) const {
    const std::string written = locate_ ? locate_(key) : std::string();
    return written.empty() ? key : written;
  }
  static std::string expected(const Json& option) {
    std::string text = option.value("type", "any");
    if (const std::string doc = option.value("doc", ""); !doc.empty()) text += ": " + doc;
    return text;
  }

  void unknown(const std::string& key, const Json& value, const std::vector<std::string>& names,
               const std::string& full_key) {
    auto near = nearest_names(key, names);
    problems_.push_back(Error(Code::kFailed, owner_ + " has no option '" + key + "'")
                            .at(place(full_key))
                            .seen(json_text(value))
                            .expected(names.empty() ? "no options" : "one of: " + join(names, ", "))
                            .candidates(near)
                            .next("remove or rename it"));
  }

  void declared_value(const Json& option, const Json& value, const std::string& full_key) {
    if (value.is_string() && value.get_ref<const std::string&>() == "???") {
      problems_.push_back(
          Error(Code::kFailed, "option '" + option["name"].get<std::string>() + "' of " + owner_ + " has no value")
              .at(place(full_key))
              .seen("???")
              .expected(expected(option))
              .next("give " + full_key + " a value"));
      return;
    }
    if (value.is_null() && gaps_ == Gaps::kFilledLater) return;
    typed(option, option.value("type", "any"), value, full_key);
  }

  void typed(const Json& option, std::string_view type, const Json& value, const std::string& path) {
    const auto inside = [&](std::string_view prefix) {
      return type.substr(prefix.size(), type.size() - prefix.size() - 1);
    };
    const auto need = [&](bool ok) {
      if (!ok) wrong(option, type, value, path);
      return ok;
    };
    if (type == "any") return;
    if (type == "bool") {
      need(value.is_boolean());
    } else if (type == "int") {
      need(value.is_number_integer());
    } else if (type == "float") {
      need(value.is_number() || value == "inf" || value == "-inf" || value == "nan");
    } else if (type == "str") {
      need(value.is_string());
    } else if (type == "object") {
      if (need(value.is_object())) object(option, value, path);
    } else if (type.starts_with("optional[") && type.ends_with("]")) {
      if (!value.is_null()) typed(option, inside("optional["), value, path);
    } else if (type.starts_with("list[") && type.ends_with("]")) {
      if (!need(value.is_array())) return;
      for (size_t i = 0; i < value.size(); ++i) {
        typed(option, inside("list["), value[i], path + "[" + std::to_string(i) + "]");
      }
    } else if (type.starts_with("dict[str, ") && type.ends_with("]")) {
      if (!need(value.is_object())) return;
      for (const auto& [key, item] : value.items()) typed(option, inside("dict[str, "), item, child_key(path, key));
    }
  }

  void wrong(const Json& option, std::string_view type, const Json& value, const std::string& path) {
    std::string wanted(type);
    if (const std::string doc = option.value("doc", ""); !doc.empty()) wanted += ": " + doc;
    problems_.push_back(
        Error(Code::kFailed, "option '" + option["name"].get<std::string>() + "' of " + owner_ + " has the wrong type")
            .at(place(path))
            .seen(json_text(value))
            .expected(wanted));
  }

  const std::string& owner_;
  const Locate& locate_;
  const Gaps gaps_;
  std::vector<Error> problems_;
};

const Json Checker::kNone = Json::array();

}  // namespace

std::vector<Error> check_options(const std::string& owner, const Json& schema, const Json& options,
                                 const std::string& path, const Locate& locate, Gaps gaps) {
  Checker checker(owner, locate, gaps);
  checker.object(schema, options, path);
  return checker.take();
}

void throw_problems(const std::vector<Error>& problems) {
  if (problems.empty()) return;
  Error first = problems.front();
  if (problems.size() == 1) throw first;
  const std::string more = std::to_string(problems.size() - 1) + " more after this one";
  throw std::move(first).next(first.next().empty() ? more : first.next() + "; " + more);
}

std::string child_key(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

}  // namespace fathom::plugins
