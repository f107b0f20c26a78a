// trainer_trace: the order in which callbacks and a model's steps are called, by the trainer itself, against
// Lightning's.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include <set>
#include <utility>

#include "core/base/interrupt.h"
#include "core/base/temporary_folder.h"
#include "core/training/trainer.h"
#include "fathom/iterable.h"
#include "fathom/manual_optimization.h"
#include "tests/conformance/recorded_hooks.h"
#include "tests/conformance/suites.h"

namespace fathom::conformance {
namespace {

using training::Trainer;

// What is recorded, and where the case asks for a failure or a stop: [name, epoch, batch, loader, global_step, items].
struct Trace {
  Json model = Json::object();  // the case's options
  Json events = Json::array();
  bool several_loaders = false;
  int64_t validations = 0;
  // Of a run that another goes on from: where a checkpoint is saved ({hook, epoch, batch_idx, nth}), and into which
  // file.
  Json save_at = nullptr;
  std::string checkpoint;
  int64_t times_there = 0;

  void add(const std::string& name, int64_t epoch, Json batch, Json loader, int64_t step) {
    events.push_back({name, epoch, std::move(batch), std::move(loader), step});
  }
  // Throws where the case says that this hook fails.
  void fail_if_asked(const std::string& hook, int64_t epoch, int64_t batch) const {
    if (!model.contains("fail")) return;
    const Json& fail = model["fail"];
    if (fail["hook"] != hook || (fail.contains("batch_idx") && fail["batch_idx"] != batch) ||
        (fail.contains("epoch") && fail["epoch"] != epoch))
      return;
    if (fail.value("error", "") == "KeyboardInterrupt") return request_interrupt(2);
    throw std::runtime_error("asked to fail");
  }
};
Trace* g_trace = nullptr;  // of the case at work

// Item i is the number i.
class TraceItems final : public DatasetOf<int64_t> {
 public:
  explicit TraceItems(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  int64_t get(int64_t index, uint64_t) const override { return index; }
  Values collate(const std::vector<const int64_t*>& items) const override {
    std::vector<float> numbers;
    for (const int64_t* item : items) numbers.push_back(static_cast<float>(*item));
    return {{"x", at::tensor(numbers).unsqueeze(1)}};
  }

 private:
  int64_t size_;
};
class UnsizedTraceItems final : public IterableDatasetOf<int64_t> {
 public:
  explicit UnsizedTraceItems(int64_t size) : size_(size) {}
  std::unique_ptr<Items> start(uint64_t) override { return std::make_unique<Run>(size_); }
  Values collate(const std::vector<const int64_t*>& items) const override { return TraceItems(size_).collate(items); }

 private:
  struct Run final : Items {
    explicit Run(int64_t size) : left(size) {}
    std::optional<int64_t> next() override { return left-- > 0 ? std::optional(item++) : std::nullopt; }
    int64_t item = 0, left;
  };
  int64_t size_;
};

class TraceModel : public Model {
 public:
  TraceModel(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)), layer_(register_module("layer", torch::nn::Linear(1, 1))) {}
  Values forward(const Values& in) override { return {{"y", layer_->forward(in.tensor("x"))}}; }
  // Section: how many items, and whether their number is known.
  MadeDataset make_dataset(Stage, const Json& section, const std::string&) override {
    const int64_t items = section.at("items").get<int64_t>();
    if (section.value("unsized", false)) return std::make_shared<UnsizedTraceItems>(items);
    return std::make_shared<TraceItems>(items);
  }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    record("M.training_step", batch, step);
    g_trace->fail_if_asked("training_step", step.epoch(), step.batch_idx());
    for (const Json& name : g_trace->model.value("log_train", Json::array())) step.log(name.get<std::string>(), 1.0);
    for (const Json& batch_idx : g_trace->model.value("none_loss_at", Json::array())) {
      if (batch_idx == step.batch_idx()) return {};
    }
    return layer_->forward(batch.tensor("x")).mean();
  }
  void validation_step(const Values& batch, const Step& step) override {
    record("M.validation_step", batch, step);
    g_trace->fail_if_asked("validation_step", step.epoch(), step.batch_idx());
    if (const Json values = g_trace->model.value("log_val", Json::array()); !values.empty()) {
      const size_t at = std::min(static_cast<size_t>(g_trace->validations), values.size() - 1);
      step.log("val_loss", values[at].get<double>());
    }
  }
  void test_step(const Values& batch, const Step& step) override {
    record("M.test_step", batch, step);
    g_trace->fail_if_asked("test_step", step.epoch(), step.batch_idx());
  }
  // Is not told where it stands: the callback called just before was.
  std::vector<Values> predict_step(const Values& batch, const Json&) override {
    Json event = g_trace->events.back();
    event[0] = "M.predict_step";
    event.push_back(items_of(batch));
    g_trace->events.push_back(event);
    g_trace->fail_if_asked("predict_step", event[1].get<int64_t>(), event[2].get<int64_t>());
    return {};
  }

