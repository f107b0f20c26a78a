// Recorded truth about neural types and typed calls, run against core/typing.
//
// Where the recording is of Python itself, the nearest thing the JSON form can say is sent:
//   - a user-defined element class is known by its description, and Python has different classes of one name: each
//     description is registered under a name of its own;
//   - a value that is no axis or no element type (a class, an integer) is sent as JSON of another kind, to be refused.
// Recorded behaviour that is deliberately not reproduced: leaving a nested disable_checks() switches the checks on
// again in NeMo; here it restores what held before (docs/nemo-compatibility.md). `switches` allows exactly that
// difference.
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/typing/neural_type.h"
#include "core/typing/port_check.h"
#include "core/typing/port_errors.h"
#include "core/typing/port_list.h"
#include "core/typing/switches.h"
#include "fathom/json.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;
using namespace fathom::typing;

Outcome compare_text(std::string_view what, const std::string& expected, const std::string& got) {
  if (expected == got) return pass();
  return fail(std::string(what) + ": expected " + expected + ", got " + got);
}

Outcome compare_json(std::string_view what, const json& expected, const json& got) {
  if (expected == got) return pass();
  return fail(std::string(what) + ": expected " + json_text(expected) + ", got " + json_text(got));
}

// ---- recorded types -> the boundary's JSON form

std::string element_name(const json& element) {
  if (element.is_null()) return "VoidType";
  if (element.is_string()) return element.get<std::string>();
  ElementTypeDefinition definition;
  definition.parent = element_name(element.at("base"));
  definition.open_params = true;
  if (element.contains("fields") && !element["fields"].is_null()) {
    definition.fields = element["fields"].get<std::vector<std::string>>();
  }
  definition.name =
      element.at("name").get<std::string>() + "_" + std::to_string(std::hash<std::string>{}(json_text(element)));
  return register_element_type(definition, "conformance").name;
}

// Labels stay as recorded; "user:Foo" is a member of a user-defined axis enum. In recorded results kinds are enum
// members
// ("Dimension"), which are not labels.
json axis_label(const json& label, bool members) {
  if (!label.is_string()) return label;
  const std::string text = label.get<std::string>();
  if (text.starts_with("user:")) {
    register_axis_kind("user_" + text.substr(5), "conformance");
    return "user_" + text.substr(5);
  }
  if (const auto kind = members ? axis_kind_from_member(text) : std::nullopt) return axis_kind_label(*kind);
  return label;
}

json boundary_axes(const json& axes, bool members) {
  if (!axes.is_array()) return axes;
  json out = json::array();
  for (json axis : axes) {
    if (axis.is_object() && axis.contains("kind")) {
      axis["kind"] = axis_label(axis["kind"], members);
    } else {
      axis = axis_label(axis, members);
    }
    out.push_back(axis);
  }
  return out;
}

json boundary_type(const json& recorded, bool members = false) {
  json out = json::object();
  out["axes"] = boundary_axes(recorded.contains("axes") ? recorded["axes"] : json(nullptr), members);
  out["elements"] = element_name(recorded.contains("element") ? recorded["element"] : json(nullptr));
  if (recorded.contains("params")) out["params"] = recorded["params"];
  if (recorded.contains("optional")) out["optional"] = recorded["optional"];
  return out;
}

TypeId interned(const json& recorded, bool members = false) {
  return intern_json(json_text(boundary_type(recorded, members)));
}

// ---- neural_types

Outcome run_compare(const Case& c) {
  if (c.body.contains("error")) {
    try {
      interned(c.body.at("first"));
      interned(c.body.at("second"));
    } catch (const Error&) {
      return pass();
    }
    return fail("expected an error: " + json_text(c.body["error"]));
  }
  const TypeId first = interned(c.body.at("first"));
  const TypeId second = interned(c.body.at("second"));
  const std::string expected = c.body.at("result");
  // Computed, put into the cache, and read from it.
  const Comparison computed = compare(type_of(first), type_of(second));
  if (compare(first, second) != computed || compare(first, second) != computed) {
    return fail("the cached comparison differs from the computed " + std::string(comparison_name(computed)));
  }
  return compare_text("result", expected, std::string(comparison_name(computed)));
}

