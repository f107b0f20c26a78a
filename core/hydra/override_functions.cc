#include "core/hydra/override_functions.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "core/base/text.h"
#include "core/config/python_text.h"

namespace fathom::config {
namespace {

[[noreturn]] void type_error(std::string message) { throw FunctionFailure{"TypeError", std::move(message)}; }
[[noreturn]] void value_error(std::string message) { throw FunctionFailure{"ValueError", std::move(message)}; }

bool is_number(const Element& e) { return e.is<bool>() || e.is<int64_t>() || e.is<double>(); }
bool is_primitive(const Element& e) { return is_number(e) || e.text() != nullptr; }

double as_double(const Element& e) {
  if (e.is<bool>()) return e.as<bool>() ? 1 : 0;
  return e.is<int64_t>() ? static_cast<double>(e.as<int64_t>()) : e.as<double>();
}

// Numbers only; callers have checked.
Scalar to_scalar(const Element& e) {
  if (e.is<bool>()) return e.as<bool>();
  if (e.is<int64_t>()) return e.as<int64_t>();
  if (e.is<double>()) return e.as<double>();
  if (const std::string* text = e.text()) return *text;
  return std::monostate{};
}

Element to_element(const Scalar& scalar) {
  Element out;
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, double> ||
                      std::is_same_v<T, std::string>) {
          out.value = v;
        }
      },
      scalar);
  return out;
}

// Binds a call to named parameters, as Python does.
class Arguments {
 public:
  Arguments(FunctionCall& call, std::vector<std::string> names, size_t required) : names_(std::move(names)) {
    values_.resize(names_.size());
    if (call.args.size() > names_.size()) type_error("too many positional arguments");
    for (size_t i = 0; i < call.args.size(); ++i) values_[i] = std::move(call.args[i]);
    for (auto& [name, value] : call.kwargs) {
      const auto found = std::find(names_.begin(), names_.end(), name);
      if (found == names_.end()) {
        type_error("got an unexpected keyword argument '" + name + "'; known are " + join(names_, ", "));
      }
      auto& slot = values_[static_cast<size_t>(found - names_.begin())];
      if (slot) type_error("multiple values for argument '" + name + "'");
      slot = std::move(value);
    }
    for (size_t i = 0; i < required; ++i) {
      if (!values_[i]) type_error("missing a required argument: '" + names_[i] + "'");
    }
  }

  const std::optional<Element>& operator[](size_t i) const { return values_[i]; }

  Scalar number(size_t i) const {
    if (!is_number(*values_[i])) mismatch(i, "a number");
    return to_scalar(*values_[i]);
  }
  [[noreturn]] void mismatch(size_t i, const std::string& expected) const {
    type_error("mismatch type argument " + names_[i] + ": " + std::string(element_type_name(*values_[i])) +
               " is incompatible with " + expected);
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::optional<Element>> values_;
};

// For functions of any number of arguments with some named ones.
std::optional<Element> take_kwarg(FunctionCall& call, const std::string& name) {
  for (auto it = call.kwargs.begin(); it != call.kwargs.end(); ++it) {
    if (it->first != name) continue;
    Element value = std::move(it->second);
    call.kwargs.erase(it);
    return value;
  }
  return std::nullopt;
}

void no_more_kwargs(const FunctionCall& call) {
  if (!call.kwargs.empty()) type_error("got an unexpected keyword argument '" + call.kwargs[0].first + "'");
}

[[noreturn]] void argument_mismatch(size_t i, const Element& e, const std::string& expected) {
  type_error("mismatch type argument args[" + std::to_string(i) + "]: " + std::string(element_type_name(e)) +
             " is incompatible with " + expected);
}

Element choice(FunctionCall& call) {
  no_more_kwargs(call);
  if (call.args.empty()) value_error("empty choice is not legal");
  for (size_t i = 0; i < call.args.size(); ++i) {
    const Element& e = call.args[i];
    if (!is_primitive(e) && !e.is<ElementList>() && !e.is<ElementMap>() && !e.is<ChoiceSweep>()) {
      argument_mismatch(i, e, "a choice (string, number, bool, list or map)");
    }
  }
  if (call.args.size() == 1 && call.args[0].is<ChoiceSweep>()) {
    ChoiceSweep inner = call.args[0].as<ChoiceSweep>();
    if (!inner.simple_form) value_error("nesting choices is not supported");
    inner.simple_form = false;
    return Element{std::move(inner)};
  }
  return Element{ChoiceSweep{.list = std::move(call.args)}};
}

Element range(FunctionCall& call) {
  const Arguments args(call, {"start", "stop", "step"}, 1);
  RangeSweep sweep;
  sweep.start = args.number(0);
  sweep.step = args[2] ? args.number(2) : Scalar(int64_t{1});
  if (args[1] && !args[1]->is_null()) {
    sweep.stop = args.number(1);
  } else {
    sweep.stop = sweep.start;
    sweep.start = int64_t{0};
  }
  return Element{std::move(sweep)};
}

Element interval(FunctionCall& call) {
  const Arguments args(call, {"start", "end"}, 2);
  args.number(0);
  args.number(1);
  return Element{IntervalSweep{.start = as_double(*args[0]), .end = as_double(*args[1])}};
}

std::vector<Scalar> glob_patterns(const Arguments& args, size_t i) {
  std::vector<Scalar> patterns;
  if (const std::string* text = args[i]->text()) {
    patterns.push_back(*text);
  } else if (args[i]->is<ElementList>()) {
    for (const Element& e : args[i]->as<ElementList>()) {
      if (!is_primitive(e)) args.mismatch(i, "a string or a list of strings");
      patterns.push_back(to_scalar(e));
    }
  } else {
    args.mismatch(i, "a string or a list of strings");
  }
  return patterns;
}

Element glob(FunctionCall& call) {
  const Arguments args(call, {"include", "exclude"}, 1);
  Glob glob;
  glob.include = glob_patterns(args, 0);
  if (args[1] && !args[1]->is_null()) glob.exclude = glob_patterns(args, 1);
  return Element{std::move(glob)};
}

// Python's '<': numbers with numbers, strings with strings, lists element by element.
bool less(const Element& a, const Element& b) {
  if (is_number(a) && is_number(b)) {
    if (a.is<int64_t>() && b.is<int64_t>()) return a.as<int64_t>() < b.as<int64_t>();
    return as_double(a) < as_double(b);
  }
  // Quoted strings inside lists have no order, as in Hydra: only arguments themselves lose their quotes.
  if (a.is<std::string>() && b.is<std::string>()) return a.as<std::string>() < b.as<std::string>();
  if (a.is<ElementList>() && b.is<ElementList>()) {
    const auto &x = a.as<ElementList>(), &y = b.as<ElementList>();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (less(x[i], y[i])) return true;
      if (less(y[i], x[i])) return false;
    }
    return x.size() < y.size();
  }
  type_error("'<' not supported between instances of '" + std::string(element_type_name(a)) + "' and '" +
             std::string(element_type_name(b)) + "'");
}

