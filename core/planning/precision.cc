#include "core/planning/precision.h"

#include "core/base/log.h"
#include "core/base/text.h"

namespace fathom {
namespace {

struct MixedPrecisionOptions {
  Json precision = nullptr, scaler = nullptr;
  std::string device = "cpu";

  static void describe(OptionSet<MixedPrecisionOptions>& o) {
    using T = MixedPrecisionOptions;
    o("precision", &T::precision, "16-mixed or bf16-mixed");
    o("device", &T::device, "cpu");
    o("scaler", &T::scaler, "options of torch.amp.GradScaler");
  }
};

[[noreturn]] void refuse(const std::string& path, const std::string& what, const Json& seen,
                         const std::string& expected) {
  throw Error(Code::kFailed, what).at(path).seen(json_text(seen)).expected(expected);
}

Precision named_precision(const Json& value, const std::string& path) {
  const std::string text = value.is_string() ? value.get<std::string>() : json_text(value);
  if (text == "32" || text == "32-true") return Precision::k32True;
  if (text == "64" || text == "64-true") return Precision::k64True;
  if (text == "bf16" || text == "bf16-mixed") return Precision::kBf16Mixed;
  if (text == "bf16-true") return Precision::kBf16True;
  if (text == "16" || text == "16-mixed") {
    log_warning("trainer", "{}: float16 autocast is slow on a CPU; bf16-mixed is used", path);
    return Precision::kBf16Mixed;
  }
  throw Error(Code::kFailed, "this precision is not available")
      .at(path)
      .seen(json_text(value))
      .expected("32-true, 64-true, bf16-true or bf16-mixed")
      .candidates(nearest_names(text, {"32-true", "64-true", "bf16-true", "bf16-mixed"}));
}

// The class that a section names, without the package it lies in.
std::string class_of(const Json& section) {
  const std::string name = section.value("_target_", section.value("name", std::string()));
  return name.substr(name.rfind('.') + 1);
}

Json options_of(Json section) {
  section.erase("_target_");
  section.erase("name");
  return section;
}

GradScalerOptions read_scaler(const Json& section, const std::string& path) {
  if (section.is_object() && section.contains("_target_") && class_of(section) != "GradScaler")
    refuse(path + "._target_", "is no scaler of gradients", section["_target_"], "torch.amp.GradScaler");
  const auto o = parse_options<GradScalerOptions>(section.is_object() ? options_of(section) : section, path);
  if (o.device != "cpu") refuse(path + ".device", "this build trains on the CPU", o.device, "cpu");
  if (!(o.init_scale > 0)) refuse(path + ".init_scale", "is no scale", o.init_scale, "a positive number");
  if (!(o.growth_factor > 1)) refuse(path + ".growth_factor", "the scale would not grow", o.growth_factor, "above 1");
  if (!(o.backoff_factor > 0 && o.backoff_factor < 1))
    refuse(path + ".backoff_factor", "the scale would not shrink", o.backoff_factor, "between 0 and 1");
  if (o.growth_interval < 1) refuse(path + ".growth_interval", "is no number of steps", o.growth_interval, "1 or more");
  return o;
}

PrecisionPlan plan_of_plugin(const Json& section, const std::string& path) {
  const std::string name = section.is_object() ? class_of(section) : json_text(section);
  if (name != "MixedPrecision" && name != "MixedPrecisionPlugin" && name != "NativeMixedPrecisionPlugin") {
    throw Error(Code::kUnavailable, "this plugin of Lightning is not available")
        .at(path)
        .seen(name)
        .expected("lightning.pytorch.plugins.MixedPrecision");
  }
  const auto o = parse_options<MixedPrecisionOptions>(options_of(section), path);
  if (o.device != "cpu") refuse(path + ".device", "this build trains on the CPU", o.device, "cpu");
  PrecisionPlan plan;
  if (o.precision == "bf16" || o.precision == "bf16-mixed") {
    if (!o.scaler.is_null()) refuse(path + ".scaler", "bf16-mixed needs no scaler", o.scaler, "null");
    plan.precision = Precision::kBf16Mixed;
  } else if (o.precision == "16" || o.precision == "16-mixed" || o.precision == 16) {
    plan.precision = Precision::k16Mixed;
    plan.scaler = read_scaler(o.scaler.is_null() ? Json::object() : o.scaler, path + ".scaler");
  } else {
    refuse(path + ".precision", "is no mixed precision", o.precision, "16-mixed or bf16-mixed");
  }
  return plan;
}

}  // namespace

void GradScalerOptions::describe(OptionSet<GradScalerOptions>& o) {
  using T = GradScalerOptions;
  o("device", &T::device, "cpu");
  o("init_scale", &T::init_scale, "the loss is multiplied by this at first");
  o("growth_factor", &T::growth_factor, "the scale grows by this after growth_interval finite steps");
  o("backoff_factor", &T::backoff_factor, "the scale shrinks by this after a step with non-finite gradients");
  o("growth_interval", &T::growth_interval, "finite steps in a row before the scale grows", "steps");
  o("enabled", &T::enabled, "false: the loss is not scaled and no step is skipped");
}

PrecisionPlan plan_precision(const Json& precision, const Json& plugins, const std::string& path) {
  if (plugins.is_null() || (plugins.is_array() && plugins.empty()))
    return {named_precision(precision, path + ".precision"), {}};
  if (plugins.is_array() && plugins.size() > 1)
    refuse(path + ".plugins", "only one plugin can set the precision", plugins, "one MixedPrecision");
  if (precision != "32-true" && precision != "32" && precision != 32) {
    throw Error(Code::kFailed, "precision and plugins both say what to compute in")
        .at(path + ".precision")
        .seen(json_text(precision))
        .next("remove " + path + ".precision or " + path + ".plugins");
  }
  return plugins.is_array() ? plan_of_plugin(plugins[0], path + ".plugins[0]")
                            : plan_of_plugin(plugins, path + ".plugins");
}

}  // namespace fathom