Outcome run_element_compare(const Case& c) {
  const auto element = [&](const char* which, const char* params) {
    json type = {{"axes", nullptr}, {"element", c.body.at(which)}};
    if (c.body.contains(params)) type["params"] = c.body[params];
    return neural_type_from_json(boundary_type(type)).elements;
  };
  return compare_text(
      "result", c.body.at("result"),
      std::string(comparison_name(compare(element("first", "first_params"), element("second", "second_params")))));
}

Outcome run_element_tree(const Case& c) {
  const ElementType element = make_element(c.body.at("element").get<std::string>());
  json got = {{"ancestors", json::array()}, {"type_parameters", json::object()}, {"fields", nullptr}};
  for (const auto* at = element.cls->parent; at != nullptr; at = at->parent) got["ancestors"].push_back(at->name);
  for (const auto& [name, value] : element.params) {
    got["type_parameters"][name] =
        std::holds_alternative<std::monostate>(value) ? json(nullptr) : json(param_repr(value));
  }
  if (element.cls->fields) got["fields"] = *element.cls->fields;
  got["repr"] = element.cls->name;
  for (const char* key : {"ancestors", "type_parameters", "fields", "repr"}) {
    if (const Outcome o = compare_json(key, c.body.at(key), got[key]); !o.passed) return o;
  }
  return pass();
}

Outcome run_axis_labels(const Case& c) {
  const std::string label = c.body.at("label");
  const bool refused = c.body.contains("error");
  try {
    const AxisKind kind = axis_kind_from_label(label);
    if (refused) return fail("expected an error, got " + axis_kind_name(kind));
    if (axis_kind_from_member(c.body.at("kind").get<std::string>()) != kind) {
      return fail("expected " + json_text(c.body["kind"]) + ", got " + axis_kind_name(kind));
    }
    if (c.body.at("value") != static_cast<int>(kind))
      return fail("the kind's number is " + std::to_string(static_cast<int>(kind)));
    return compare_text("str", c.body.at("str"), axis_kind_name(kind));
  } catch (const Error& error) {
    if (!refused) return fail(std::string("expected ") + json_text(c.body.at("kind")) + ", got " + error.message());
    return compare_text("message", c.body.at("message"), error.message());
  }
}

Outcome run_axis_kinds(const Case& c) {
  if (c.body.contains("t_with_string")) {
    const auto kind = axis_kind_from_member(c.body.at("kind").get<std::string>());
    if (!kind) return fail("there is no kind " + json_text(c.body["kind"]));
    return compare_json("t_with_string", c.body["t_with_string"],
                        t_with_string(*kind, c.body.at("text").get<std::string>()));
  }
  const auto kind = axis_kind_from_member(c.body.at("name").get<std::string>());
  if (!kind) return fail("there is no kind " + json_text(c.body["name"]));
  if (axis_kind_from_member(c.body.at("canonical").get<std::string>()) != kind)
    return fail("the alias leads elsewhere");
  if (c.body.at("value") != static_cast<int>(*kind))
    return fail("the number is " + std::to_string(static_cast<int>(*kind)));
  return compare_text("str", c.body.at("str"), axis_kind_name(*kind));
}

Outcome run_text(const Case& c) {
  const NeuralType type = neural_type_from_json(boundary_type(c.body.at("type")));
  if (const Outcome o = compare_text("str", c.body.at("str"), type.str()); !o.passed) return o;
  if (const Outcome o = compare_text("repr", c.body.at("repr"), type.repr()); !o.passed) return o;
  if (const Outcome o = compare_json("rank", c.body.at("rank"), type.axes ? json(type.rank()) : json(nullptr));
      !o.passed)
    return o;
  json axes = nullptr;
  if (type.axes) {
    axes = json::array();
    for (const Axis& axis : *type.axes) axes.push_back(axis.repr());
  }
  if (const Outcome o = compare_json("axes_repr", c.body.at("axes_repr"), axes); !o.passed) return o;
  // Both forms lead back to the same type.
  if (intern(neural_type_from_json(neural_type_to_json(type))) != intern(type))
    return fail("the JSON form reads back differently");
  if (intern(neural_type_from_text(type.text())) != intern(type)) return fail("the text form reads back differently");
  return pass();
}

