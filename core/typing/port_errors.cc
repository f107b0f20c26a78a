#include "core/typing/port_errors.h"

#include <array>

#include "core/base/text.h"
#include "core/typing/value_source.h"

namespace fathom::typing {
namespace {

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }
std::string name_of(const fathom_port& port) { return std::string(port.name.ptr, port.name.len); }

bool is_optional(const fathom_port& port) {
  return port.optional != 0 || (port.type != kNoType && type_of(port.type).optional);
}

// "audio_signal, length, [mask]": optional ports in brackets.
std::string port_names(std::span<const fathom_port> ports) {
  std::vector<std::string> names;
  for (const auto& port : ports) names.push_back(is_optional(port) ? "[" + name_of(port) + "]" : name_of(port));
  return names.empty() ? "no ports" : join(names, ", ");
}

std::string type_text(TypeId type) { return type == kNoType ? "any type" : type_of(type).text(); }

std::string lists(uint32_t depth) {
  if (depth == 0) return "a value that is in no list";
  return depth == 1 ? "a list of values" : "lists nested " + std::to_string(depth) + " deep";
}

// The key of an owner that is written as "model.encoder (asr.ConvASREncoder of plugin 'asr')".
std::string place_of(std::string_view owner) { return std::string(owner.substr(0, owner.find(" ("))); }

}  // namespace

std::string type_advice(const NeuralType& declared, const NeuralType& value, Comparison result) {
  switch (result) {
    case Comparison::kLess:
      return "the port takes only the special case " + declared.elements.cls->name + " of " + value.elements.cls->name +
             ": produce that, or declare the port as " + value.elements.cls->name;
    case Comparison::kTransposeSame: return "transpose the value: it has the port's axes in another order";
    case Comparison::kDimIncompatible:
      return "the axes are the port's but not their sizes: check the sizes both sides are configured with";
    case Comparison::kSameTypeIncompatibleParams:
      return "give both sides the same parameters (a sample rate, for one): change the configuration or convert the "
             "value";
    default: return "connect an output of a matching type, or switch the comparison off with disable_semantic_checks";
  }
}

std::string_view port_fault_name(PortFault fault) {
  constexpr std::array<std::string_view, 15> kNames = {"positional",
                                                       "input_count",
                                                       "unknown_name",
                                                       "duplicate_name",
                                                       "semantic",
                                                       "input_rank",
                                                       "input_depth",
                                                       "input_none",
                                                       "output_count",
                                                       "unknown_output",
                                                       "output_rank",
                                                       "output_depth",
                                                       "container_declaration",
                                                       "not_typing",
                                                       "old_ports"};
  return kNames[static_cast<size_t>(fault)];
}

PortErrorKind kind_of(PortFault fault) {
  switch (fault) {
    case PortFault::kPositional:
    case PortFault::kInputCount:
    case PortFault::kUnknownName:
    case PortFault::kDuplicateName:
    case PortFault::kOutputCount:
    case PortFault::kUnknownOutput: return PortErrorKind::kNeuralPortNameMismatchError;
    case PortFault::kSemantic:
    case PortFault::kInputRank:
    case PortFault::kInputDepth:
    case PortFault::kInputNone:
    case PortFault::kOutputRank:
    case PortFault::kOutputDepth: return PortErrorKind::kNeuralPortNmTensorMismatchError;
    case PortFault::kContainerDeclaration:
    case PortFault::kNotTyping:
    case PortFault::kOldPorts: break;
  }
  return PortErrorKind::kNeuralTypeError;
}

std::string_view port_error_kind_name(PortErrorKind kind) {
  switch (kind) {
    case PortErrorKind::kNeuralPortNameMismatchError: return "NeuralPortNameMismatchError";
    case PortErrorKind::kNeuralPortNmTensorMismatchError: return "NeuralPortNmTensorMismatchError";
    case PortErrorKind::kNeuralTypeError: break;
  }
  return "NeuralTypeError";
}

PortError positional_error(std::string_view owner, std::span<const fathom_port> ports) {
  return {PortFault::kPositional,
          Error(Code::kFailed, std::string(owner) + ": a value was passed without its port's name")
              .at(place_of(owner))
              .expected(port_names(ports))
              .next("pass every value by name")};
}