 protected:
  static std::vector<int64_t> items_of(const Values& batch) {
    const at::Tensor x = batch.tensor("x");
    std::vector<int64_t> items;
    for (int64_t i = 0; i < x.size(0); ++i) items.push_back(x[i].item<int64_t>());
    return items;
  }
  static void record(const char* name, const Values& batch, const Step& step) {
    const bool training = step.stage() == Stage::kTrain;
    g_trace->add(name, step.epoch(), step.batch_idx(),
                 g_trace->several_loaders && !training ? Json(step.dataloader_idx()) : Json(nullptr),
                 step.global_step());
    g_trace->events.back().push_back(items_of(batch));
  }
  torch::nn::Linear layer_;
};

// Zeroes, differentiates and steps each of its optimizers in turn; `manual_every`: steps only every n-th batch.
class ManualTraceModel final : public TraceModel, public ManualOptimization {
 public:
  ManualTraceModel(Json config, ModelContext context)
      : TraceModel(std::move(config), std::move(context)),
        second_(register_module("second", torch::nn::Linear(1, 1))) {}
  std::vector<OptimizerSpec> configure_optimizers() const override {
    const Json sgd = {{"name", "sgd"}, {"lr", 0.1}};
    std::vector<OptimizerSpec> specs = {{{"layer"}, sgd}, {{"second"}, sgd}};
    specs.resize(g_trace->model.value("optimizers", size_t{1}));
    return specs;
  }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    TraceModel::training_step(batch, step);
    const bool toggles = g_trace->model.value("manual_toggle", false);
    const int64_t every = g_trace->model.value("manual_every", int64_t{1});
    for (size_t i = 0; i < step.optimizer_count(); ++i) {
      if (toggles) step.toggle(i);
      if (step.batch_idx() % every == 0) step.zero_grad(i);
      step.backward((i == 0 ? layer_ : second_)->forward(batch.tensor("x")).mean());
      if ((step.batch_idx() + 1) % every == 0) step.optimizer_step(i);
      if (toggles) step.untoggle(i);
    }
    return {};
  }

 private:
  torch::nn::Linear second_;
};

class TraceCallback final : public HookCallback {
 public:
  explicit TraceCallback(const Options&) {}

 private:
  void called(const std::string& name, fathom::Trainer& trainer) override {
    const fathom_progress& p = trainer.progress();
    const bool of_batch = name.find("_batch_") != std::string::npos,
               training = name.find("_train_") != std::string::npos;
    g_trace->add("C." + name, p.epoch, of_batch ? Json(p.batch_idx) : Json(nullptr),
                 of_batch && !training && g_trace->several_loaders ? Json(p.dataloader_idx) : Json(nullptr),
                 p.global_step);
    if (name == "on_validation_end" && p.sanity_checking == 0) ++g_trace->validations;
    const Json stop = g_trace->model.value("stop_at", Json(nullptr));
    if (name == "on_train_batch_start" && stop == Json{p.epoch, p.batch_idx}) trainer.stop("asked to stop");
    g_trace->fail_if_asked(name, p.epoch, p.batch_idx);
  }
};

