// Options: declared once, in C++; help, validation, `config explain` and the reference pages come from the declaration.
//
//   struct Options {
//     int64_t features = 64;
//     std::string window = "hann";
//     static void describe(fathom::OptionSet<Options>& o) {
//       o("features", &Options::features, "number of mel bands");
//       o("window", &Options::window, "hann, hamming, blackman, bartlett or none");
//     }
//   };
//
// The default is the member's initialiser. Types: bool, int64_t, double, std::string, Json (anything),
// std::optional<T> (null allowed), std::vector<T>, std::map<std::string, T>, and structs with their own describe().
// An int is accepted where a float is declared; nothing else converts. Options of a base struct are taken over with
// `o.include<BaseOptions>()`, or one by one (`o("lr", &BaseOptions::lr, …)`).
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <type_traits>
#include <vector>

#include "fathom/nearest_names.h"
#include "fathom/support.h"

namespace fathom {

template <typename T>
class OptionSet;

namespace options_detail {

template <typename T>
struct is_optional : std::false_type {};
template <typename T>
struct is_optional<std::optional<T>> : std::true_type {};
template <typename T>
struct is_vector : std::false_type {};
template <typename T>
struct is_vector<std::vector<T>> : std::true_type {};
template <typename T>
struct is_map : std::false_type {};
template <typename T>
struct is_map<std::map<std::string, T>> : std::true_type {};

template <typename T>
const OptionSet<T>& set_of();

template <typename T>
concept Described = std::is_class_v<T> && requires(OptionSet<T>& set) { T::describe(set); };

template <typename T>
constexpr bool is_option_type() {
  if constexpr (is_optional<T>::value || is_vector<T>::value)
    return is_option_type<typename T::value_type>();
  else if constexpr (is_map<T>::value)
    return is_option_type<typename T::mapped_type>();
  else
    return std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, double> ||
           std::is_same_v<T, std::string> || std::is_same_v<T, Json> || Described<T>;
}

template <typename T>
std::string type_name() {
  if constexpr (std::is_same_v<T, bool>)
    return "bool";
  else if constexpr (std::is_same_v<T, int64_t>)
    return "int";
  else if constexpr (std::is_same_v<T, double>)
    return "float";
  else if constexpr (std::is_same_v<T, std::string>)
    return "str";
  else if constexpr (std::is_same_v<T, Json>)
    return "any";
  else if constexpr (is_optional<T>::value)
    return "optional[" + type_name<typename T::value_type>() + "]";
  else if constexpr (is_vector<T>::value)
    return "list[" + type_name<typename T::value_type>() + "]";
  else if constexpr (is_map<T>::value)
    return "dict[str, " + type_name<typename T::mapped_type>() + "]";
  else
    return "object";
}

// The schema of the nested struct inside T (through optional, list and dict), or null.
template <typename T>
Json nested_options() {
  if constexpr (is_optional<T>::value || is_vector<T>::value)
    return nested_options<typename T::value_type>();
  else if constexpr (is_map<T>::value)
    return nested_options<typename T::mapped_type>();
  else if constexpr (std::is_class_v<T> && !std::is_same_v<T, std::string> && !std::is_same_v<T, Json>)
    return set_of<T>().schema();
  else
    return nullptr;
}

[[noreturn]] inline void mismatch(const Json& value, const std::string& expected, const std::string& path) {
  throw Error(Code::kFailed, "option has the wrong type").at(path).seen(json_text(value)).expected(expected);
}

template <typename T>
T read(const Json& value, const std::string& path) {
  const auto need = [&](bool ok) {
    if (!ok) mismatch(value, type_name<T>(), path);
  };
  if constexpr (std::is_same_v<T, Json>) {
    return value;
  } else if constexpr (std::is_same_v<T, bool>) {
    need(value.is_boolean());
    return value.get<bool>();
  } else if constexpr (std::is_same_v<T, int64_t>) {
    need(value.is_number_integer());
    return value.get<int64_t>();
  } else if constexpr (std::is_same_v<T, double>) {
    if (value.is_string()) {  // JSON has no infinities; the host writes them as these words
      const auto& text = value.get_ref<const std::string&>();
      if (text == "inf") return std::numeric_limits<double>::infinity();
      if (text == "-inf") return -std::numeric_limits<double>::infinity();
      if (text == "nan") return std::nan("");
    }
    need(value.is_number());
    return value.get<double>();
  } else if constexpr (std::is_same_v<T, std::string>) {
    need(value.is_string());
    return value.get<std::string>();
  } else if constexpr (is_optional<T>::value) {
    if (value.is_null()) return std::nullopt;
    return read<typename T::value_type>(value, path);
  } else if constexpr (is_vector<T>::value) {
    need(value.is_array());
    T out;
    for (size_t i = 0; i < value.size(); ++i) {
      out.push_back(read<typename T::value_type>(value[i], path + "[" + std::to_string(i) + "]"));
    }
    return out;
  } else if constexpr (is_map<T>::value) {
    need(value.is_object());
    T out;
    for (const auto& [key, item] : value.items()) out[key] = read<typename T::mapped_type>(item, path + "." + key);
    return out;
  } else {
    need(value.is_object());
    return set_of<T>().parse(value, path);
  }
}

template <typename T>
Json dump(const T& value) {
  if constexpr (is_optional<T>::value) {
    return value ? dump(*value) : Json(nullptr);
  } else if constexpr (is_vector<T>::value) {
    Json out = Json::array();
    for (const auto& item : value) out.push_back(dump<typename T::value_type>(item));
    return out;
  } else if constexpr (is_map<T>::value) {
    Json out = Json::object();
    for (const auto& [key, item] : value) out[key] = dump(item);
    return out;
  } else if constexpr (std::is_same_v<T, double>) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return value;
  } else if constexpr (std::is_class_v<T> && !std::is_same_v<T, std::string> && !std::is_same_v<T, Json>) {
    return set_of<T>().dump(value);
  } else {
    return value;
  }
}

// A number held by an option: of a float, int or bool itself (item < 0), of a list its item. Null when there is none.
template <typename M>
std::optional<double> get_number(const M& member, int64_t item) {
  if constexpr (std::is_same_v<M, bool> || std::is_same_v<M, int64_t> || std::is_same_v<M, double>) {
    return item < 0 ? std::optional<double>(static_cast<double>(member)) : std::nullopt;
  } else if constexpr (is_optional<M>::value) {
    return member ? get_number(*member, item) : std::nullopt;
  } else if constexpr (is_vector<M>::value) {
    if (item < 0 || item >= static_cast<int64_t>(member.size())) return std::nullopt;
    return get_number<typename M::value_type>(member[item], -1);
  } else {
    return std::nullopt;
  }
}
template <typename M>
bool set_number(M& member, int64_t item, double number) {
  if constexpr (std::is_same_v<M, bool> || std::is_same_v<M, int64_t> || std::is_same_v<M, double>) {
    if (item >= 0) return false;
    member = static_cast<M>(number);
    return true;
  } else if constexpr (is_optional<M>::value) {
    if (!member) member.emplace();
    return set_number(*member, item, number);
  } else if constexpr (is_vector<M>::value && !std::is_same_v<M, std::vector<bool>>) {
    if (item < 0 || item >= static_cast<int64_t>(member.size())) return false;
    return set_number(member[item], -1, number);
  } else {
    return false;
  }
}

// What an option of type M does, whatever struct it belongs to: one of these a type, not one an option.
struct Codec {
  void (*read)(void* member, const Json& value, const std::string& path);
  Json (*write)(const void* member);
  Json (*nested)();
  std::optional<double> (*get_number)(const void* member, int64_t item);
  bool (*set_number)(void* member, int64_t item, double number);
};
template <typename M>
const Codec& codec_of() {
  static constexpr Codec kCodec = {
      [](void* member, const Json& value, const std::string& path) { *static_cast<M*>(member) = read<M>(value, path); },
      [](const void* member) { return dump(*static_cast<const M*>(member)); }, &nested_options<M>,
      [](const void* member, int64_t item) { return get_number(*static_cast<const M*>(member), item); },
      [](void* member, int64_t item, double number) { return set_number(*static_cast<M*>(member), item, number); }};
  return kCodec;
}

// The options of a struct that is known by the places of its members alone.
class Table {
 public:
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& option : options_) out.push_back(option.name);
    return out;
  }

 protected:
  struct Option {
    std::string name, type, doc, unit;
    bool required;
    size_t offset;  // of the member in the struct
    const Codec* codec;
    Json example = nullptr;

    void* in(void* object) const { return static_cast<char*>(object) + offset; }
    const void* in(const void* object) const { return static_cast<const char*>(object) + offset; }
  };

  const Option* find(std::string_view name) const {
    for (const auto& option : options_) {
      if (option.name == name) return &option;
    }
    return nullptr;
  }
  // "betas[1]": the option and the item; "lr": the option and -1.
  std::pair<const Option*, int64_t> find_number(std::string_view name) const {
    int64_t item = -1;
    if (name.size() > 3 && name.back() == ']') {
      const size_t open = name.rfind('[');
      if (open == std::string_view::npos || name.size() - open > 6) return {nullptr, -1};
      item = 0;
      for (const char c : name.substr(open + 1, name.size() - open - 2)) {
        if (c < '0' || c > '9') return {nullptr, -1};
        item = item * 10 + (c - '0');
      }
      name = name.substr(0, open);
    }
    return {find(name), item};
  }
  void include(const Table& base, size_t offset) {
    for (Option option : base.options_) {
      option.offset += offset;
      options_.push_back(std::move(option));
    }
    extra_ = extra_ || base.extra_;
  }

  Json schema(const void* defaults) const {
    Json list = Json::array();
    for (const auto& option : options_) {
      Json entry = {{"name", option.name}, {"type", option.type}, {"doc", option.doc}};
      if (option.required)
        entry["required"] = true;
      else
        entry["default"] = option.codec->write(option.in(defaults));
      if (!option.unit.empty()) entry["unit"] = option.unit;
      if (!option.example.is_null()) entry["example"] = option.example;
      if (Json nested = option.codec->nested(); !nested.is_null()) {
        entry["options"] = nested["options"];
        if (nested.value("extra", false)) entry["extra"] = true;
      }
      list.push_back(std::move(entry));
    }
    Json out = {{"options", std::move(list)}};
    if (extra_) out["extra"] = true;
    return out;
  }
  void parse(void* out, const Json& config, const std::string& path) const {
    for (const auto& [key, value] : config.items()) {
      const Option* found = find(key);
      const std::string where = path.empty() ? key : path + "." + key;
      if (found != nullptr) {
        found->codec->read(found->in(out), value, where);
      } else if (!extra_) {
        std::string known;
        for (const auto& option : options_) known += (known.empty() ? "" : ", ") + option.name;
        throw Error(Code::kFailed, "unknown option '" + key + "'")
            .at(where)
            .expected("one of: " + known)
            .candidates(nearest_names(key, names()));
      }
    }
    for (const auto& option : options_) {
      if (option.required && !config.contains(option.name)) {
        throw Error(Code::kFailed, "option '" + option.name + "' is missing")
            .at(path)
            .expected(option.type + ": " + option.doc);
      }
    }
  }
  Json dump(const void* value) const {
    Json out = Json::object();
    for (const auto& option : options_) out[option.name] = option.codec->write(option.in(value));
    return out;
  }

  std::vector<Option> options_;
  bool extra_ = false;
};

}  // namespace options_detail

