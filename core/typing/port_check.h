// The rules of a typed call (NeMo's typecheck), without torch: names, counts, optional ports, nested lists, ranks and
// neural types of the values that enter and leave a component.
//
// Works directly on the boundary's structs (fathom/abi/value.h), so that a check copies nothing. While all is well it
// neither allocates nor builds text: under 100 ns for four inputs and two outputs. Any thread.
//
// Who checks what:
//   inputs   mandatory <= number of values <= ports; every name is a port's, once; a value that carries a type must be
//            SAME or GREATER; a shape must have as many dimensions as the port has axes. Values inside lists likewise,
//            and they must be as deep as the port's list_depth (a bare value may enter a list port).
//            NeMo lets None into any port, to fail inside forward; refuse_none does not.
//   outputs  the same counts, names, depths and ranks; types are attached, not compared.
// As in NeMo, a missing mandatory input is noticed by the number of values, not by its name.
// Both checks do nothing while typecheck_enabled() is false; semantic_checks_enabled() governs the comparison only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/typing/neural_type.h"
#include "fathom/abi/value.h"
#include "fathom/error.h"

namespace fathom::typing {

// NeMo's exception classes.
enum class PortErrorKind { kNeuralTypeError, kNeuralPortNameMismatchError, kNeuralPortNmTensorMismatchError };

// What exactly was wrong.
enum class PortFault : uint8_t {
  kPositional,  // a value without a name
  kInputCount,
  kUnknownName,
  kDuplicateName,  // one port given twice
  kSemantic,
  kInputRank,
  kInputDepth,
  kInputNone,  // nothing, given for a mandatory port
  kOutputCount,
  kUnknownOutput,
  kOutputRank,
  kOutputDepth,
  kContainerDeclaration,  // a list port declared with several element types
  kNotTyping,             // a typed call of a component without ports
  kOldPorts,              // ports declared in the form before typed calls
};
// "positional", "input_count", … : neutral keywords for tests and logs.
std::string_view port_fault_name(PortFault fault);
PortErrorKind kind_of(PortFault fault);
std::string_view port_error_kind_name(PortErrorKind kind);  // "NeuralTypeError", …

class PortError : public Error {
 public:
  PortError(PortFault fault, Error&& error, Comparison comparison = Comparison::kUnchecked)
      : Error(std::move(error)), fault_(fault), comparison_(comparison) {}
  PortFault fault() const { return fault_; }
  PortErrorKind kind() const { return kind_of(fault_); }
  Comparison comparison() const { return comparison_; }  // of kSemantic; kUnchecked otherwise

 private:
  PortFault fault_;
  Comparison comparison_;
};

struct CheckOptions {
  bool ignore_collections = false;  // values may be nested deeper or flatter than declared
  bool refuse_none = false;         // nothing at all (None) enters an optional port only
};

// `owner` names the component in messages. Throws PortError.
void check_inputs(std::string_view owner, std::span<const fathom_port> ports,
                  std::span<const fathom_named_value> values, CheckOptions options = {});

// Called for each value inside an output (the value itself, or every leaf of its lists) with the declared type.
using Attach = std::function<void(const fathom_value& leaf, TypeId type)>;

// Named outputs. `attach`, if given, is called as the values are checked.
void check_outputs(std::string_view owner, std::span<const fathom_port> ports,
                   std::span<const fathom_named_value> values, CheckOptions options = {},
                   const Attach* attach = nullptr);

// Outputs as a Python method returns them: one bare value for the first port; a list whose items are the ports in
// order; or, when the only port is a list port, that list itself. `is_tuple` tells a tuple from a list, which differ
// when a tuple of one is returned for one list port: the tuple is then no part of the value.
void check_returned(std::string_view owner, std::span<const fathom_port> ports, const fathom_value& returned,
                    bool is_tuple, CheckOptions options = {}, const Attach* attach = nullptr);

// Refuses a typed call of a component that declares no types, or declares them in the old form (kNotTyping, kOldPorts).
void check_typed_owner(std::string_view owner, bool declares_types, bool declares_old_ports);

}  // namespace fathom::typing