// Saves where the case says, after everybody else.
class TraceSaver final : public HookCallback {
 public:
  explicit TraceSaver(const Options&) {}
  Order order() const override { return Order::kCheckpoint; }

 private:
  void called(const std::string& hook, fathom::Trainer& trainer) override {
    const Json& at = g_trace->save_at;
    const fathom_progress p = trainer.progress();
    if (!at.is_object() || at["hook"] != hook || at.value("epoch", p.epoch) != p.epoch ||
        at.value("batch_idx", p.batch_idx) != p.batch_idx)
      return;
    if (++g_trace->times_there == at.value("nth", int64_t{1})) trainer.save_checkpoint(g_trace->checkpoint);
  }
};

void add_trace_components(Registry& registry) {
  registry.add<TraceModel>("conformance.TraceModel", "one layer");
  registry.add<ManualTraceModel>("conformance.ManualTraceModel", "two layers");
  registry.add<TraceCallback>("conformance.TraceCallback", "records events");
  registry.add<TraceSaver>("conformance.TraceSaver", "saves a checkpoint");
}

std::unique_ptr<DataLoader> loader_of(const ModelHandle& model, const Json& section, int64_t batch_size) {
  LoaderOptions options;
  options.batch_size = batch_size;
  return std::make_unique<DataLoader>(model.make_dataset(Stage::kTrain, section, "data"), options, 0);
}

training::TrainerParts parts_of(const Json& model) {
  training::TrainerParts parts;
  const char* name = model.contains("manual") ? "conformance.ManualTraceModel" : "conformance.TraceModel";
  parts.model = ModelHandle(create_object(1u << FATHOM_KIND_MODEL, {{"_target_", name}}, "model"));
  const int64_t batch = model.value("batch", int64_t{1});
  const Json items = {{"items", model.value("n_train", int64_t{4}) * batch},
                      {"unsized", model.value("unsized", false)}};
  parts.remake_train = [=](const ModelHandle& made) { return loader_of(made, items, batch); };
  parts.train = parts.remake_train(parts.model);
  const std::vector<int64_t> counts = model.value("n_val", std::vector<int64_t>{2});
  if (!model.value("no_val", false)) {
    for (auto* loaders : {&parts.validation, &parts.test, &parts.predict}) {
      for (const int64_t count : counts) loaders->push_back(loader_of(parts.model, {{"items", count}}, 1));
    }
  }
  parts.remake_validation = [=](const ModelHandle& made) {
    std::vector<std::unique_ptr<DataLoader>> loaders;
    for (const int64_t count : counts) loaders.push_back(loader_of(made, {{"items", count}}, 1));
    return loaders;
  };
  if (model.value("optimizers", 1) != 0) parts.optim = {{"name", "sgd"}, {"lr", 0.1}};
  for (const char* callback : {"conformance.TraceCallback", "conformance.TraceSaver"})
    parts.callbacks.emplace_back(create_object(1u << FATHOM_KIND_CALLBACK, {{"_target_", callback}}, "callback"));
  return parts;
}

TrainerOptions options_of(const nlohmann::json& given) {
  Json section = parse_text(json_text(given));
  section["logger"] = section["enable_progress_bar"] = section["enable_model_summary"] = false;
  if (!section.contains("enable_checkpointing")) section["enable_checkpointing"] = false;
  return read_trainer_options(section, "trainer");
}