template <typename T>
class OptionSet : public options_detail::Table {
 public:
  // Declares an option whose default is the member's initialiser.
  template <typename M, typename B>
  OptionSet& operator()(std::string name, M B::*member, std::string doc, std::string unit = "") {
    return add<M>(std::move(name), member, std::move(doc), std::move(unit), false);
  }
  // Declares an option that has no default.
  template <typename M, typename B>
  OptionSet& required(std::string name, M B::*member, std::string doc, std::string unit = "") {
    return add<M>(std::move(name), member, std::move(doc), std::move(unit), true);
  }
  // A value that makes sense for the option declared last, so that a component with required options can be made for
  // its description (a module's ports).
  OptionSet& example(Json value) {
    options_.back().example = std::move(value);
    return *this;
  }
  // Takes over what a base struct of T declares.
  template <typename B>
  OptionSet& include() {
    static_assert(std::is_base_of_v<B, T>, "include<B>() takes over the options of a base struct: derive from B");
    Table::include(options_detail::set_of<B>(), place(static_cast<const B&>(probe())));
    return *this;
  }
  // Accepts keys that are not declared (a model's section holds values that others refer to); without it they are
  // errors.
  OptionSet& allow_extra() {
    extra_ = true;
    return *this;
  }

  Json schema() const { return Table::schema(&probe()); }
  T parse(const Json& config, const std::string& path) const {
    T out{};
    Table::parse(&out, config, path);
    return out;
  }
  Json dump(const T& value) const { return Table::dump(&value); }
  // One number of `value` by name: a float, int or bool option, or an item of a list of them as "betas[0]". Nothing
  // when no such option is declared, or it is null or no number.
  std::optional<double> get_number(const T& value, std::string_view name) const {
    const auto [option, item] = find_number(name);
    return option == nullptr ? std::nullopt : option->codec->get_number(option->in(&value), item);
  }
  // False where get_number() knows no such number; a null option becomes that number.
  bool set_number(T& value, std::string_view name, double number) const {
    const auto [option, item] = find_number(name);
    return option != nullptr && option->codec->set_number(option->in(&value), item, number);
  }