json construct_request(const json& construct) {
  json request = json::object();
  if (construct.contains("axes_iterable_string")) {
    request["axes"] = json::array();
    // A Python string is iterated by characters; recorded ones are ASCII.
    for (const char letter : construct["axes_iterable_string"].get<std::string>())
      request["axes"].push_back(std::string(1, letter));
  } else if (construct.contains("axes_python")) {
    const std::string what = construct["axes_python"];
    request["axes"] = what == "not iterable" ? json(5) : json::array({5});
  } else if (construct.contains("axes")) {
    request["axes"] = boundary_axes(construct["axes"], false);
  }
  if (construct.contains("element_class_instead_of_instance")) {
    request["elements"] = json{{"class", construct["element_class_instead_of_instance"]}};
  } else if (construct.contains("element_python")) {
    request["elements"] = 5;
  } else if (construct.contains("element")) {
    request["elements"] = element_name(construct["element"]);
  }
  if (construct.contains("params")) request["params"] = construct["params"];
  if (construct.contains("optional")) request["optional"] = construct["optional"];
  return request;
}

Outcome run_construct(const Case& c) {
  const bool ok = c.body.at("ok");
  try {
    const NeuralType type = neural_type_from_json(construct_request(c.body.at("construct")));
    if (!ok) return fail("expected " + json_text(c.body.at("message")) + ", got " + type.repr());
    return compare_text("repr", c.body.at("repr"), type.repr());
  } catch (const Error& error) {
    if (ok) return fail("expected " + json_text(c.body.at("repr")) + ", got " + error.what());
    // The one message that carries data must carry the same.
    const std::string message = c.body.at("message");
    if (message.starts_with("Can't create AxisKind")) return compare_text("message", message, error.message());
    return pass();
  }
}

Outcome run_comparison_results(const Case& c) {
  for (size_t i = 0; i < kComparisonNames.size(); ++i) {
    if (kComparisonNames[i] != c.body.at("name").get<std::string>()) continue;
    if (c.body.at("value") != i) return fail("its number is " + std::to_string(i));
    return compare_json("accepted", c.body.at("accepted_by_typed_call"), accepted(static_cast<Comparison>(i)));
  }
  return fail("there is no such result");
}

// ---- typecheck

// A recorded value in the boundary's form. Owns the items of its lists and the recorded JSON's container kind.
struct Recorded {
  fathom_value value{};
  std::string container;  // "list" or "tuple"
  json source;            // of a leaf
  std::deque<Recorded> items;
  std::vector<fathom_value> table;

  explicit Recorded(const json& body) {
    value.rank = -1;
    for (const char* kind : {"list", "tuple"}) {
      if (!body.contains(kind)) continue;
      container = kind;
      for (const json& item : body[kind]) items.emplace_back(item);
      for (const auto& item : items) table.push_back(item.value);
      value.kind = FATHOM_VALUE_LIST;
      value.as.list = {table.data(), table.size()};
      return;
    }
    source = body;
    if (body.contains("shape")) {
      value.kind = FATHOM_VALUE_TENSOR;
      value.rank = static_cast<int32_t>(body["shape"].size());
    }
    if (body.contains("type")) value.type = interned(body["type"]);
  }
  Recorded(const Recorded&) = delete;

  // Numbers, strings and None cannot carry a type.
  bool carries_types() const { return source.contains("shape") || source.contains("object"); }

  void set_type(const fathom_value& leaf, TypeId type) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (&table[i] == &leaf) {
        if (items[i].carries_types()) items[i].value.type = type;
        return;
      }
      items[i].set_type(leaf, type);
    }
    if (&value == &leaf && carries_types()) value.type = type;
  }
};

Outcome same_value(const json& expected, const Recorded& got) {
  if (!got.container.empty()) {
    if (!expected.contains(got.container)) return fail("expected " + json_text(expected) + ", got a " + got.container);
    const json& items = expected[got.container];
    if (items.size() != got.items.size()) return fail("another number of items");
    for (size_t i = 0; i < items.size(); ++i) {
      if (const Outcome o = same_value(items[i], got.items[i]); !o.passed) return o;
    }
    return pass();
  }
  json bare = expected, source = got.source;
  bare.erase("type");
  source.erase("type");
  if (bare != source) return fail("expected " + json_text(bare) + ", got " + json_text(source));
  const TypeId type = expected.contains("type") ? interned(expected["type"], true) : kNoType;
  if (type == got.value.type) return pass();
  const auto show = [](TypeId id) { return id == kNoType ? std::string("no type") : type_of(id).text(); };
  return fail("expected " + show(type) + ", got " + show(got.value.type));
}