// The events that callbacks of ours see, without what only Python has (a stage, a class of exceptions).
Json comparable(const nlohmann::json& recorded, const Json& got) {
  std::set<std::string> known;
  for (const Json& event : got) known.insert(event[0].get<std::string>());
  for (const char* always :
       {"M.training_step", "M.validation_step", "M.test_step", "M.predict_step", "C.on_exception", "C.teardown"})
    known.insert(always);
  Json out = Json::array();
  for (const auto& event : recorded) {
    const auto name = event.at(0).get<std::string>();
    if (!name.starts_with("C.") && !known.contains(name)) continue;
    if (name == "C.on_load_checkpoint" || name == "C.on_save_checkpoint") continue;
    Json one = parse_text(json_text(event));
    if (name.starts_with("C.") && one.size() > 5) one.erase(5);
    out.push_back(std::move(one));
  }
  return out;
}

// What a run came to.
struct Ended {
  std::string error;
  int64_t epoch = 0, step = 0;
};

Ended run_entry(const std::string& entry, const nlohmann::json& trainer_args, Trace& trace, const std::string& resume) {
  g_trace = &trace;
  request_interrupt(0);
  Ended ended;
  try {
    Trainer trainer(options_of(trainer_args), parts_of(trace.model));
    if (entry == "fit") {
      const training::FitResult result = trainer.fit(resume);
      ended.epoch = result.epochs;
      ended.step = result.global_step;
      if (result.status == "interrupted") ended.error = "interrupted";
      if (trace.save_at == "after") trainer.save_checkpoint(trace.checkpoint, 0);
    } else if (entry == "predict") {
      trainer.predict(Json::object(), [](const Json&) {});
    } else {
      trainer.evaluate(entry == "test" ? Stage::kTest : Stage::kValidate);
    }
  } catch (const std::exception& problem) {
    ended.error = problem.what();
  }
  request_interrupt(0);
  return ended;
}

Outcome run_trace(const Case& c) {
  add_suite_plugin<add_trace_components>("conformance_trace");
  const auto entry = c.body.at("entry").get<std::string>();
  const nlohmann::json& expect = c.body.at("expect");
  const TemporaryFolder folder;
  Trace trace, first;
  first.model = trace.model = parse_text(json_text(c.body.at("model")));
  first.several_loaders = trace.several_loaders = trace.model.contains("n_val") && trace.model["n_val"].size() > 1;
  const bool resumes = entry == "resume";
  if (resumes) {
    first.save_at = parse_text(json_text(c.body.at("save_at")));
    first.checkpoint = folder.path() + "/saved.ckpt";
    run_entry("fit", c.body.at("trainer"), first, "");
    trace.model.erase("fail");
  }
  const Ended ended =
      run_entry(resumes ? "fit" : entry, c.body.at(resumes ? "resume_trainer" : "trainer"), trace, first.checkpoint);
  const std::string& error = ended.error;
  const bool should_fail = expect.at("status") != "ok";
  if (error.empty() == should_fail) return fail(should_fail ? "expected an error" : "unexpected error: " + error);
  // What is wrong with the options is refused here before anybody is called.
  if (should_fail && expect.at("error") == "MisconfigurationException") return pass();
  const Json wanted = comparable(expect.at("events"), trace.events);
  for (size_t i = 0; i < std::max(wanted.size(), trace.events.size()); ++i) {
    const std::string a = i < wanted.size() ? json_text(wanted[i]) : "the end",
                      b = i < trace.events.size() ? json_text(trace.events[i]) : "the end";
    if (a != b) return fail("event " + std::to_string(i) + ": expected " + a + ", got " + b);
  }
  if (should_fail || (entry != "fit" && !resumes)) return pass();
  const auto final_epoch = expect.at("final").at("current_epoch").get<int64_t>(),
             final_step = expect.at("final").at("global_step").get<int64_t>();
  if (ended.epoch != final_epoch || ended.step != final_step) {
    return fail("expected epoch " + std::to_string(final_epoch) + " and step " + std::to_string(final_step) + ", got " +
                std::to_string(ended.epoch) + " and " + std::to_string(ended.step));
  }
  return pass();
}

}  // namespace

void add_trace_suites(std::vector<Suite>& suites) { suites.push_back({"trainer_trace", run_trace}); }

}  // namespace fathom::conformance
