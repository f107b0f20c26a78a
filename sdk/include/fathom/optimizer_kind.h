// Kind `optimizer`, the part that needs no torch: options per group, and the C table. Authors include optimizer.h (the
// C++ interface of libtorch) or stable_optimizer.h (its stable ABI).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "fathom/abi/optimizer.h"
#include "fathom/plugin.h"

namespace fathom {

namespace optimizer_detail {
const void* table();
}

// What the boundary asks of an optimizer, in C++.
class OptimizerInterface {
 public:
  using ComponentKind = SimpleKind<OptimizerInterface, FATHOM_KIND_OPTIMIZER, &optimizer_detail::table>;

  virtual ~OptimizerInterface() = default;

  virtual void add_group(const fathom_parameters& parameters, const Json& overrides) = 0;
  // gradients[i] belongs to the i-th parameter in order of addition; null = none, the parameter is skipped.
  virtual void step(const fathom_tensor* gradients, size_t count) = 0;
  virtual size_t group_count() const = 0;
  virtual double get_option(size_t group, std::string_view name) const = 0;
  virtual void set_option(size_t group, std::string_view name, double value) = 0;
  virtual Json group_options(size_t group) const = 0;
  virtual void load_group(size_t group, const Json& options) = 0;
  // PyTorch's `state`, parameter by parameter; those never updated have none.
  virtual void save_state(const fathom_state_sink& sink) const = 0;
  virtual void load_state(int64_t parameter, const fathom_named_value& value) = 0;

  // The registered name and config key, for messages; set at creation.
  void set_config_path(std::string path) { config_path_ = std::move(path); }
  const std::string& config_path() const { return config_path_; }

  static void created(auto& optimizer, const auto& options, const fathom_create_args& args) {
    optimizer.set_config_path(to_string(args.config_path));
    optimizer.validate(options);
  }
  // The state of a parameter under the default options, as PyTorch's state_dict names it.
  template <typename T>
  static void describe(Json& schema) {
    if constexpr (std::is_constructible_v<T, const typename T::Options&>) {
      const typename T::Options defaults{};
      const auto slots = T(defaults).slots(defaults);
      std::string names;
      for (const auto& slot : slots) names += (names.empty() ? "" : ", ") + slot.name;
      if (!names.empty()) schema["state"] = names;
    }
  }

 protected:
  // Keeps the options of one more group: the optimizer's own, with these above them.
  virtual void append_options(const Json& overrides) = 0;
  // The step() calls a group has seen.
  virtual int64_t group_steps(size_t group) const = 0;
  virtual void set_group_steps(size_t group, int64_t steps) = 0;

  void check_group(size_t group) const {
    if (group >= group_count()) {
      throw Error(Code::kInternal,
                  "no parameter group " + std::to_string(group) + " of " + std::to_string(group_count()));
    }
  }
  void check_gradient_count(size_t given, size_t parameters) const {
    if (given != parameters) {
      throw Error(Code::kInternal, "an optimizer got " + std::to_string(given) + " gradients for " +
                                       std::to_string(parameters) + " parameters");
    }
  }
  [[noreturn]] static void refuse_sparse(const std::string& parameter) {
    throw Error(Code::kFailed, "the optimizer does not support sparse gradients")
        .at(parameter)
        .next("use a dense gradient (sparse: false on the embedding)");
  }
  [[noreturn]] static void refuse_repeated(const std::string& parameter) {
    throw Error(Code::kFailed, "a parameter appears in more than one parameter group, or twice in one").at(parameter);
  }
  [[noreturn]] static void refuse_state(const std::string& key, const std::string& parameter, std::string seen,
                                        std::string expected) {
    throw Error(Code::kBadData, "optimizer state '" + key + "' does not fit")
        .at(parameter)
        .seen(std::move(seen))
        .expected(std::move(expected));
  }
  [[noreturn]] static void refuse_state_name(const std::string& key, const std::string& parameter,
                                             const std::vector<std::string>& known) {
    throw Error(Code::kBadData, "the optimizer keeps no state named '" + key + "'").at(parameter).candidates(known);
  }
  [[noreturn]] static void refuse_state_index(int64_t parameter, size_t count) {
    throw Error(Code::kBadData,
                "optimizer state for parameter " + std::to_string(parameter) + " of " + std::to_string(count));
  }

