// metrics_logging: what reaches loggers, callbacks and the progress bar of what a model and its callbacks log, by the
// trainer itself, against Lightning's rows.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <utility>

#include "core/training/trainer.h"
#include "tests/conformance/recorded_hooks.h"
#include "tests/conformance/suites.h"

namespace fathom::conformance {
namespace {

// The case at work: what is to be logged where, and what came of it.
struct LogRun {
  Json logs = Json::array();
  Json rows = Json::array(), at_validation_end = Json::array(), bar = Json::array();
  bool training = false;
};
LogRun* g_logs = nullptr;

// Lightning's on_step and on_epoch each have a default of the hook's; ours are given both or neither.
bool goes_to(const std::string& hook, const Json& args, const char* place) {
  const Json given = args.value(place, Json());
  if (!given.is_null()) return given == true;
  const bool training = hook == "training_step" || hook.starts_with("on_train_batch_") || hook.ends_with("_backward") ||
                        hook.starts_with("on_before_");
  return (std::string_view(place) == "on_step") == training;
}

uint32_t flags_of(const std::string& hook, const Json& args) {
  uint32_t flags = 0;
  if (args.contains("on_step") || args.contains("on_epoch")) {
    if (goes_to(hook, args, "on_step")) flags |= FATHOM_METRIC_ON_STEP;
    if (goes_to(hook, args, "on_epoch")) flags |= FATHOM_METRIC_ON_EPOCH;
  }
  if (args.value("prog_bar", Json()) == true) flags |= FATHOM_METRIC_PROG_BAR;
  if (args.value("logger", Json()) == false) flags |= FATHOM_METRIC_NO_LOGGER;
  if (args.value("add_dataloader_idx", Json()) == false) flags |= FATHOM_METRIC_NO_DATALOADER_IDX;
  const Json reduce = args.value("reduce_fx", Json("mean"));
  if (reduce == "sum") flags |= FATHOM_METRIC_REDUCE_SUM;
  if (reduce == "min") flags |= FATHOM_METRIC_REDUCE_MIN;
  if (reduce == "max") flags |= FATHOM_METRIC_REDUCE_MAX;
  return flags;
}

// Undefined for what is no number.
at::Tensor special_value(const Json& special) {
  if (special.is_boolean()) return at::scalar_tensor(special == true ? 1 : 0, at::kBool);
  if (special.is_number()) return at::scalar_tensor(special.get<double>(), at::kDouble);
  if (special == "nan") return at::scalar_tensor(std::nan(""), at::kFloat);
  if (special == "inf") return at::scalar_tensor(INFINITY, at::kFloat);
  if (special == "tensor0") return at::scalar_tensor(1.5, at::kFloat);
  if (special == "tensor1") return at::full({1}, 1.5);
  if (special == "tensor2") return at::tensor({1.5, 2.5});
  if (special == "int_tensor") return at::scalar_tensor(7, at::kLong);
  if (special == "half") return at::scalar_tensor(1.5, at::kHalf);
  return {};
}

// Calls log(name, value, args) for each call that the case makes in this hook.
template <typename Log>
void log_in(const std::string& hook, int64_t epoch, int64_t batch, int64_t loader, Log&& log) {
  for (const Json& call : g_logs->logs) {
    if (call.at("hook") != hook) continue;
    const auto among = [&](const char* key, int64_t now) {
      const Json only = call.value(key, Json());
      return only.is_null() || std::find(only.begin(), only.end(), Json(now)) != only.end();
    };
    if (!among("only_epochs", epoch) || !among("only_batches", batch)) continue;
    const auto value_of_call = [&](const Json& value) {
      if (value.contains("special")) return special_value(value["special"]);
      const auto part = [&](const char* key) { return value.value(key, 0.0); };
      return at::scalar_tensor(part("const") + part("batch") * static_cast<double>(batch) +
                                   part("epoch") * static_cast<double>(epoch) +
                                   part("loader") * static_cast<double>(loader),
                               at::kFloat);
    };
    const Json args = call.value("args", Json::object());
    if (call.contains("dict")) {
      for (const auto& [name, value] : call["dict"].items()) log(name, value_of_call(value), args);
    } else {
      log(call["name"].template get<std::string>(), value_of_call(call["value"]), args);
    }
  }
}

class LogItems final : public DatasetOf<int64_t> {
 public:
  explicit LogItems(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  int64_t get(int64_t index, uint64_t) const override { return index; }
  Values collate(const std::vector<const int64_t*>& items) const override {
    return {{"x", at::ones({static_cast<int64_t>(items.size()), 1})}};
  }

 private:
  int64_t size_;
};

class LogModel final : public Model {
 public:
  LogModel(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)), layer_(register_module("layer", torch::nn::Linear(1, 1))) {}
  Values forward(const Values& in) override { return {{"y", layer_->forward(in.tensor("x"))}}; }
  MadeDataset make_dataset(Stage, const Json& section, const std::string&) override {
    return std::make_shared<LogItems>(section.at("items").get<int64_t>());
  }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    log("training_step", batch, step);
    return layer_->forward(batch.tensor("x")).mean();
  }
  void validation_step(const Values& batch, const Step& step) override { log("validation_step", batch, step); }
  void test_step(const Values& batch, const Step& step) override { log("test_step", batch, step); }