void sort_elements(ElementList& list, bool reverse) {
  // nan makes '<' no order at all; std::stable_sort may then do anything, so sort by a checked insertion.
  for (size_t i = 1; i < list.size(); ++i) {
    Element item = std::move(list[i]);
    size_t j = i;
    while (j > 0 && (reverse ? less(list[j - 1], item) : less(item, list[j - 1]))) {
      list[j] = std::move(list[j - 1]);
      --j;
    }
    list[j] = std::move(item);
  }
}

Scalar add(const Scalar& a, const Scalar& b, int sign) {
  const Element x = to_element(a), y = to_element(b);
  if (x.is<double>() || y.is<double>()) return as_double(x) + sign * as_double(y);
  return static_cast<int64_t>(as_double(x)) + sign * static_cast<int64_t>(as_double(y));
}
Scalar negative(const Scalar& a) { return add(int64_t{0}, a, -1); }
Scalar absolute(const Scalar& a) { return as_double(to_element(a)) < 0 ? negative(a) : add(a, int64_t{0}, 1); }

// A range is turned around only when it runs the other way, with the ends that Hydra computes: they are the range's
// own last and first element only when the step divides it.
Element sort_range(RangeSweep sweep, bool reverse) {
  const double start = as_double(to_element(sweep.start)), stop = as_double(to_element(sweep.stop));
  if (reverse ? start < stop : start > stop) {
    const int sign = reverse ? -1 : 1;
    const Scalar step = absolute(sweep.step);
    const Scalar new_start = add(sweep.stop, step, sign);
    sweep.stop = add(sweep.start, step, sign);
    sweep.start = new_start;
    sweep.step = negative(sweep.step);
  }
  return Element{std::move(sweep)};
}

Element sort_sweep(const Element& sweep, bool reverse) {
  if (sweep.is<RangeSweep>()) return sort_range(sweep.as<RangeSweep>(), reverse);
  ChoiceSweep choice = sweep.as<ChoiceSweep>();
  sort_elements(choice.list, reverse);
  return Element{std::move(choice)};
}

void check_sortable(const FunctionCall& call) {
  for (size_t i = 0; i < call.args.size(); ++i) {
    const Element& e = call.args[i];
    if (e.is<IntervalSweep>() || e.is<Glob>() || e.is_null()) {
      argument_mismatch(i, e, "a value, a list, a choice or a range");
    }
  }
}