 private:
  std::string config_path_;
};

// Groups of parameters and their state, whatever a tensor is to those who work on it: libtorch's C++ class
// (optimizer.h) or a handle of its stable ABI (stable_optimizer.h).
template <typename Slot>
struct ParameterGroup {
  std::vector<std::string> names;
  std::vector<Slot> slots;  // of state, each with PyTorch's `name`
  size_t first = 0;         // index of its first parameter among all groups
  int64_t steps = 0;        // step() calls it has seen
};

template <typename Group>  // derives from ParameterGroup
class GroupedOptimizer : public OptimizerInterface {
 public:
  // Fails for tensors that the optimizer cannot work on, or that are already in a group.
  void add_group(const fathom_parameters& given, const Json& overrides) final {
    const ArrayView<fathom_parameters> list(given);
    Group group;
    for (size_t i = 0; i < list.size(); ++i) {
      group.names.push_back(to_string(list[i].name));
      const void* identity = add_parameter(group, list[i].tensor);
      if (identity != nullptr && !known_.insert(identity).second) refuse_repeated(group.names.back());
    }
    this->append_options(overrides);
    group.slots = group_slots(groups_.size());
    group.first = parameter_count_;
    parameter_count_ += group.names.size();
    groups_.push_back(std::move(group));
    group_added(groups_.size() - 1);
  }
  size_t group_count() const final { return groups_.size(); }

  void save_state(const fathom_state_sink& sink) const final {
    for (const Group& group : groups_) {
      for (size_t i = 0; i < group.names.size(); ++i) {
        for (size_t s = 0; s < group.slots.size(); ++s) {
          const fathom_value value = state_of(group, s, i);
          const fathom_named_value named = {to_abi(group.slots[s].name), value};
          if (value.kind != FATHOM_VALUE_NONE)
            check(sink.emit(sink.ctx, static_cast<int64_t>(group.first + i), &named));
        }
      }
    }
  }
  void load_state(int64_t parameter, const fathom_named_value& named) final {
    const std::string key = to_string(named.name);
    for (size_t g = 0; g < groups_.size(); ++g) {
      Group& group = groups_[g];
      const int64_t i = parameter - static_cast<int64_t>(group.first);
      if (i < 0 || i >= static_cast<int64_t>(group.names.size())) continue;
      std::vector<std::string> known;
      for (size_t s = 0; s < group.slots.size(); ++s) {
        if (group.slots[s].name == key) return load_slot(g, s, static_cast<size_t>(i), named.value);
        known.push_back(group.slots[s].name);
      }
      refuse_state_name(key, group.names[static_cast<size_t>(i)], known);
    }
    refuse_state_index(parameter, parameter_count_);
  }

 protected:
  using Slots = decltype(Group::slots);
  virtual Slots group_slots(size_t group) const = 0;
  // Checks a parameter, whose name is the group's last, and keeps it. What tells it from others; null: it may repeat.
  virtual const void* add_parameter(Group& group, fathom_tensor tensor) = 0;
  virtual void group_added(size_t /*group*/) {}
  // Borrowed, in slot `s` of parameter `i`; of kind none where there is none.
  virtual fathom_value state_of(const Group& group, size_t s, size_t i) const = 0;
  // Counts are accepted as tensors and as numbers, since PyTorch changed from one to the other.
  virtual void load_slot(size_t group, size_t s, size_t i, const fathom_value& value) = 0;
  int64_t group_steps(size_t group) const final { return groups_[group].steps; }
  void set_group_steps(size_t group, int64_t steps) final { groups_[group].steps = steps; }

  std::vector<Group> groups_;
  size_t parameter_count_ = 0;

 private:
  std::set<const void*> known_;
};

// Adds an options struct O per group to `Base`, an OptimizerInterface that lacks just that.
template <typename O, typename Base>
class WithOptions : public Base {
 public:
  using Options = O;
  explicit WithOptions(const O& options) : defaults_(options) {}

  // --- the author's part ---
  // Throws for values that make no sense; called for the defaults and for every group.
  virtual void validate(const O& /*options*/) const {}
  // False for options that belong to the whole optimizer and that PyTorch does not put into param_groups.
  virtual bool in_param_groups(std::string_view /*name*/) const { return true; }
  // What param_groups carry besides the options, always with the same value (AdamW's decoupled_weight_decay).
  virtual Json fixed_group_entries() const { return Json::object(); }
  // True where the group's own count of steps is part of param_groups, as "step".
  virtual bool keeps_group_step() const { return false; }

  const O& defaults() const { return defaults_; }

