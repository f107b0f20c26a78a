// Two sides of different versions: tables and a host that end early, lack a function, or are longer than known.
#include <ATen/ATen.h>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "core/plugins/host_table.h"
#include "core/plugins/kind.h"
#include "core/plugins/loader.h"
#include "core/plugins/tables.h"
#include "fathom/accelerator.h"
#include "fathom/callback.h"
#include "fathom/command.h"
#include "fathom/exporter.h"
#include "fathom/logger.h"
#include "fathom/model.h"
#include "fathom/optimizer.h"
#include "fathom/resolver.h"
#include "fathom/scheduler.h"
#include "fathom/stream.h"

namespace fathom {
namespace {

using ::testing::HasSubstr;

// --- one class of each kind ------------------------------------------------------------------------------------------

class AModule : public NeuralModule {
 public:
  Ports inputs() const override { return {{"x", {"B", LogitsType{}}}}; }
  Ports outputs() const override { return {{"y", {"B", LogitsType{}}}}; }
  Values forward(const Values& in) override { return {{"y", in["x"]}}; }
};
class ALoss final : public Loss {
 public:
  Values forward(const Values& in) override { return in; }
};
class ADataset final : public DatasetOf<int64_t> {
 public:
  int64_t size() const override { return 2; }
  int64_t get(int64_t index, uint64_t) const override { return index; }
  Values collate(const std::vector<const int64_t*>& items) const override { return {{"count", items.size()}}; }
};
class AModel final : public Model, public Stateful {
 public:
  using Model::Model;
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return std::make_shared<ADataset>(); }
  Values forward(const Values& in) override { return in; }
  at::Tensor training_step(const Values&, const Step& step) override {
    step.log("x", 1.0);
    step.log_text("x", "y");
    step.log_histogram("x", at::ones({2, 2}));
    step.log_audio("x", at::ones({4}), 8000);
    step.log_image("x", at::ones({2, 2}));
    return at::ones({});
  }
  void validation_step(const Values&, const Step&) override {}
  Json save_state() const override { return {{"a", 1}}; }
  void load_state(const Json&) override {}
};
class AMetric final : public EpochMetric {
 public:
  void update(const Values&) override {}
  std::vector<std::pair<std::string, double>> compute() const override { return {{"m", 1}}; }
  void reset() override {}
  std::map<std::string, double> sums() const override { return {{"s", 1}}; }
  void set_sums(const std::map<std::string, double>&) override {}
};
class ATokenizer final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 1; }
  std::vector<int64_t> encode(std::string_view) const override { return {0}; }
  std::string decode(const std::vector<int64_t>&) const override { return "a"; }
  std::string piece(int64_t) const override { return "a"; }
};
struct AnOptimizerOptions {
  double lr = 0.1;
  static void describe(OptionSet<AnOptimizerOptions>& o) { o("lr", &AnOptimizerOptions::lr, "rate"); }
};
class AnOptimizer final : public Optimizer<AnOptimizerOptions> {
 public:
  using Optimizer::Optimizer;
  void update(AnOptimizerOptions& o, UpdateBatch& b) override {
    for (size_t i = 0; i < b.size(); ++i) b.parameters[i].sub_(b.gradients[i], o.lr);
  }
};
class AScheduler final : public Scheduler {
 public:
  std::vector<double> rates(const ScheduleStep& at) override { return at.base_lrs; }
};
class ALogger final : public Logger {
 public:
  void log_metrics(std::span<const Metric>, int64_t) override {}
};
class ACallback final : public Callback, public Stateful {
 public:
  ACallback() { on(Event::kTrainStart, &ACallback::look); }
  std::string state_key() const override { return "a"; }
  Json save_state() const override { return 1; }
  void load_state(const Json&) override {}

