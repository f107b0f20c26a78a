// Axes of a neural type: what a dimension of a tensor means, and how large it must be.
// Kinds, labels and printing follow NeMo's AxisKind and AxisType (nemo.core.neural_types.axes).
// All functions may be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::typing {

// The numbers are NeMo's. Kinds that plugins add start at kFirstUserKind.
enum class AxisKind : uint16_t {
  kBatch = 0,
  kTime = 1,
  kDimension = 2,  // also called Channel
  kWidth = 3,
  kHeight = 4,
  kAny = 5,
  kSequence = 6,
  kFlowGroup = 7,
  kSingleton = 8,
};
inline constexpr uint16_t kFirstUserKind = 256;

// The kind a label stands for, case and outer blanks ignored: b n batch | t time t_… | d c channel | w width | h height
// | s singleton | seq sequence | flowgroup | any. Otherwise a kind registered under exactly this name. Throws
// Error(kBadData) with the nearest labels.
AxisKind axis_kind_from_label(std::string_view label);
std::optional<AxisKind> find_axis_kind(std::string_view label);

// Printed name: "batch", "dimension"; the registered name of a plugin's kind.
std::string axis_kind_name(AxisKind kind);
// The shortest label axis_kind_from_label understands: "B", "D", "any". (The name does not do: "dimension" is no
// label.)
std::string axis_kind_label(AxisKind kind);
// The member of NeMo's enum with this name ("Batch", "Channel"), or a registered kind.
std::optional<AxisKind> axis_kind_from_member(std::string_view member);
// NeMo's AxisKindAbstract.t_with_string: whether `text` is "t_" + the kind's name + "_".
bool t_with_string(AxisKind kind, std::string_view text);

// Adds an axis kind; the same name again is the same kind, whoever registers it, so that two plugins' types meet.
// Throws Error(kFailed) when the name already is a label or cannot be written in the text form. `provider` is for
// messages.
AxisKind register_axis_kind(std::string_view name, std::string_view provider);

struct Axis {
  AxisKind kind = AxisKind::kAny;
  std::optional<int64_t> size;  // elements along the axis; none = any number
  bool is_list = false;         // a list of tensors instead of a dimension of one

  // "batch", "dimension:64", "batch_listdim"
  std::string repr() const;
};

// Throws Error(kBadData) when both a size and is_list are given.
Axis make_axis(AxisKind kind, std::optional<int64_t> size = std::nullopt, bool is_list = false);

// Throws Error(kBadData) when a list axis follows a tensor axis.
void check_axis_order(const std::vector<Axis>& axes);

// "B D:80 T" -> axes; labels separated by blanks, each with an optional size and "_listdim". "" has no axes: a scalar.
std::vector<Axis> parse_axes(std::string_view text);

// One axis as repr() prints it; label or printed name.
Axis parse_axis(std::string_view text);

}  // namespace fathom::typing
