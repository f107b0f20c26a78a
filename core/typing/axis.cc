#include "core/typing/axis.h"

#include <array>
#include <charconv>
#include <mutex>
#include <shared_mutex>

#include "core/base/text.h"
#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::typing {
namespace {

struct Builtin {
  AxisKind kind;
  std::string_view member;  // the enum member's name in NeMo
  std::string_view name;    // printed
  std::string_view label;   // shortest label
};

constexpr std::array kBuiltins = {
    Builtin{AxisKind::kBatch, "Batch", "batch", "B"},
    Builtin{AxisKind::kTime, "Time", "time", "T"},
    Builtin{AxisKind::kDimension, "Dimension", "dimension", "D"},
    Builtin{AxisKind::kWidth, "Width", "width", "W"},
    Builtin{AxisKind::kHeight, "Height", "height", "H"},
    Builtin{AxisKind::kAny, "Any", "any", "any"},
    Builtin{AxisKind::kSequence, "Sequence", "sequence", "seq"},
    Builtin{AxisKind::kFlowGroup, "FlowGroup", "flowgroup", "flowgroup"},
    Builtin{AxisKind::kSingleton, "Singleton", "singleton", "S"},
};

struct Label {
  std::string_view text;
  AxisKind kind;
};

constexpr std::array kLabels = {
    Label{"b", AxisKind::kBatch},
    Label{"n", AxisKind::kBatch},
    Label{"batch", AxisKind::kBatch},
    Label{"t", AxisKind::kTime},
    Label{"time", AxisKind::kTime},
    Label{"d", AxisKind::kDimension},
    Label{"c", AxisKind::kDimension},
    Label{"channel", AxisKind::kDimension},
    Label{"w", AxisKind::kWidth},
    Label{"width", AxisKind::kWidth},
    Label{"h", AxisKind::kHeight},
    Label{"height", AxisKind::kHeight},
    Label{"s", AxisKind::kSingleton},
    Label{"singleton", AxisKind::kSingleton},
    Label{"seq", AxisKind::kSequence},
    Label{"sequence", AxisKind::kSequence},
    Label{"flowgroup", AxisKind::kFlowGroup},
    Label{"any", AxisKind::kAny},
};

constexpr std::string_view kListSuffix = "_listdim";

// Kinds that plugins registered: the id is kFirstUserKind + index. Never shrinks.
struct UserKinds {
  std::shared_mutex mutex;
  std::vector<std::string> names;
};

UserKinds& user_kinds() {
  static auto& kinds = *new UserKinds;
  return kinds;
}

std::optional<AxisKind> find_user_kind(std::string_view name) {
  auto& kinds = user_kinds();
  std::shared_lock lock(kinds.mutex);
  for (size_t i = 0; i < kinds.names.size(); ++i) {
    if (kinds.names[i] == name) return static_cast<AxisKind>(kFirstUserKind + i);
  }
  return std::nullopt;
}

// Bytes of the blank character at the start of `text`, 0 if there is none. The blanks are those of Python's str.strip.
size_t blank_length(std::string_view text) {
  char32_t code = 0;
  const size_t length = text.empty() ? 0 : utf8::decode(text, 0, &code);
  return utf8::is_white_space(code) ? length : 0;
}

std::string_view strip(std::string_view text) {
  while (const size_t blank = blank_length(text)) text.remove_prefix(blank);
  bool again = true;
  while (again) {
    again = false;
    for (size_t length = 1; length <= 3 && length <= text.size(); ++length) {
      if (blank_length(text.substr(text.size() - length)) == length) {
        text.remove_suffix(length);
        again = true;
        break;
      }
    }
  }
  return text;
}

// Only ASCII is lowered: no label holds a letter that a non-ASCII capital becomes.
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<AxisKind> find_builtin(std::string_view label) {
  const std::string text = lower(strip(label));
  for (const auto& known : kLabels) {
    if (known.text == text) return known.kind;
  }
  if (text.size() > 2 && text.starts_with("t_")) return AxisKind::kTime;
  return std::nullopt;
}

std::vector<std::string> known_labels() {
  std::vector<std::string> labels;
  for (const auto& label : kLabels) labels.emplace_back(label.text);
  auto& kinds = user_kinds();
  std::shared_lock lock(kinds.mutex);
  labels.insert(labels.end(), kinds.names.begin(), kinds.names.end());
  return labels;
}

const Builtin* builtin(AxisKind kind) {
  for (const auto& known : kBuiltins) {
    if (known.kind == kind) return &known;
  }
  return nullptr;
}

std::string user_kind_name(AxisKind kind) {
  auto& kinds = user_kinds();
  std::shared_lock lock(kinds.mutex);
  const size_t index = static_cast<uint16_t>(kind) - size_t{kFirstUserKind};
  if (static_cast<uint16_t>(kind) < kFirstUserKind || index >= kinds.names.size()) {
    throw Error(Code::kInternal, "axis kind " + std::to_string(static_cast<uint16_t>(kind)) + " does not exist");
  }
  return kinds.names[index];
}

}  // namespace