 private:
  // Asks for everything there is: an older trainer lacks some of it, which is an error in words.
  void look(Trainer& t) {
    const auto ask = [&](auto&& what) {
      try {
        what();
      } catch (const Error&) {
      }
    };
    ask([&] { t.progress(); });
    ask([&] { t.metric("x"); });
    ask([&] { t.metrics(); });
    ask([&] { t.progress_bar_metrics(); });
    ask([&] { t.log("x", 1); });
    ask([&] { t.stop("x"); });
    ask([&] { t.save_checkpoint("x"); });
    ask([&] { t.save_nemo("x"); });
    ask([&] { t.load_weights("x"); });
    ask([&] { t.group_count(); });
    ask([&] { t.optimizer_option(0, 0, "lr"); });
    ask([&] { t.optimizer_name(); });
    ask([&] { t.loss(); });
    ask([&] { t.gradient_norm(); });
    ask([&] { t.model_summary(1); });
    ask([&] { t.resumed_from(); });
    ask([&] { t.plan_accumulation({{1, 2}}); });
    ask([&] { t.keep_mean("x"); });
    ask([&] { t.add_to_mean(0); });
    ask([&] { t.take_mean(); });
    ask([&] { t.add_statistics_epoch(); });
    ask([&] { t.replace_schedule({{"name", "x"}}); });
    ask([&] { t.schedule_interval(); });
    ask([&] { t.logger_count(); });
    ask([&] { t.log_row({}, 0); });
    ask([&] { t.gradient_norms(2); });
    ask([&] { t.stop_this_run("x"); });
    ask([&] { t.interrupt(2); });
    ask([&] { t.keep_average(0.9, 1); });
    ask([&] { t.use_average(true); });
    const float numbers[] = {0, 1, 2, 3};
    const int64_t shape[] = {2, 2};
    const FloatArray array{numbers, shape};
    ask([&] { t.log_text("x", "y"); });
    ask([&] { t.log_histogram("x", array); });
    ask([&] { t.log_audio("x", array, 8000); });
    ask([&] { t.log_image("x", array); });
  }
};
class AResolver final : public Resolver {
 public:
  Json call(const Json&) override { return 1; }
};
class AnExporter final : public Exporter {
 public:
  const char* extension() const override { return ".x"; }
  std::vector<std::string> write(const fathom_object&, const std::string& path) override { return {path}; }
};
class AnAccelerator final : public Accelerator {
 public:
  const char* device_type() const override { return "none"; }
  int32_t device_count(std::string& reason) const override {
    reason = "there is none";
    return 0;
  }
  Json device_info(int32_t) const override { return Json::object(); }
  void synchronize(int32_t) const override {}
};

}  // namespace
}  // namespace fathom

FATHOM_PLUGIN("abi_test", "1", "Apache-2.0", "nobody", "") {
  using namespace fathom;  // NOLINT
  r.add<AModule>("a.Module", "");
  r.add<ALoss>("a.Loss", "");
  r.add<AModel>("a.Model", "");
  r.add<ADataset>("a.Dataset", "");
  r.add<AMetric>("a.Metric", "");
  r.add<ATokenizer>("a.Tokenizer", "");
  r.add<AnOptimizer>("a.Optimizer", "");
  r.add<AScheduler>("a.Scheduler", "");
  r.add<ALogger>("a.Logger", "");
  r.add<ACallback>("a.Callback", "");
  r.add<AResolver>("a.Resolver", "");
  r.add<AnExporter>("a.Exporter", "");
  r.add<AnAccelerator>("a.Accelerator", "");
}