// The named forms sweep=… and list=… stand for the only positional argument.
void adopt_named_argument(FunctionCall& call) {
  for (const char* name : {"list", "sweep"}) {
    auto value = take_kwarg(call, name);
    if (!value) continue;
    const bool right = std::string_view(name) == "list" ? value->is<ElementList>()
                                                        : value->is<ChoiceSweep>() || value->is<RangeSweep>();
    if (!right) {
      type_error(std::string("mismatch type argument ") + name + ": " + std::string(element_type_name(*value)));
    }
    call.args.assign(1, std::move(*value));
  }
}

Element sort(FunctionCall& call) {
  bool reverse = false;
  if (const auto value = take_kwarg(call, "reverse")) {
    if (!value->is<bool>()) type_error("mismatch type argument reverse: a bool is expected");
    reverse = value->as<bool>();
  }
  adopt_named_argument(call);
  no_more_kwargs(call);
  check_sortable(call);
  if (call.args.empty()) value_error("empty sort input");
  if (call.args.size() == 1) {
    Element& arg = call.args[0];
    if (arg.is<ChoiceSweep>() || arg.is<RangeSweep>()) return sort_sweep(arg, reverse);
    if (!arg.is<ElementList>()) return std::move(arg);
    ElementList list = arg.as<ElementList>();
    sort_elements(list, reverse);
    return Element{std::move(list)};
  }
  for (const Element& e : call.args) {
    if (!is_primitive(e)) type_error("only strings, numbers and bools can be sorted as arguments");
  }
  return sort_sweep(Element{ChoiceSweep{.list = std::move(call.args), .simple_form = true}}, reverse);
}

Element shuffle(FunctionCall& call) {
  adopt_named_argument(call);
  no_more_kwargs(call);
  check_sortable(call);
  if (call.args.size() != 1) {
    for (size_t i = 0; i < call.args.size(); ++i) {
      if (call.args[i].is_sweep()) argument_mismatch(i, call.args[i], "a value, beside other arguments");
    }
    return Element{ChoiceSweep{.list = std::move(call.args), .simple_form = true, .shuffle = true}};
  }
  Element& arg = call.args[0];
  if (arg.is<ChoiceSweep>()) {
    std::get<ChoiceSweep>(arg.value).shuffle = true;
    return std::move(arg);
  }
  if (arg.is<RangeSweep>()) {
    std::get<RangeSweep>(arg.value).shuffle = true;
    return std::move(arg);
  }
  if (!arg.is<ElementList>()) return Element{ElementList{std::move(arg)}};
  ElementList list = arg.as<ElementList>();
  std::shuffle(list.begin(), list.end(), std::mt19937(std::random_device{}()));
  return Element{std::move(list)};
}

Element tag(FunctionCall& call) {
  if (auto sweep = take_kwarg(call, "sweep")) call.args.push_back(std::move(*sweep));
  no_more_kwargs(call);
  if (call.args.empty()) value_error("Not enough arguments to tag, must take at least a sweep");
  for (size_t i = 0; i < call.args.size(); ++i) {
    const Element& e = call.args[i];
    if (e.text() == nullptr && (!e.is_sweep() || e.is<Glob>())) argument_mismatch(i, e, "a string or a sweep");
  }
  Element sweep = std::move(call.args.back());
  call.args.pop_back();
  if (!sweep.is_sweep()) value_error("Last argument to tag() must be a choice(), range() or interval(), got str");
  std::vector<std::string> tags;
  for (const Element& e : call.args) {
    if (e.text() == nullptr) {
      value_error("tag arguments type must be string, got " + std::string(element_type_name(e)));
    }
    tags.push_back(*e.text());
  }
  std::sort(tags.begin(), tags.end());  // a set: order and repetition mean nothing
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  std::visit(
      [&](auto& v) {
        if constexpr (requires { v.tags; }) v.tags = tags;
      },
      sweep.value);
  return sweep;
}

Element cast_int(const Element& e) {
  if (const std::string* text = e.text()) {
    const auto value = python_int(*text);
    if (!value) value_error("invalid literal for int() with base 10: '" + *text + "'");
    return Element{*value};
  }
  if (!e.is<double>()) return Element{static_cast<int64_t>(e.is<bool>() ? e.as<bool>() : e.as<int64_t>())};
  const double value = e.as<double>();
  if (std::isnan(value)) value_error("cannot convert float NaN to integer");
  if (!(std::abs(value) < 9.2e18)) {
    throw FunctionFailure{"OverflowError", "float " + python_float_text(value) + " does not fit in a 64-bit integer"};
  }
  return Element{static_cast<int64_t>(value)};
}

Element cast_float(const Element& e) {
  if (const std::string* text = e.text()) {
    const auto value = python_float(*text);
    if (!value) value_error("could not convert string to float: '" + *text + "'");
    return Element{*value};
  }
  return Element{as_double(e)};
}