  double get_option(size_t group, std::string_view name) const final {
    this->check_group(group);
    if (const auto value = set().get_number(options_[group], name)) return *value;
    if (name == "step" && keeps_group_step()) return static_cast<double>(this->group_steps(group));
    unknown(name);
  }
  void set_option(size_t group, std::string_view name, double value) final {
    this->check_group(group);
    if (set().set_number(options_[group], name, value)) return;
    if (name != "step" || !keeps_group_step()) unknown(name);
    this->set_group_steps(group, static_cast<int64_t>(value));
  }
  Json group_options(size_t group) const final {
    this->check_group(group);
    const Json all = dump_options(options_[group]), fixed = fixed_group_entries();
    Json out = Json::object();
    for (const auto& [key, value] : all.items()) {
      if (in_param_groups(key)) out[key] = value;
    }
    for (const auto& [key, value] : fixed.items()) out[key] = value;
    if (keeps_group_step() && this->group_steps(group) > 0) out["step"] = this->group_steps(group);
    return out;
  }
  // Keys that are not this optimizer's options are told in a warning, except PyTorch's own `params` and `initial_lr`.
  void load_group(size_t group, const Json& options) final {
    this->check_group(group);
    Json merged = dump_options(options_[group]);
    const Json fixed = fixed_group_entries();
    for (const auto& [key, value] : options.items()) {
      if (fixed.contains(key)) continue;
      if (set().has(key))
        merged[key] = value;
      else if (key == "step" && keeps_group_step())
        this->set_group_steps(group, value.template get<int64_t>());
      else if (key != "params" && key != "initial_lr" && key != "param_names" && key != "name")
        log(LogLevel::kWarning, this->config_path(),
            "the saved optimizer option '" + key + "' is not known here and left out");
    }
    // Not validated: what an update itself has set (Adafactor's lr) may contradict what a config may say.
    options_[group] = parse_options<O>(merged, this->config_path());
  }

 protected:
  O& options(size_t group) { return options_[group]; }
  const O& options(size_t group) const { return options_[group]; }

 private:
  static const OptionSet<O>& set() { return options_detail::set_of<O>(); }
  [[noreturn]] void unknown(std::string_view name) const {
    throw Error(Code::kFailed, "the optimizer has no number named '" + std::string(name) + "'")
        .at(this->config_path())
        .candidates(set().names());
  }
  void append_options(const Json& overrides) final {
    Json merged = dump_options(defaults_);
    for (const auto& [key, value] : overrides.items()) merged[key] = value;
    O options = parse_options<O>(merged, this->config_path());
    try {
      validate(options);
    } catch (Error& error) {
      error.locate(this->config_path());
      if (names_option<O>(error.where())) error.locate_within(this->config_path());
      throw;
    }
    options_.push_back(std::move(options));
  }

  O defaults_;
  std::vector<O> options_;
};

// --- the author's class behind the C table --------------------------------------------------------------------------

namespace optimizer_detail {

inline OptimizerInterface& optimizer(void* self) { return *static_cast<OptimizerInterface*>(self); }

inline fathom_status add_group(void* self, const fathom_parameters* parameters, fathom_str options) {
  return guard([&] { optimizer(self).add_group(*parameters, parse_json(options, "a parameter group's options")); });
}
inline fathom_status step(void* self, const fathom_tensor* gradients, size_t count) {
  return guard([&] { optimizer(self).step(gradients, count); });
}
inline fathom_status group_count(void* self, size_t* count) {
  return guard([&] { *count = optimizer(self).group_count(); });
}
inline fathom_status get_option(void* self, size_t group, fathom_str name, double* value) {
  return guard([&] { *value = optimizer(self).get_option(group, to_view(name)); });
}
inline fathom_status set_option(void* self, size_t group, fathom_str name, double value) {
  return guard([&] { optimizer(self).set_option(group, to_view(name), value); });
}
inline fathom_status group_options(void* self, size_t group, const fathom_text_sink* json) {
  return guard([&] { write(json, json_text(optimizer(self).group_options(group))); });
}
inline fathom_status save_state(void* self, const fathom_state_sink* state) {
  return guard([&] { optimizer(self).save_state(*state); });
}
inline fathom_status load_state(void* self, int64_t parameter, const fathom_named_value* value) {
  return guard([&] { optimizer(self).load_state(parameter, *value); });
}
inline fathom_status load_group(void* self, size_t group, fathom_str options) {
  return guard([&] { optimizer(self).load_group(group, parse_json(options, "a saved parameter group")); });
}
inline const void* table() {
  static const fathom_optimizer_v1 table = {sizeof(fathom_optimizer_v1),
                                            &add_group,
                                            &step,
                                            &group_count,
                                            &get_option,
                                            &set_option,
                                            &group_options,
                                            &save_state,
                                            &load_state,
                                            &load_group};
  return &table;
}

}  // namespace optimizer_detail

}  // namespace fathom