namespace fathom {
namespace {

// What the plugin above registers, straight from its side.
const std::vector<const fathom_component*>& components() {
  static const auto* all = [] {
    auto* list = new std::vector<const fathom_component*>();
    const fathom_registrar registrar = {sizeof(fathom_registrar), list, [](void* ctx, const fathom_component* c) {
                                          static_cast<std::vector<const fathom_component*>*>(ctx)->push_back(c);
                                          return fathom_status{FATHOM_OK};
                                        }};
    check(fathom_plugin_entry_v1.register_all(plugins::host_table(), &registrar));
    host_slot() = plugins::host_table();
    return list;
  }();
  return *all;
}

size_t table_size(fathom_kind kind) {
  switch (kind) {
    case FATHOM_KIND_MODULE:
    case FATHOM_KIND_LOSS: return sizeof(fathom_module_v1);
    case FATHOM_KIND_MODEL: return sizeof(fathom_model_v1);
    case FATHOM_KIND_DATASET: return sizeof(fathom_dataset_v1);
    case FATHOM_KIND_METRIC: return sizeof(fathom_metric_v1);
    case FATHOM_KIND_TOKENIZER: return sizeof(fathom_tokenizer_v1);
    case FATHOM_KIND_OPTIMIZER: return sizeof(fathom_optimizer_v1);
    case FATHOM_KIND_SCHEDULER: return sizeof(fathom_scheduler_v1);
    case FATHOM_KIND_LOGGER: return sizeof(fathom_logger_v1);
    case FATHOM_KIND_CALLBACK: return sizeof(fathom_callback_v1);
    case FATHOM_KIND_RESOLVER: return sizeof(fathom_resolver_v1);
    case FATHOM_KIND_EXPORTER: return sizeof(fathom_exporter_v1);
    case FATHOM_KIND_ACCELERATOR: return sizeof(fathom_accelerator_v1);
    case FATHOM_KIND_COMMAND: return sizeof(fathom_command_v1);
    default: return 0;
  }
}

// A copy of `from` in memory of exactly `size` bytes, which says it has `size`; what `from` lacks is rubbish.
void* cut_copy(const void* from, size_t from_size, size_t size) {
  auto* copy = static_cast<char*>(std::malloc(size));  // never freed: tables live for ever
  std::memset(copy, 0xAB, size);
  std::memcpy(copy, from, std::min(from_size, size));
  const auto own = static_cast<uint32_t>(size);
  if (size >= sizeof(own)) std::memcpy(copy, &own, sizeof(own));
  return copy;
}
const fathom_component* with_table(const fathom_component& component, const void* table) {
  auto* copy = new fathom_component(component);
  copy->vtable = table;
  return copy;
}

// Uses every function of the kind's handle; one that the object lacks is an error in words at most.
void use(const fathom_component* component) {
  const std::string config = component->kind == FATHOM_KIND_MODEL ? R"({"_target_": "a.Model"})" : "{}";
  const fathom_create_args args = {
      sizeof(fathom_create_args), to_abi(config), to_abi("here"), to_abi("{}"), component->name, to_abi("abi_test")};
  void* self = nullptr;
  check(component->create(&args, &self));
  const fathom_object object = {component, self};
  const auto ask = [](auto&& what) {
    try {
      what();
    } catch (const Error& error) {
      EXPECT_FALSE(error.message().empty());
    }
  };
  const at::Tensor x = at::ones({1});
  switch (component->kind) {
    case FATHOM_KIND_MODULE:
    case FATHOM_KIND_LOSS: {
      const ModuleHandle module(object);
      ask([&] { module({{"x", x}}); });
      ask([&] { module.ports(); });
      ask([&] { module.input_example(); });
      ask([&] { module.torch_module(); });
      ask([&] { module.properties(); });
      break;
    }
    case FATHOM_KIND_MODEL: {
      const ModelHandle model(object);
      fathom_step step{};
      step.struct_size = sizeof(step);
      ask([&] { model.forward({{"x", x}}); });
      ask([&] { model.make_dataset(Stage::kTrain, Json::object(), "d").size(); });
      for (size_t size = sizeof(uint32_t); size <= sizeof(step); size += sizeof(void*)) {
        step.struct_size = static_cast<uint32_t>(size);  // an older trainer, cut after each function
        ask([&] { model.training_step({}, step); });
      }
      step.struct_size = sizeof(step);
      ask([&] { model.eval_step({}, step); });
      ask([&] { model.eval_epoch_end(step); });
      ask([&] { model.predict_step({}, {}); });
      ask([&] { model.config(); });
      ask([&] { model.artifacts(); });
      ask([&] { model.modules(); });
      ask([&] { save_state(model.object()); });
      break;
    }
    case FATHOM_KIND_DATASET: {
      const DatasetHandle dataset(object);
      ask([&] { dataset.size(); });
      ask([&] { dataset.length_hint(0); });
      ask([&] { dataset.ports(); });
      ask([&] {
        std::vector<DatasetHandle::Sample> samples;
        samples.push_back(dataset.get(0, 1));
        dataset.collate(samples);
      });
      break;
    }
    case FATHOM_KIND_METRIC: {
      const MetricHandle metric(object);
      ask([&] { metric.update({}); });
      ask([&] { metric.compute(); });
      ask([&] { metric.reset(); });
      ask([&] { metric.set_sums(metric.sums()); });
      break;
    }
    case FATHOM_KIND_TOKENIZER: {
      const TokenizerHandle tokenizer(object);
      ask([&] { tokenizer.vocab_size(); });
      ask([&] { tokenizer.decode(tokenizer.encode("a")); });
      ask([&] { tokenizer.piece(0); });
      break;
    }
    case FATHOM_KIND_OPTIMIZER: {
      OptimizerHandle optimizer(object);
      ask([&] { optimizer.add_group({{"p", at::ones({2})}}); });
      ask([&] { optimizer.step(std::vector<at::Tensor>{at::ones({2})}); });
      ask([&] { optimizer.set_option(0, "lr", optimizer.get_option(0, "lr")); });
      ask([&] { optimizer.load_group(0, optimizer.group_options(0)); });
      ask([&] { optimizer.save_state(); });
      break;
    }
    case FATHOM_KIND_SCHEDULER: {
      SchedulerHandle scheduler(object);
      const ScheduleStep at{1, {0.1}, {0.1}, {}};
      ask([&] { scheduler.rates(at); });
      ask([&] { scheduler.second_option(at); });
      ask([&] { scheduler.interval(); });
      ask([&] { scheduler.needs_monitor(); });
      ask([&] { scheduler.load_state(scheduler.save_state()); });
      break;
    }
    case FATHOM_KIND_LOGGER: {
      const LoggerHandle logger(object);
      const fathom_metric_value value = {to_abi("x"), 1};
      ask([&] { logger.log_metrics({&value, 1}, 0); });
      ask([&] { logger.log_hyperparams({}); });
      ask([&] { logger.log_text("a", "b", 0); });
      ask([&] { logger.save(); });
      ask([&] { logger.finalize("success"); });
      const float numbers[] = {0, 1, 2, 3};
      const int64_t shape[] = {2, 2};
      const fathom_float_array array = {sizeof(array), numbers, shape, 2};
      ask([&] { logger.log_histogram("a", array, 0); });
      ask([&] { logger.log_audio("a", array, 8000, 0); });
      ask([&] { logger.log_image("a", array, 0); });
      ask([&] { logger.save_state(); });
      break;
    }
    case FATHOM_KIND_CALLBACK: {
      const CallbackHandle callback(object);
      fathom_trainer trainer{};
      for (size_t size = sizeof(uint32_t); size <= sizeof(trainer); size += sizeof(void*)) {
        trainer.struct_size = static_cast<uint32_t>(size);  // an older trainer, cut after each function
        ask([&] { callback.on_event(FATHOM_ON_TRAIN_START, trainer); });
      }
      ask([&] { callback.order(); });
      ask([&] { callback.load_state(callback.save_state()); });
      EXPECT_TRUE(callback.state_key() == "a" || callback.state_key().empty());
      break;
    }
    default: component->destroy(self);
  }
}

class Abi : public ::testing::TestWithParam<size_t> {
 protected:
  const fathom_component& component() const { return *components()[GetParam()]; }
};

TEST_P(Abi, ATableCutAfterEveryFieldWorksOrIsRefusedInASentence) {
  const fathom_component& c = component();
  const size_t full = table_size(c.kind);
  int accepted = 0;
  for (size_t size = sizeof(uint32_t); size <= full; size += size < 8 ? 4 : sizeof(void*)) {
    const fathom_component* cut = with_table(c, cut_copy(c.vtable, full, size));
    try {
      use(plugins::adopt(*cut));
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kBadData) << error.what();
      EXPECT_THAT(error.message(),
                  ::testing::AnyOf(HasSubstr("before which its table ends"), HasSubstr("does not say its size")))
          << size << " of " << full;
      EXPECT_THAT(error.message(), HasSubstr(to_string(c.name)));
      EXPECT_EQ(error.message().find('\n'), std::string::npos);
    }
  }
  EXPECT_GE(accepted, 1) << "the whole table at least";
}

TEST_P(Abi, ALongerTableIsAccepted) {
  const fathom_component& c = component();
  const size_t full = table_size(c.kind);
  use(plugins::adopt(*with_table(c, cut_copy(c.vtable, full, full + 64))));
}

TEST_P(Abi, ANullSlotIsOptionalOrNamed) {
  const fathom_component& c = component();
  const size_t full = table_size(c.kind);
  int refused = 0;
  for (size_t offset = sizeof(void*); offset < full; offset += sizeof(void*)) {
    auto* table = static_cast<char*>(cut_copy(c.vtable, full, full));
    std::memset(table + offset, 0, sizeof(void*));
    try {
      use(plugins::adopt(*with_table(c, table)));
    } catch (const Error& error) {
      ++refused;
      EXPECT_THAT(error.message(), ::testing::ContainsRegex("lacks the function '[a-z_]+'")) << offset;
      EXPECT_EQ(error.message().find("ends"), std::string::npos);
    }
  }
  EXPECT_GE(refused, 1);
}

TEST_P(Abi, ADescriptorCutAfterEveryFieldWorksOrIsRefused) {
  const fathom_component& c = component();
  for (size_t size = sizeof(uint32_t); size <= sizeof(c); size += size < 8 ? 4 : sizeof(void*)) {
    const auto* cut = static_cast<const fathom_component*>(cut_copy(&c, sizeof(c), size));
    try {
      use(plugins::adopt(*cut));
      EXPECT_GE(size, offsetof(fathom_component, query));
    } catch (const Error& error) {
      EXPECT_LT(size, sizeof(c));
      EXPECT_THAT(error.message(), HasSubstr("descriptor is unusable"));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Abi, ::testing::Range(size_t{0}, size_t{13}), [](const auto& info) {
  return std::string(plugins::kind_name(components()[info.param]->kind));
});

TEST(AbiEntry, AnEntryWithoutItsLastFunctionsRegisters) {
  for (size_t size = offsetof(fathom_plugin_entry, query); size <= sizeof(fathom_plugin_entry); size += sizeof(void*)) {
    auto* cut = static_cast<fathom_plugin_entry*>(std::malloc(size));
    std::memcpy(static_cast<void*>(cut), &fathom_plugin_entry_v1, size);
    cut->struct_size = static_cast<uint32_t>(size);
    auto result = plugins::register_plugin(cut);
    host_slot() = plugins::host_table();
    ASSERT_TRUE(std::holds_alternative<plugins::LoadedPlugin>(result)) << size;
    EXPECT_EQ(std::get<plugins::LoadedPlugin>(result).components.size(), 13u);
  }
}

TEST(AbiEntry, TwoComponentsOfOneNameInOnePluginAreRefused) {
  static const fathom_component* twin = components()[5];
  static const fathom_plugin_entry entry = {FATHOM_PLUGIN_MAGIC,
                                            sizeof(fathom_plugin_entry),
                                            FATHOM_ABI_MAJOR,
                                            FATHOM_ABI_MINOR,
                                            to_abi("twins"),
                                            to_abi("1"),
                                            to_abi(""),
                                            to_abi(""),
                                            to_abi(""),
                                            FATHOM_TORCH_NONE,
                                            to_abi(""),
                                            to_abi(""),
                                            [](const fathom_host*, const fathom_registrar* r) {
                                              r->add(r->ctx, twin);
                                              return r->add(r->ctx, new fathom_component(*twin));
                                            },
                                            nullptr,
                                            nullptr};
  const auto result = plugins::register_plugin(&entry);
  ASSERT_TRUE(std::holds_alternative<plugins::Refusal>(result));
  EXPECT_THAT(std::get<plugins::Refusal>(result).reason, HasSubstr("'a.Tokenizer' twice"));
}

// --- an older host ---------------------------------------------------------------------------------------------------

TEST(AbiHost, AHostCutAfterEveryFunctionIsServedOrToldInWords) {
  for (const char* name : {"toy_gan", "toy_recurrent", "toy_stream", "toy_iterable", "toy_regression"}) {
    void* library =
        ::dlopen((FATHOM_BINARY_DIR "/tests/toys/plugins/" + std::string(name) + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << ::dlerror();
    const auto* entry = static_cast<const fathom_plugin_entry*>(::dlsym(library, FATHOM_PLUGIN_ENTRY_NAME));
    ASSERT_NE(entry, nullptr);
    for (size_t size = offsetof(fathom_host, log); size <= sizeof(fathom_host); size += sizeof(void*)) {
      const auto* host = static_cast<const fathom_host*>(cut_copy(plugins::host_table(), sizeof(fathom_host), size));
      std::vector<const fathom_component*> registered;
      const fathom_registrar registrar = {sizeof(fathom_registrar), &registered,
                                          [](void* ctx, const fathom_component* c) {
                                            static_cast<std::vector<const fathom_component*>*>(ctx)->push_back(c);
                                            return fathom_status{FATHOM_OK};
                                          }};
      const fathom_status status = entry->register_all(host, &registrar);
      if (status != FATHOM_OK) {
        ASSERT_NE(plugins::host_table()->last_error(), nullptr);
        EXPECT_GT(plugins::host_table()->last_error()->what.len, 0u);
        continue;
      }
      for (const fathom_component* component : registered) {
        const std::string config =
            R"({"vocabulary": 3, "optim": {"name": "adam"}, "_target_": ")" + to_string(component->name) + "\"}";
        const bool needs = to_string(component->name) == "toy.Predictor";
        const std::string given = needs ? R"({"vocabulary": 3})" : component->kind == FATHOM_KIND_MODEL ? config : "{}";
        const fathom_create_args args = {
            sizeof(fathom_create_args), to_abi(given), to_abi("here"), to_abi("{}"), component->name, to_abi(name)};
        void* self = nullptr;
        if (component->create(&args, &self) != FATHOM_OK) {
          EXPECT_GT(plugins::host_table()->last_error()->what.len, 0u);
          continue;
        }
        if (component->kind == FATHOM_KIND_MODULE) {
          const ModuleHandle module(fathom_object{component, self});
          try {
            module({{"label", at::tensor({1}, at::kLong)}});
          } catch (const Error& error) {
            EXPECT_THAT(error.message(), HasSubstr("lacks a function of the host")) << size;
          }
          continue;
        }
        component->destroy(self);
      }
    }
    check(entry->register_all(plugins::host_table(), new fathom_registrar{sizeof(fathom_registrar), nullptr,
                                                                          [](void*, const fathom_component*) {
                                                                            return fathom_status{FATHOM_OK};
                                                                          }}));
  }
}

// --- what is logged besides numbers ---------------------------------------------------------------------------------

TEST(AbiMedia, AnOlderProgramIsServedOrToldInWords) {
  static int calls = 0;
  const float numbers[] = {0, 1, 2, 3};
  const int64_t shape[] = {2, 2};
  const FloatArray array{numbers, shape};
  const fathom_media_log whole = {
      sizeof(whole),
      nullptr,
      [](void*, fathom_str, fathom_str) -> fathom_status { return ++calls, FATHOM_OK; },
      [](void*, fathom_str, const fathom_float_array*) -> fathom_status { return ++calls, FATHOM_OK; },
      [](void*, fathom_str, const fathom_float_array*, int64_t) -> fathom_status { return ++calls, FATHOM_OK; },
      [](void*, fathom_str, const fathom_float_array*) -> fathom_status { return ++calls, FATHOM_OK; }};
  for (int functions = 0; functions <= 4; ++functions) {
    const size_t size = offsetof(fathom_media_log, log_text) + static_cast<size_t>(functions) * sizeof(void*);
    const MediaLog log(static_cast<const fathom_media_log*>(cut_copy(&whole, sizeof(whole), size)));
    calls = 0;
    int errors = 0;
    const auto ask = [&](auto&& what) {
      try {
        what();
      } catch (const Error& error) {
        EXPECT_THAT(error.message(), HasSubstr("numbers only"));
        ++errors;
      }
    };
    ask([&] { log.log_text("x", "y"); });
    ask([&] { log.log_histogram("x", array); });
    ask([&] { log.log_audio("x", array, 8000); });
    ask([&] { log.log_image("x", array); });
    EXPECT_EQ(calls, functions);
    EXPECT_EQ(errors, 4 - functions);
  }
  EXPECT_THROW(MediaLog(nullptr).log_text("x", "y"), Error);
}

// --- arrays with a stride --------------------------------------------------------------------------------------------

TEST(AbiArrays, ElementsOfAnotherSizeAreReadByTheirStride) {
  struct Longer {
    fathom_port port;
    uint64_t later[2];
  };
  fathom_type_id type = 0;
  check(host().intern_type(to_abi(R"({"axes": ["B"], "elements": "LogitsType"})"), &type));
  const Longer longer[2] = {{{to_abi("a"), type, 0, 0, 0}, {1, 1}}, {{to_abi("b"), type, 1, 0, 0}, {1, 1}}};
  const fathom_ports ports = {&longer[0].port, 2, sizeof(Longer)};
  const at::Tensor x = at::ones({1});
  const Values a{{"a", x}}, c{{"c", x}};
  const AbiValues good(a), bad(c);
  EXPECT_EQ(host().check_ports(0, to_abi("m"), &ports, good.data(), good.size()), FATHOM_OK);
  EXPECT_NE(host().check_ports(0, to_abi("m"), &ports, bad.data(), bad.size()), FATHOM_OK);
  const auto list = port_list(ports);
  EXPECT_EQ(to_view(list[1].name), "b");
  EXPECT_EQ(list[1].optional, 1u);

  // Shorter ones, of an older plugin: what they lack is zero.
  const fathom_port full[1] = {{to_abi("a"), type, 1, 1, 9}};
  const fathom_ports shorter = {full, 1, offsetof(fathom_port, list_depth)};
  EXPECT_EQ(port_list(shorter)[0].list_depth, 0u);
  EXPECT_EQ(port_list(shorter)[0].optional, 1u);
}

// --- values ----------------------------------------------------------------------------------------------------------

TEST(Values, ConvertToWhatOneExpects) {
  EXPECT_EQ(Value(3).integer(), 3);
  EXPECT_EQ(Value(0).integer(), 0);
  EXPECT_EQ(Value(size_t{7}).integer(), 7);
  EXPECT_EQ(Value(true).boolean(), true);
  EXPECT_EQ(Value(1.5f).real(), 1.5);
  EXPECT_EQ(Value("x").text(), "x");
  EXPECT_EQ(Value(std::string_view("y")).text(), "y");
  EXPECT_THROW(Value(~uint64_t{0}), Error);
  EXPECT_THROW(Value(1).boolean(), Error);
}

TEST(Values, EveryKindCrossesAndComesBack) {
  auto number = std::make_shared<int>(5);
  const std::weak_ptr<int> watch = number;
  Values back;
  {
    Values in{{"flag", true},
              {"list", Value::List{1, "a"}},
              {"map", Value(Values{{"deep", Value(Values{{"x", 2}})}})},
              {"tensor", at::ones({2})},
              {"own", Value::opaque("test.Number/1", std::move(number))},
              {"none", Value()}};
    const AbiValues abi(in);
    back = Values::from_abi(abi.data(), abi.size());
  }
  EXPECT_TRUE(back["flag"].boolean());
  EXPECT_EQ(back["list"].list()[1].text(), "a");
  EXPECT_EQ(back["map"].map()[0].second.map()[0].second.integer(), 2);
  EXPECT_EQ(*static_cast<int*>(back["own"].opaque("test.Number/1").get()), 5) << "kept beyond its maker's value";
  EXPECT_THROW(back["own"].opaque("test.Number/2"), Error);
  EXPECT_TRUE(back["none"].is_none());
  back = {};
  EXPECT_TRUE(watch.expired()) << "released with the last value";

  const Json json = {{"a", 1}, {"b", {true, nullptr, 1.5, "x"}}};
  EXPECT_EQ(json_of(value_of(json)), json);
}

}  // namespace
}  // namespace fathom