Element cast_str(const Element& e) {
  if (const std::string* text = e.text()) return Element{*text};
  if (e.is<bool>()) return Element{std::string(e.as<bool>() ? "true" : "false")};
  if (e.is<int64_t>()) return Element{std::to_string(e.as<int64_t>())};
  return Element{python_float_text(e.as<double>())};
}

Element cast_bool(const Element& e) {
  if (const std::string* text = e.text()) {
    std::string lower = *text;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (lower != "true" && lower != "false") value_error("Cannot cast '" + *text + "' to bool");
    return Element{lower == "true"};
  }
  return Element{!e.is_null() && as_double(e) != 0};
}

using Caster = Element (*)(const Element&);

// Element-wise on lists, values of maps and choices.
Element cast(const Element& e, Caster caster, const std::string& type) {
  if (e.is<ElementList>()) {
    ElementList list;
    for (const Element& item : e.as<ElementList>()) list.push_back(cast(item, caster, type));
    return Element{std::move(list)};
  }
  if (e.is<ElementMap>()) {
    ElementMap map;
    for (const auto& [key, value] : e.as<ElementMap>()) map.push_back({key, cast(value, caster, type)});
    return Element{std::move(map)};
  }
  if (e.is<ChoiceSweep>()) {
    ChoiceSweep sweep{.simple_form = e.as<ChoiceSweep>().simple_form};
    for (const Element& item : e.as<ChoiceSweep>().list) {
      if (item.is_sweep()) type_error("a sweep inside a choice cannot be cast to " + type);
      sweep.list.push_back(cast(item, caster, type));
    }
    return Element{std::move(sweep)};
  }
  if (e.is<RangeSweep>()) {
    if (type != "int" && type != "float") value_error("Range can only be cast to int or float");
    const RangeSweep& range = e.as<RangeSweep>();
    return Element{RangeSweep{.start = to_scalar(caster(to_element(range.start))),
                              .stop = to_scalar(caster(to_element(range.stop))),
                              .step = to_scalar(caster(to_element(range.step)))}};
  }
  if (e.is<IntervalSweep>()) {
    if (type != "int" && type != "float") value_error("Intervals cannot be cast to " + type);
    const IntervalSweep& interval = e.as<IntervalSweep>();
    return Element{IntervalSweep{.start = to_scalar(caster(to_element(interval.start))),
                                 .end = to_scalar(caster(to_element(interval.end))),
                                 .tags = interval.tags}};
  }
  if (!is_primitive(e) && !(e.is_null() && type == "bool")) {
    type_error(std::string(element_type_name(e)) + " cannot be cast to " + type);
  }
  return caster(e);
}

Element cast_call(FunctionCall& call, Caster caster) {
  if (auto value = take_kwarg(call, "value")) {
    no_more_kwargs(call);
    if (!call.args.empty()) type_error("cannot use both position and named arguments");
    return cast(*value, caster, call.name);
  }
  no_more_kwargs(call);
  if (call.args.empty()) type_error("No positional args or value specified");
  if (call.args.size() == 1) return cast(call.args[0], caster, call.name);
  for (size_t i = 0; i < call.args.size(); ++i) {
    if (call.args[i].is_sweep()) argument_mismatch(i, call.args[i], "a value, beside other arguments");
  }
  return cast(Element{ChoiceSweep{.list = std::move(call.args), .simple_form = true}}, caster, call.name);
}

using Function = Element (*)(FunctionCall&);
struct NamedFunction {
  const char* name;
  Function function;
};
constexpr NamedFunction kFunctions[] = {
    {"bool", [](FunctionCall& c) { return cast_call(c, cast_bool); }},
    {"choice", choice},
    {"float", [](FunctionCall& c) { return cast_call(c, cast_float); }},
    {"glob", glob},
    {"int", [](FunctionCall& c) { return cast_call(c, cast_int); }},
    {"interval", interval},
    {"range", range},
    {"shuffle", shuffle},
    {"sort", sort},
    {"str", [](FunctionCall& c) { return cast_call(c, cast_str); }},
    {"tag", tag},
};

void drop_quotes(Element& e) {
  if (const std::string* text = e.text()) e = Element{std::string(*text)};
}

}  // namespace

Element call_function(FunctionCall call) {
  for (Element& e : call.args) drop_quotes(e);
  for (auto& [name, e] : call.kwargs) drop_quotes(e);
  std::string known;
  for (const auto& [name, function] : kFunctions) {
    if (call.name == name) return function(call);
    known += (known.empty() ? "" : ",") + std::string(name);
  }
  throw FunctionFailure{"HydraException", "Unknown function '" + call.name + "'\nAvailable: " + known};
}

}  // namespace fathom::config
