#include "core/planning/config_params.h"

namespace fathom::training {
namespace {

Json joined(Json first, const Json& more) {
  for (const auto& [key, value] : more.items()) first[key] = value;
  return first;
}

}  // namespace

const std::vector<ParamsClass>& optimizer_params() {
  static const auto* list = new std::vector<ParamsClass>{
      {"optim_params", "OptimizerParams", {{"lr", "???"}}},
      {"adam_params", "AdamParams", {{"lr", "???"}, {"eps", 1e-8}, {"weight_decay", 0}, {"amsgrad", false}}},
      {"novograd_params",
       "NovogradParams",
       {{"lr", "???"},
        {"betas", Json::array({0.95, 0.98})},
        {"eps", 1e-8},
        {"weight_decay", 0},
        {"grad_averaging", false},
        {"amsgrad", false},
        {"luc", false},
        {"luc_trust", 1e-3},
        {"luc_eps", 1e-8}}},
      {"sgd_params",
       "SGDParams",
       {{"lr", "???"}, {"momentum", 0}, {"dampening", 0}, {"weight_decay", 0}, {"nesterov", false}}},
      {"adadelta_params", "AdadeltaParams", {{"lr", "???"}, {"rho", 0.9}, {"eps", 1e-6}, {"weight_decay", 0}}},
      {"adamax_params",
       "AdamaxParams",
       {{"lr", "???"}, {"betas", Json::array({0.9, 0.999})}, {"eps", 1e-8}, {"weight_decay", 0}}},
      {"adagrad_params",
       "AdagradParams",
       {{"lr", "???"}, {"lr_decay", 0}, {"weight_decay", 0}, {"initial_accumulator_value", 0}, {"eps", 1e-10}}},
      {"adamw_params",
       "AdamWParams",
       {{"lr", "???"}, {"betas", Json::array({0.9, 0.999})}, {"eps", 1e-8}, {"weight_decay", 0}, {"amsgrad", false}}},
      {"rmsprop_params",
       "RMSpropParams",
       {{"lr", "???"}, {"alpha", 0.99}, {"eps", 1e-8}, {"weight_decay", 0}, {"momentum", 0}, {"centered", false}}},
      {"rprop_params",
       "RpropParams",
       {{"lr", "???"}, {"etas", Json::array({0.5, 1.2})}, {"step_sizes", Json::array({1e-6, 50})}}},
      {"adafactor_params",
       "AdafactorParams",
       {{"lr", "???"},
        {"beta1", nullptr},
        {"eps", Json::array({1e-30, 1e-3})},
        {"clip_threshold", 1.0},
        {"decay_rate", 0.8},
        {"weight_decay", 0},
        {"scale_parameter", true},
        {"relative_step", false},
        {"warmup_init", false}}},
  };
  return *list;
}

const std::vector<ParamsClass>& scheduler_params() {
  static const auto* list = [] {
    const Json plain = {{"last_epoch", -1}};
    const Json warmup = joined(plain, {{"max_steps", 0}, {"warmup_steps", nullptr}, {"warmup_ratio", nullptr}});
    const Json hold = joined(warmup, {{"hold_steps", nullptr}, {"hold_ratio", nullptr}, {"min_lr", 0.0}});
    const Json annealing_hold =
        joined(warmup, {{"constant_steps", nullptr}, {"constant_ratio", nullptr}, {"min_lr", 0.0}});
    const Json constant = joined(plain, {{"constant_steps", nullptr}, {"constant_ratio", nullptr}});
    const Json polynomial = joined(warmup, {{"power", 1.0}, {"cycle", false}});
    return new std::vector<ParamsClass>{
        {"SchedulerParams", "SchedulerParams", plain},
        {"WarmupPolicyParams", "WarmupSchedulerParams", warmup},
        {"WarmupHoldPolicyParams", "WarmupHoldSchedulerParams", hold},
        {"WarmupAnnealingHoldSchedulerParams", "WarmupAnnealingHoldSchedulerParams", annealing_hold},
        {"SquareAnnealingParams", "SquareAnnealingParams", joined(warmup, {{"min_lr", 1e-5}})},
        {"SquareRootAnnealingParams", "SquareRootAnnealingParams", joined(warmup, {{"min_lr", 0.0}})},
        {"InverseSquareRootAnnealingParams", "InverseSquareRootAnnealingParams", warmup},
        {"SquareRootConstantSchedulerParams", "SquareRootConstantSchedulerParams", constant},
        {"CosineAnnealingParams", "CosineAnnealingParams", annealing_hold},
        {"NoamAnnealingParams", "NoamAnnealingParams", joined(warmup, {{"min_lr", 0.0}})},
        {"NoamHoldAnnealingParams", "NoamHoldAnnealingParams", joined(hold, {{"decay_rate", 0.5}})},
        {"WarmupAnnealingParams", "WarmupAnnealingParams", warmup},
        {"PolynomialDecayAnnealingParams", "PolynomialDecayAnnealingParams", polynomial},
        {"PolynomialHoldDecayAnnealingParams", "PolynomialHoldDecayAnnealingParams", polynomial},
        {"ReduceLROnPlateauParams",
         "ReduceLROnPlateauParams",
         {{"mode", "min"},
          {"factor", 0.1},
          {"patience", 10},
          {"verbose", false},
          {"threshold", 1e-4},
          {"threshold_mode", "rel"},
          {"cooldown", 0},
          {"min_lr", 0},
          {"eps", 1e-8}}},
        {"", "T5InverseSquareRootAnnealingParams", constant},
    };
  }();
  return *list;
}

const ParamsClass& find_params(const std::vector<ParamsClass>& list, const std::string& registered, const char* kind) {
  std::vector<std::string> names;
  for (const ParamsClass& params : list) {
    if (!params.registered.empty() && params.registered == registered) return params;
    if (!params.registered.empty()) names.push_back(params.registered);
  }
  throw Error(Code::kFailed, std::string("cannot resolve ") + kind + " parameters '" + registered + "'")
      .candidates(names);
}

const ParamsClass* find_params_by_path(const std::vector<ParamsClass>& list, std::string_view path) {
  constexpr std::string_view kModule = "nemo.core.config.";
  if (path.substr(0, kModule.size()) != kModule) return nullptr;
  const std::string_view name = path.substr(path.rfind('.') + 1);
  for (const ParamsClass& params : list) {
    if (params.class_name == name) return &params;
  }
  return nullptr;
}

Json params_with(const ParamsClass& params, const Json& overrides) {
  Json out = params.fields;
  for (const auto& [key, value] : overrides.items()) {
    if (!out.contains(key)) {
      std::vector<std::string> names;
      for (const auto& [name, unused] : params.fields.items()) names.push_back(name);
      throw Error(Code::kFailed, "'" + key + "' is no parameter of " + params.class_name).candidates(names);
    }
    out[key] = value;
  }
  return out;
}

}  // namespace fathom::training
