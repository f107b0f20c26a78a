// Recorded truth about learning-rate schedules, run through the registry and the handle a trainer could use. No torch.
//
// PyTorch's schedulers outside NeMo's registry are known here by class path only. An error of Python is met by any
// fathom::Error at the same place.
#include "core/planning/schedule_plan.h"
#include "fathom/scheduler.h"
#include "tests/conformance/optim_common.h"

namespace fathom::conformance {
namespace {

using namespace optim;

constexpr uint32_t kScheduler = 1u << FATHOM_KIND_SCHEDULER;

constexpr double kScheduleTolerance = 1e-12;

std::string scheduler_name(const std::string& recorded) {
  constexpr std::string_view kExtra = "torch_extra_";
  if (recorded.substr(0, kExtra.size()) == kExtra) return "torch.optim.lr_scheduler." + recorded.substr(kExtra.size());
  return recorded;
}

// A scheduler with an optimizer of SGD's options in place of one: only rates and momentum are of interest.
struct Schedule {
  SchedulerHandle scheduler;
  ScheduleStep at;
  std::vector<double> momentum;

  Schedule(const Case& c, const Json& config) {
    at.base_lrs = at.lrs = c.body.at("base_lr").get<std::vector<double>>();
    momentum.assign(at.lrs.size(), 0.9);
    const Json sgd = {{"lr", at.lrs[0]}, {"momentum", 0.9}, {"dampening", 0}, {"weight_decay", 0}, {"nesterov", false}};
    scheduler = make_scheduler(config, "sched", std::nullopt, at.base_lrs, sgd);
    apply();
  }
  void step(std::optional<double> metric) {
    ++at.step;
    at.monitor = metric;
    apply();
  }
  void apply() {
    at.lrs = scheduler.rates(at);
    const auto second = scheduler.second_option(at);
    if (second.name == "momentum") momentum = second.values;
  }
};

std::string compare_row(const std::vector<double>& got, const json& expected, size_t row, const char* what) {
  if (got.size() != expected.size()) return std::string(what) + " of another number of groups";
  for (size_t g = 0; g < got.size(); ++g) {
    const double b = number(expected[g]).value();
    if (!close(got[g], b, 0, kScheduleTolerance) && std::abs(got[g] - b) > 1e-15) {
      return std::string(what) + " at row " + std::to_string(row) + ", group " + std::to_string(g) + ": expected " +
             shown(b) + ", got " + shown(got[g]);
    }
  }
  return "";
}

std::string compare_state(const json& got, const json& expected, const std::string& where) {
  if (const auto b = number(expected); b && !expected.is_boolean()) {
    const auto a = number(got);
    return a && close(*a, *b, 1e-12, 1e-12) ? ""
                                            : where + ": expected " + json_text(expected) + ", got " + json_text(got);
  }
  if (expected.is_string() && expected.get<std::string>().starts_with("<")) return "";  // a member that is no number
  if (expected.is_structured()) {
    if (got.type() != expected.type() || got.size() != expected.size())
      return where + ": expected " + json_text(expected) + ", got " + json_text(got);
    for (const auto& [key, value] : expected.items()) {
      if (expected.is_object() && !got.contains(key)) return where + " has no '" + key + "'";
      const std::string error =
          compare_state(expected.is_object() ? got[key] : got[std::stoul(key)], value, where + "." + key);
      if (!error.empty()) return error;
    }
    return "";
  }
  return got == expected ? "" : where + ": expected " + json_text(expected) + ", got " + json_text(got);
}

Outcome run_curve(const Case& c) {
  Json config = {{"name", scheduler_name(c.body.at("scheduler"))}};
  for (const auto& [key, value] : c.body.at("options").items()) config[key] = ordered(value);
  const json& rows = c.body.contains("lr") ? c.body["lr"] : json::array();
  const json at = c.body.value("at", json());
  std::string text;
  std::optional<Schedule> schedule;
  const bool refused = fails([&] { schedule.emplace(c, config); }, text);
  if (at == "construction")
    return refused ? pass() : fail("expected an error at construction: " + c.body.at("message").get<std::string>());
  if (refused) return fail("expected to be made, got " + text);

  const auto metric = [&](size_t row) -> std::optional<double> {
    if (!c.body.contains("metrics")) return std::nullopt;
    return number(c.body["metrics"].at(row - 1));
  };
  Json state;
  Schedule saved = *schedule;
  for (size_t row = 0; row < rows.size(); ++row) {
    if (row > 0) schedule->step(metric(row));
    if (const std::string error = compare_row(schedule->at.lrs, rows[row], row, "lr"); !error.empty())
      return fail(error);
    if (c.body.contains("momentum") && c.body["momentum"].is_array() && row < c.body["momentum"].size()) {
      const std::string error = compare_row(schedule->momentum, c.body["momentum"][row], row, "momentum");
      if (!error.empty()) return fail(error);
    }
    if (row == 20) {
      state = schedule->scheduler.save_state();
      saved.at = schedule->at;
    }
  }
  if (at.is_number()) {
    const bool failed = fails([&] { schedule->step(metric(rows.size())); }, text);
    return failed ? pass() : fail("expected an error at step " + json_text(at));
  }
  if (state.is_null()) return pass();
  if (c.body.contains("state_after_20") && c.body["state_after_20"].is_object()) {
    json recorded = c.body["state_after_20"];
    const std::string error = compare_state(json::parse(json_text(state)), recorded.at("scheduler"), "state");
    if (!error.empty()) return fail(error);
  }
  // The rest of the curve from a new scheduler with the saved state, and with the rates in force.
  Schedule resumed(c, config);
  resumed.scheduler.load_state(state);
  resumed.at.step = 20;
  resumed.at.lrs = saved.at.lrs;
  const json continuation = c.body.value("continuation_after_reload", json());
  const json& rest = continuation.is_array() ? continuation : rows;
  const size_t offset = continuation.is_array() ? 20 : 0;
  for (size_t row = 21; row < rows.size() && row - offset < rest.size(); ++row) {
    resumed.step(metric(row));
    const std::string error = compare_row(resumed.at.lrs, rest[row - offset], row, "lr after a reload");
    if (!error.empty()) return fail(error);
  }
  // The same with the optimizer's own rates.
  const json alone = c.body.value("scheduler_only_reload_next", json());
  if (alone.is_array()) {
    Schedule next(c, config);
    if (const std::string error = compare_row(next.at.lrs, alone.at(0), 20, "lr of a new scheduler"); !error.empty())
      return fail(error);
    next.scheduler.load_state(state);
    next.at.step = 20;
    for (size_t i = 1; i < alone.size(); ++i) {
      next.step(metric(20 + i));
      const std::string error = compare_row(next.at.lrs, alone[i], 20 + i, "lr after a reload of the scheduler only");
      if (!error.empty()) return fail(error);
    }
  }
  return pass();
}

Outcome run_compute_max_steps(const Case& c) {
  const json& b = c.body;
  const double limit = number(b.at("limit_train_batches")).value();
  const Json typed = b.at("limit_is_int").get<bool>() ? Json(static_cast<int64_t>(limit)) : Json(limit);
  int64_t steps = 0;
  std::string text;
  const bool refused = fails(
      [&] {
        steps = training::compute_max_steps(b.at("max_epochs").get<int64_t>(),
                                            b.at("accumulate_grad_batches").get<int64_t>(), typed,
                                            b.at("num_workers").get<int64_t>(), b.at("num_samples").get<int64_t>(),
                                            b.at("batch_size").get<int64_t>(), b.at("drop_last").get<bool>());
      },
      text);
  if (b.contains("error")) return refused ? pass() : fail("expected an error, got " + std::to_string(steps));
  if (refused) return fail("expected " + json_text(b.at("max_steps")) + ", got " + text);
  return steps == b.at("max_steps")
             ? pass()
             : fail("expected " + json_text(b.at("max_steps")) + ", got " + std::to_string(steps));
}

Outcome run_prepare(const Case& c) {
  std::optional<training::TrainLoaderSize> loader;
  if (const json& size = c.body.at("train_loader"); !size.is_null()) {
    loader = training::TrainLoaderSize{size.at("samples"), size.at("batch_size"), size.at("drop_last")};
  }
  const std::vector<double> base = {0.1, 0.2};
  const Json sgd = {{"lr", 0.1}, {"momentum", 0}, {"dampening", 0}, {"weight_decay", 0}, {"nesterov", false}};
  training::SchedulePlan plan;
  SchedulerHandle scheduler;
  ScheduleStep at;
  at.base_lrs = at.lrs = base;
  json got;
  std::string text;
  const bool refused = fails(
      [&] {
        plan = training::plan_lr_scheduler(ordered(c.body.at("sched")), loader, "optim.sched");
        if (!plan.use) return;
        scheduler = make_scheduler(plan.section, "optim.sched", plan.max_steps, base, sgd);
        const std::vector<double> first = scheduler.rates(at);
        const std::string name = scheduler.name();
        const json state = json::parse(json_text(scheduler.save_state()));
        got = {{"class", name.substr(name.rfind('.') + 1)},
               {"interval", plan.interval.value_or(scheduler.interval())},
               {"frequency", plan.frequency},
               {"monitor", plan.monitor},
               {"reduce_on_plateau", scheduler.needs_monitor()},
               {"initial_lr", first}};
        for (const char* key : {"max_steps", "warmup_steps", "hold_steps", "min_lr"})
          got[key] = state.value(key, json());
      },
      text);
  if (c.body.contains("error"))
    return refused ? pass() : fail("expected an error: " + c.body.at("message").get<std::string>());
  if (refused) return fail("expected a result, got " + text);
  json expected = c.body.at("result");
  if (expected.is_null()) return plan.use ? fail("expected no scheduler, got " + json_text(got)) : pass();
  if (!plan.use) return fail("expected a scheduler, got none: " + plan.reason);
  expected.erase("keys");
  const std::string error = compare_state(got, expected, "result");
  return error.empty() ? pass() : fail(error);
}

Outcome run_scheduler_registry(const Case& c) {
  if (c.body.contains("lookup")) return run_lookup(c, kScheduler);
  if (c.body.contains("params_name")) return compare_params(c, training::scheduler_params(), "scheduler");
  if (c.body.contains("register")) {
    // Two plugins giving one name: refused when the second is asked for; here, that the name is taken at all.
    const bool taken = plugins::registry().contains(kScheduler, c.body["register"].get<std::string>());
    return taken ? pass() : fail("the name is free");
  }
  const std::string name = c.body.at("name");
  if (!plugins::registry().contains(kScheduler, name)) return fail("not registered");
  // Whether it counts epochs, of an object made with the smallest set of options.
  Json config = {{"name", name},   {"max_steps", 10}, {"d_model", 8},   {"constant_steps", 4},
                 {"step_size", 1}, {"gamma", 0.9},    {"base_lr", 0.1}, {"max_lr", 0.2}};
  const json schema = json::parse(to_string(plugins::registry().load(kScheduler, name)->schema));
  for (const char* key : {"max_steps", "d_model", "constant_steps", "step_size", "gamma", "base_lr", "max_lr"}) {
    bool known = false;
    for (const json& option : schema.at("options")) known = known || option.at("name") == key;
    if (!known) config.erase(key);
  }
  const bool epoch = make_scheduler(config, "sched", std::nullopt, {0.1}, {{"momentum", 0.9}}).interval() == "epoch";
  return epoch == c.body.at("epoch_interval").get<bool>()
             ? pass()
             : fail(std::string("its interval is ") + (epoch ? "epoch" : "step"));
}

}  // namespace

void add_schedule_suites(std::vector<Suite>& suites) {
  suites.push_back({"schedulers/compute_max_steps", run_compute_max_steps});
  suites.push_back({"schedulers/prepare_lr_scheduler", run_prepare});
  suites.push_back({"schedulers/registry", run_scheduler_registry});
  suites.push_back({"schedulers", run_curve});
}

}  // namespace fathom::conformance