 private:
  // Lightning guesses the number of items from the batch; here whoever logs says it.
  static void log(const char* hook, const Values& batch, const Step& step) {
    const auto items = static_cast<double>(batch.tensor("x").size(0));
    log_in(hook, step.epoch(), step.batch_idx(), step.dataloader_idx(),
           [&](const std::string& name, const at::Tensor& value, const Json& args) {
             step.log(name, value, flags_of(hook, args), args.value("batch_size", items));
           });
  }
  torch::nn::Linear layer_;
};

class LogRows final : public Logger {
 public:
  using Options = NoSettings;
  LogRows(const Options&, const Json&) {}
  void log_metrics(std::span<const Metric> metrics, int64_t step) override {
    Json row = Json::object();
    for (const Metric& metric : metrics) row[std::string(metric.name)] = metric.value;
    g_logs->rows.push_back({{"step", step}, {"metrics", std::move(row)}});
  }
};

class LogCallback final : public HookCallback {
 public:
  explicit LogCallback(const Options&) {}

 private:
  void called(const std::string& hook, fathom::Trainer& trainer) override {
    const fathom_progress p = trainer.progress();
    const bool of_batch = hook.find("_batch_") != std::string::npos;
    log_in(hook, p.epoch, of_batch ? p.batch_idx : 0, p.dataloader_idx,
           [&](const std::string& name, const at::Tensor& value, const Json& args) {
             trainer.log(name, value.item<double>(), flags_of(hook, args));
           });
    const auto all = [](const std::vector<std::pair<std::string, double>>& metrics) {
      Json out = Json::object();
      for (const auto& [name, value] : metrics) out[name] = value;
      return out;
    };
    if (hook == "on_validation_end" && g_logs->training && p.sanity_checking == 0)
      g_logs->at_validation_end.push_back(all(trainer.metrics()));
    if (hook == "on_train_batch_end") g_logs->bar.push_back(all(trainer.progress_bar_metrics()));
  }
};

void add_log_components(Registry& registry) {
  registry.add<LogModel>("conformance.LogModel", "logs what a case says");
  registry.add<LogCallback>("conformance.LogCallback", "logs what a case says");
  registry.add<LogRows>("conformance.LogRows", "keeps rows");
}

std::unique_ptr<DataLoader> log_loader(const ModelHandle& model, int64_t items, int64_t batch_size) {
  LoaderOptions options;
  options.batch_size = batch_size;
  return std::make_unique<DataLoader>(model.make_dataset(Stage::kTrain, {{"items", items}}, "data"), options, 0);
}

training::TrainerParts log_parts(const Json& data) {
  training::TrainerParts parts;
  parts.model = ModelHandle(create_object(1u << FATHOM_KIND_MODEL, {{"_target_", "conformance.LogModel"}}, "model"));
  const int64_t batch = data.value("batch", int64_t{1});
  parts.train = log_loader(parts.model, data.value("n_train", int64_t{4}), batch);
  for (auto* loaders : {&parts.validation, &parts.test}) {
    for (const Json& items : data.value("n_val", Json::array({2})))
      loaders->push_back(log_loader(parts.model, items.get<int64_t>(), batch));
  }
  parts.optim = {{"name", "sgd"}, {"lr", 0.1}};
  parts.callbacks.emplace_back(
      create_object(1u << FATHOM_KIND_CALLBACK, {{"_target_", "conformance.LogCallback"}}, "callback"));
  parts.loggers.add(LoggerHandle(
      create_object(1u << FATHOM_KIND_LOGGER, {{"_target_", "conformance.LogRows"}}, "logger", Json::object())));
  return parts;
}

// "" or the first difference: names exactly, values to 1e-6.
std::string different(const nlohmann::json& wanted, const Json& got, const std::string& where) {
  const auto both = [&] { return where + ": expected " + json_text(wanted) + ", got " + json_text(got); };
  const bool not_finite = wanted == "nan" || wanted == "inf" || (wanted.is_object() && wanted.contains("$float"));
  if (not_finite) {
    const std::string name = wanted.is_string() ? wanted.get<std::string>() : wanted["$float"].get<std::string>();
    const double b = got.is_number() ? got.get<double>() : 0;
    return (name == "nan" ? std::isnan(b) : std::isinf(b)) ? "" : both();
  }
  if (wanted.is_object()) {
    if (!got.is_object() || wanted.size() != got.size()) return both();
    for (const auto& [key, value] : wanted.items()) {
      if (!got.contains(key)) return both();
      if (const std::string problem = different(value, got[key], where + "." + key); !problem.empty()) return problem;
    }
    return "";
  }
  if (wanted.is_array()) {
    if (!got.is_array() || wanted.size() != got.size()) return both();
    for (size_t i = 0; i < wanted.size(); ++i) {
      const std::string problem = different(wanted[i], got[i], where + "[" + std::to_string(i) + "]");
      if (!problem.empty()) return problem;
    }
    return "";
  }
  if (wanted.is_number() && got.is_number()) {
    const double a = wanted.get<double>(), b = got.get<double>();
    return std::abs(a - b) <= 1e-6 * std::max(1.0, std::abs(a)) ? "" : both();
  }
  return json_text(wanted) == json_text(got) ? "" : both();
}

Json as_json(const std::map<std::string, double>& metrics) {
  Json out = Json::object();
  for (const auto& [name, value] : metrics) out[name] = value;
  return out;
}

Outcome run_logging(const Case& c) {
  add_suite_plugin<add_log_components>("conformance_logging");
  const auto entry = c.body.at("entry").get<std::string>();
  if (entry == "predict") return fail("there is no predict to run");
  const nlohmann::json& expect = c.body.at("expect");
  LogRun run;
  run.logs = parse_text(json_text(c.body.at("logs")));
  run.training = entry == "fit";
  g_logs = &run;
  const bool should_fail = expect.at("status") != "ok";
  for (const Json& call : run.logs) {
    const bool steps =
        call["hook"] == "training_step" || call["hook"] == "validation_step" || call["hook"] == "test_step";
    const bool known = steps || std::any_of(std::begin(kHooks), std::end(kHooks),
                                            [&](const auto& hook) { return call["hook"] == hook.second; });
    if (!known) return should_fail ? pass() : fail("there is no hook " + json_text(call["hook"]));
    const Json args = call.value("args", Json::object()), reduce = args.value("reduce_fx", Json("mean"));
    const auto hook = call["hook"].get<std::string>();
    const bool nowhere = !goes_to(hook, args, "on_step") && !goes_to(hook, args, "on_epoch");
    const bool reduces = reduce == "mean" || reduce == "sum" || reduce == "min" || reduce == "max";
    if (should_fail && (nowhere || !reduces)) return pass();  // the boundary has no such call
    const Json value = call.value("value", Json::object());
    if (value.contains("metric")) return fail("no metric objects are logged: metrics are components of the model");
    if (value.contains("special") && !special_value(value["special"]).defined())  // the boundary has no such call
      return should_fail ? pass() : fail("only numbers are logged: " + json_text(value));
  }
  std::string error;
  Json final_metrics;
  try {
    Json section = parse_text(json_text(c.body.at("trainer")));
    for (const char* key : {"logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"})
      section[key] = false;
    if (!section.contains("num_sanity_val_steps")) section["num_sanity_val_steps"] = 0;
    training::Trainer trainer(read_trainer_options(section, "trainer"),
                              log_parts(parse_text(json_text(c.body.at("data")))));
    if (run.training)
      trainer.fit();
    else
      trainer.evaluate(entry == "test" ? Stage::kTest : Stage::kValidate);
    final_metrics = as_json(trainer.metrics());
  } catch (const std::exception& problem) {
    error = problem.what();
  }
  if (error.empty() == should_fail) return fail(should_fail ? "expected an error" : "unexpected error: " + error);
  if (should_fail) return pass();
  std::string problem = different(expect.at("rows"), run.rows, "rows");
  if (problem.empty()) problem = different(expect.at("final_callback_metrics"), final_metrics, "callback_metrics");
  if (problem.empty() && expect.contains("callback_metrics_at_validation_end"))
    problem = different(expect["callback_metrics_at_validation_end"], run.at_validation_end, "at_validation_end");
  if (problem.empty() && expect.contains("progress_bar_after_train_batch"))
    problem = different(expect["progress_bar_after_train_batch"], run.bar, "progress_bar");
  return problem.empty() ? pass() : fail(problem);
}

}  // namespace

void add_logging_suites(std::vector<Suite>& suites) { suites.push_back({"metrics_logging", run_logging}); }

}  // namespace fathom::conformance