 private:
  // Holds the defaults, and where the members lie.
  static const T& probe() {
    static const T object{};
    return object;
  }
  static size_t place(const auto& member) {
    return static_cast<size_t>(reinterpret_cast<const char*>(&member) - reinterpret_cast<const char*>(&probe()));
  }
  template <typename M>
  OptionSet& add(std::string name, M T::*member, std::string doc, std::string unit, bool required) {
    static_assert(options_detail::is_option_type<M>(),
                  "an option is a bool, int64_t, double, std::string, fathom::Json, a std::optional, std::vector or "
                  "std::map<std::string, …> of them, or a struct with `static void describe(OptionSet<S>&)`; an int or "
                  "float member becomes int64_t or double");
    options_.push_back({std::move(name), options_detail::type_name<M>(), std::move(doc), std::move(unit), required,
                        place(probe().*member), &options_detail::codec_of<M>()});
    return *this;
  }
};

namespace options_detail {
template <typename T>
const OptionSet<T>& set_of() {
  static const OptionSet<T> set = [] {
    OptionSet<T> s;
    T::describe(s);
    return s;
  }();
  return set;
}
}  // namespace options_detail

// For components without options.
struct NoOptions {
  static void describe(OptionSet<NoOptions>&) {}
};

// A component's options: its nested type Options, or none.
template <typename T, typename = void>
struct OptionsOf {
  using type = NoOptions;
};
template <typename T>
struct OptionsOf<T, std::void_t<typename T::Options>> {
  using type = typename T::Options;
};

template <typename Options>
Options parse_options(const Json& config, const std::string& path) {
  return options_detail::set_of<Options>().parse(config, path);
}
template <typename Options>
Json options_schema() {
  return options_detail::set_of<Options>().schema();
}
template <typename Options>
std::vector<std::string> option_names() {
  return options_detail::set_of<Options>().names();
}
template <typename Options>
Json dump_options(const Options& options) {
  return options_detail::set_of<Options>().dump(options);
}

}  // namespace fathom