std::optional<AxisKind> find_axis_kind(std::string_view label) {
  if (const auto kind = find_builtin(label)) return kind;
  return find_user_kind(label);
}

AxisKind axis_kind_from_label(std::string_view label) {
  if (const auto kind = find_axis_kind(label)) return *kind;
  throw Error(Code::kBadData, "Can't create AxisKind from " + std::string(label))
      .seen("'" + std::string(label) + "'")
      .expected(
          "b, n, batch, t, time, t_<anything>, d, c, channel, w, width, h, height, s, singleton, seq, sequence, "
          "flowgroup, any, or a kind a plugin registered")
      .candidates(label == "dimension" || label == "dim" ? std::vector<std::string>{"d"}
                                                         : nearest_names(lower(strip(label)), known_labels()));
}

std::string axis_kind_name(AxisKind kind) {
  if (const Builtin* known = builtin(kind)) return std::string(known->name);
  return user_kind_name(kind);
}

std::string axis_kind_label(AxisKind kind) {
  if (const Builtin* known = builtin(kind)) return std::string(known->label);
  return user_kind_name(kind);
}

std::optional<AxisKind> axis_kind_from_member(std::string_view member) {
  for (const auto& known : kBuiltins) {
    if (known.member == member) return known.kind;
  }
  if (member == "Channel") return AxisKind::kDimension;
  return find_user_kind(member);
}

bool t_with_string(AxisKind kind, std::string_view text) { return text == "t_" + axis_kind_name(kind) + "_"; }

AxisKind register_axis_kind(std::string_view name, std::string_view provider) {
  const auto refuse = [&](std::string why) {
    throw Error(Code::kFailed, "axis kind '" + std::string(name) + "' cannot be registered: " + why)
        .at(std::string(provider))
        .next("choose another name");
  };
  if (name.empty() || !utf8::is_valid(name)) refuse("the name is empty or not UTF-8");
  if (name.find_first_of(":,;()=\"' \t\r\n") != std::string_view::npos)
    refuse("the name holds a blank or one of :,;()='\"");
  if (name.ends_with(kListSuffix)) refuse("the name ends in _listdim, which marks a list axis");
  if (find_builtin(name) || name == "dimension") refuse("this already is the name of an axis kind");
  auto& kinds = user_kinds();
  std::unique_lock lock(kinds.mutex);
  for (size_t i = 0; i < kinds.names.size(); ++i) {
    if (kinds.names[i] == name) return static_cast<AxisKind>(kFirstUserKind + i);
  }
  if (kinds.names.size() >= UINT16_MAX - size_t{kFirstUserKind}) refuse("there are too many axis kinds");
  kinds.names.emplace_back(name);
  return static_cast<AxisKind>(kFirstUserKind + kinds.names.size() - 1);
}

std::string Axis::repr() const {
  std::string text = axis_kind_name(kind);
  if (size) text += ":" + std::to_string(*size);
  if (is_list) text += kListSuffix;
  return text;
}

Axis make_axis(AxisKind kind, std::optional<int64_t> size, bool is_list) {
  if (size && is_list) {
    throw Error(Code::kBadData, "an axis can't be a list and have a fixed size")
        .seen(axis_kind_name(kind) + " of size " + std::to_string(*size))
        .next("leave out the size or the list");
  }
  return {kind, size, is_list};
}

void check_axis_order(const std::vector<Axis>& axes) {
  bool saw_tensor_axis = false;
  for (const Axis& axis : axes) {
    if (!axis.is_list) {
      saw_tensor_axis = true;
    } else if (saw_tensor_axis) {
      std::vector<std::string> printed;
      for (const Axis& each : axes) printed.push_back(each.repr());
      throw Error(Code::kBadData, "a list dimension follows a tensor dimension")
          .seen("(" + join(printed, ", ") + ")")
          .expected("all list dimensions before the first tensor dimension");
    }
  }
}

Axis parse_axis(std::string_view text) {
  std::string_view rest = strip(text);
  const bool is_list = rest.ends_with(kListSuffix);
  if (is_list) rest.remove_suffix(kListSuffix.size());
  std::optional<int64_t> size;
  if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    const std::string_view digits = rest.substr(colon + 1);
    int64_t number = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failure != std::errc() || end != digits.data() + digits.size()) {
      throw Error(Code::kBadData, "the size of an axis is no whole number")
          .seen(std::string(text))
          .expected("kind:size");
    }
    size = number;
    rest = rest.substr(0, colon);
  }
  // What repr() prints for this kind is no label.
  const AxisKind kind = rest == "dimension" ? AxisKind::kDimension : axis_kind_from_label(rest);
  return make_axis(kind, size, is_list);
}

std::vector<Axis> parse_axes(std::string_view text) {
  std::vector<Axis> axes;
  for (size_t start = text.find_first_not_of(' '); start != std::string_view::npos;) {
    const size_t end = std::min(text.find(' ', start), text.size());
    axes.push_back(parse_axis(text.substr(start, end - start)));
    start = text.find_first_not_of(' ', end);
  }
  check_axis_order(axes);
  return axes;
}

}  // namespace fathom::typing