// The checks go through arguments and outputs in the order they were written in, which a parsed case (sorted by name)
// has lost: read from the recorded line itself. Without the file the names' order stands in.
using Ordered = nlohmann::ordered_json;

Ordered in_recorded_order(const Case& c) {
  static auto& files = *new std::map<std::string, std::map<std::string, Ordered>>;
  const std::string path = c.folder + "/" + c.suite.substr(c.suite.rfind('/') + 1) + ".jsonl";
  auto [it, fresh] = files.try_emplace(path);
  if (fresh) {
    std::ifstream lines(path);
    for (std::string line; std::getline(lines, line);) {
      Ordered body = Ordered::parse(line, nullptr, false);
      if (body.is_discarded()) continue;
      const std::string id = body.at("id");
      it->second.emplace(id, std::move(body));
    }
  }
  const auto found = it->second.find(c.id);
  return found != it->second.end() ? found->second : Ordered::parse(json_text(c.body));
}

PortList declared_ports(const Ordered& types) {
  // Wrapped types stay wrapped; what they wrap is translated.
  const std::function<json(const json&)> translate = [&](const json& type) {
    if (!type.is_array()) return boundary_type(type);
    json out = json::array();
    for (const json& inner : type) out.push_back(translate(inner));
    return out;
  };
  std::vector<Port> ports;
  for (const auto& [name, type] : types.items())
    ports.push_back(port_from_declaration(name, translate(json::parse(json_text(type)))));
  return PortList(std::move(ports));
}

Outcome run_typed_call(const Case& c) {
  const json& body = c.body;
  const json& expect = body.at("expect");
  const Ordered ordered = in_recorded_order(c);
  std::optional<DisableChecks> no_checks;
  std::optional<DisableSemanticChecks> no_semantic;
  if (!body.value("typecheck", true)) no_checks.emplace();
  if (!body.value("semantic", true)) no_semantic.emplace();
  const CheckOptions options{.ignore_collections = body.value("ignore_collections", false)};
  const std::string owner = body.value("owner", "typing");

  std::deque<Recorded> storage;
  std::vector<std::string> names;
  std::vector<fathom_named_value> values;
  const json positional = body.value("positional", json::array());
  const Ordered args = ordered.value("args", Ordered::object());
  names.reserve(args.size());
  for (const json& value : positional) values.push_back({{nullptr, 0}, storage.emplace_back(value).value});
  for (const auto& [name, value] : args.items()) {
    names.push_back(name);
    values.push_back(
        {{names.back().data(), names.back().size()}, storage.emplace_back(json::parse(json_text(value))).value});
  }
  Recorded returned(body.at("returns"));
  bool called = false;
  try {
    check_typed_owner("module", owner != "plain", owner == "old_ports");
    if (!body.at("input_types").is_null() && typecheck_enabled()) {
      check_inputs("module", declared_ports(ordered["input_types"]).view(), values, options);
    }
    called = true;
    if (!body.at("output_types").is_null() && typecheck_enabled()) {
      const Attach attach = [&](const fathom_value& leaf, TypeId type) { returned.set_type(leaf, type); };
      check_returned("module", declared_ports(ordered["output_types"]).view(), returned.value,
                     returned.container == "tuple", options, &attach);
    }
  } catch (const PortError& error) {
    std::string fault(port_fault_name(error.fault()));
    if (expect.at("ok") == true) return fail("expected a successful call, got " + fault + ": " + error.what());
    if (expect.at("called") != called) return fail("the body was " + std::string(called ? "" : "not ") + "called");
    if (expect.at("reason") != fault)
      return fail("expected " + json_text(expect["reason"]) + ", got " + fault + ": " + error.what());
    const bool runtime = error.fault() == PortFault::kNotTyping || error.fault() == PortFault::kOldPorts;
    if (expect.at("error") != (runtime ? "RuntimeError" : "TypeError"))
      return fail("another class of error than " + json_text(expect["error"]));
    if (expect.contains("comparison")) {
      return compare_text("comparison", expect["comparison"], std::string(comparison_name(error.comparison())));
    }
    return pass();
  }
  // reason null: the host language itself objected (a method called without one of its arguments); the checks did not.
  if (expect.at("ok") != true) {
    return expect.at("reason").is_null() ? pass()
                                         : fail("expected " + json_text(expect["reason"]) + ", got a successful call");
  }
  return same_value(expect.at("output"), returned);
}