PortError count_error(std::string_view owner, bool outputs, std::span<const fathom_port> ports, size_t mandatory,
                      size_t count, std::span<const fathom_named_value> values) {
  std::vector<std::string> given;
  for (const auto& value : values) given.emplace_back(value.name.ptr, value.name.len);
  std::vector<std::string> missing;
  for (const auto& port : ports) {
    bool found = is_optional(port);
    for (const auto& name : given) found = found || name == name_of(port);
    if (!found) missing.push_back(name_of(port));
  }
  const std::string noun = outputs ? "outputs" : "inputs";
  std::string next;
  if (count < mandatory && !values.empty()) next = "add " + join(missing, ", ");
  if (count > ports.size()) next = "leave out what is no port, or declare a port for it";
  return {
      outputs ? PortFault::kOutputCount : PortFault::kInputCount,
      Error(Code::kFailed, std::string(owner) + ": wrong number of " + noun)
          .at(place_of(owner))
          .seen(std::to_string(count) + (given.empty() ? "" : ": " + join(given, ", ")))
          .expected((mandatory == ports.size() ? std::to_string(mandatory)
                                               : std::to_string(mandatory) + " to " + std::to_string(ports.size())) +
                    ": " + port_names(ports))
          .next(next)};
}

PortError name_error(std::string_view owner, PortFault fault, std::span<const fathom_port> ports,
                     std::string_view name) {
  const std::string noun = fault == PortFault::kUnknownOutput ? "output" : "input";
  std::vector<std::string> known;
  for (const auto& port : ports) known.push_back(name_of(port));
  if (fault == PortFault::kDuplicateName) {
    return {fault, Error(Code::kFailed, std::string(owner) + ": port " + quoted(name) + " was given twice")
                       .at(place_of(owner))
                       .next("give each port once")};
  }
  return {fault, Error(Code::kFailed, std::string(owner) + " has no " + noun + " " + quoted(name))
                     .at(place_of(owner))
                     .seen(std::string(name))
                     .expected(port_names(ports))
                     .candidates(nearest_names(name, known))};
}

PortError semantic_error(std::string_view owner, const fathom_port& port, const fathom_value& value,
                         Comparison result) {
  const std::string source = source_text(value.source);
  return {PortFault::kSemantic,
          Error(Code::kFailed, std::string(owner) + ": input " + quoted(name_of(port)) +
                                   " got a value of another neural type (" + std::string(comparison_name(result)) + ")")
              .at(place_of(owner) + "." + name_of(port))
              .seen(type_text(value.type) + (source.empty() ? "" : ", from " + source))
              .expected(type_text(port.type))
              .next(type_advice(type_of(port.type), type_of(value.type), result)),
          result};
}

PortError rank_error(std::string_view owner, bool outputs, const fathom_port& port, int rank) {
  return {outputs ? PortFault::kOutputRank : PortFault::kInputRank,
          Error(Code::kFailed, std::string(owner) + ": " + (outputs ? "output " : "input ") + quoted(name_of(port)) +
                                   " has the wrong number of dimensions")
              .at(place_of(owner) + "." + name_of(port))
              .seen(std::to_string(rank) + (rank == 1 ? " dimension" : " dimensions"))
              .expected(std::to_string(rank_of(port.type)) + ": " + type_of(port.type).str())
              .next(outputs ? "correct what forward returns, or the declared axes" : "unsqueeze or reshape the value")};
}

PortError depth_error(std::string_view owner, bool outputs, const fathom_port& port, uint32_t depth) {
  return {outputs ? PortFault::kOutputDepth : PortFault::kInputDepth,
          Error(Code::kFailed, std::string(owner) + ": " + (outputs ? "output " : "input ") + quoted(name_of(port)) +
                                   " is not nested in lists as declared")
              .at(place_of(owner) + "." + name_of(port))
              .seen(lists(depth))
              .expected(lists(port.list_depth))
              .next("match the port's list_depth, or ask for ignore_collections")};
}

PortError none_error(std::string_view owner, const fathom_port& port) {
  return {PortFault::kInputNone,
          Error(Code::kFailed, std::string(owner) + ": input " + quoted(name_of(port)) + " got nothing (None)")
              .at(place_of(owner) + "." + name_of(port))
              .expected(type_text(port.type))
              .next("give it a value; only an optional port may be left empty")};
}

PortError declaration_error(std::string_view port, const std::string& seen) {
  return {PortFault::kContainerDeclaration,
          Error(Code::kFailed, "port " + quoted(port) + " declares a list with several element types")
              .at(std::string(port))
              .seen(seen)
              .expected("one neural type inside the lists: [[TYPE]]")};
}

PortError owner_error(std::string_view owner, PortFault fault) {
  if (fault == PortFault::kOldPorts) {
    return {fault, Error(Code::kFailed, std::string(owner) + " declares its ports in the old form")
                       .at(place_of(owner))
                       .seen("input_ports, output_ports")
                       .next("declare input_types and output_types instead")};
  }
  return {fault,
          Error(Code::kFailed, std::string(owner) + " declares no neural types but was called as a typed component")
              .at(place_of(owner))
              .next("give it input and output ports, or call it without type checks")};
}

}  // namespace fathom::typing