// One switch as the recorded operations leave it, for judging where restoring differs from NeMo's "always on again".
struct SwitchHistory {
  std::vector<bool> outer;  // what held before each open scope
  bool now = true;
  bool forgotten = false;  // an exit, which in NeMo switches on, has put back an "off"
};

Outcome run_switches(const Case& c) {
  struct Scope {
    bool checks;
    std::unique_ptr<DisableChecks> no_checks;
    std::unique_ptr<DisableSemanticChecks> no_semantic;
  };
  struct Restore {  // the case must not leak into the next one
    bool typecheck = typecheck_enabled(), semantic = semantic_checks_enabled();
    ~Restore() {
      set_typecheck_enabled(typecheck);
      set_semantic_checks_enabled(semantic);
    }
  } restore;
  std::vector<Scope> scopes;
  SwitchHistory checks, semantic;
  const json& states = c.body.at("states");
  size_t at = 0;
  for (const std::string op : c.body.at("ops")) {
    if (op == "enter_checks" || op == "enter_semantic") {
      const bool is_checks = op == "enter_checks";
      Scope& scope = scopes.emplace_back(Scope{is_checks, nullptr, nullptr});
      SwitchHistory& history = is_checks ? checks : semantic;
      history.outer.push_back(history.now);
      history.now = false;
      if (is_checks) scope.no_checks = std::make_unique<DisableChecks>();
      if (!is_checks) scope.no_semantic = std::make_unique<DisableSemanticChecks>();
    } else if (op == "exit" || op == "raise") {
      if (scopes.empty()) return fail("the case leaves a scope it has not entered");
      SwitchHistory& history = scopes.back().checks ? checks : semantic;
      if (op == "raise") {
        try {
          const Scope unwound = std::move(scopes.back());
          throw std::runtime_error("left through an exception");
        } catch (const std::runtime_error&) {
        }
      }
      scopes.pop_back();
      history.now = history.outer.back();
      history.outer.pop_back();
      history.forgotten = !history.now;
    } else if (op == "set_checks_false" || op == "set_checks_true" || op == "wrap_false" || op == "wrap_true") {
      checks.now = op.ends_with("true");
      checks.forgotten = false;
      set_typecheck_enabled(checks.now);
    } else if (op == "set_semantic_false" || op == "set_semantic_true") {
      semantic.now = op.ends_with("true");
      semantic.forgotten = false;
      set_semantic_checks_enabled(semantic.now);
    } else {
      return fail("unknown operation " + op);
    }
    const json& state = states.at(at);
    const auto judge = [&](const char* name, bool got, const SwitchHistory& history) {
      if (got != history.now) return fail(std::string(name) + " after " + op + " is not what the scopes say");
      if (state.at(name) == got || (history.forgotten && !got)) return pass();
      return fail(std::string(name) + " after operation " + std::to_string(at) + " (" + op + "): expected " +
                  json_text(state[name]));
    };
    if (const Outcome o = judge("typecheck", typecheck_enabled(), checks); !o.passed) return o;
    if (const Outcome o = judge("semantic", semantic_checks_enabled(), semantic); !o.passed) return o;
    ++at;
  }
  while (!scopes.empty()) scopes.pop_back();
  return pass();
}

}  // namespace

void add_typing_suites(std::vector<Suite>& suites) {
  suites.push_back({"neural_types/compare_axes", run_compare});
  suites.push_back({"neural_types/compare_mixed", run_compare});
  suites.push_back({"neural_types/compare_user_defined", run_compare});
  suites.push_back({"neural_types/element_compare", run_element_compare});
  suites.push_back({"neural_types/element_tree", run_element_tree});
  suites.push_back({"neural_types/axis_labels", run_axis_labels});
  suites.push_back({"neural_types/axis_kinds", run_axis_kinds});
  suites.push_back({"neural_types/text", run_text});
  suites.push_back({"neural_types/construct", run_construct});
  suites.push_back({"neural_types/comparison_results", run_comparison_results});
  for (const char* name : {"containers_in", "counts", "outputs", "owners", "random_calls", "semantic"}) {
    suites.push_back({std::string("typecheck/") + name, run_typed_call});
  }
  suites.push_back({"typecheck/switches", run_switches});
}

}  // namespace fathom::conformance
