// Microseconds a training step of the framework adds to a loop written by hand: an 8x8 linear model, SGD, batches of 8.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/nn/modules/linear.h>

#include <filesystem>

#include "core/base/log.h"
#include "core/plugins/registry.h"
#include "core/training/trainer.h"
#include "tests/bench/measure.h"

namespace {

using namespace fathom;  // NOLINT

constexpr int64_t kSteps = 5000;

// Ready-made batches: what is measured is the loop, not the making of data.
class Batches final : public DatasetOf<at::Tensor> {
 public:
  Batches() {
    for (int i = 0; i < 64; ++i) batches_.push_back(at::randn({8, 8}));
  }
  int64_t size() const override { return kSteps; }
  at::Tensor get(int64_t index, uint64_t) const override { return batches_[static_cast<size_t>(index % 64)]; }
  Values collate(const std::vector<const at::Tensor*>& samples) const override { return {{"x", *samples[0]}}; }
  const at::Tensor& batch(int64_t index) const { return batches_[static_cast<size_t>(index % 64)]; }

 private:
  std::vector<at::Tensor> batches_;
};

class Toy final : public Model {
 public:
  Toy(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)),
        logs_(config_.value("log", false)),
        linear_(register_module("linear", torch::nn::Linear(8, 8))) {}
  Values forward(const Values& in) override { return {{"y", linear_->forward(in.tensor("x"))}}; }
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return std::make_shared<Batches>(); }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    const at::Tensor loss = linear_->forward(batch.tensor("x")).pow(2).mean();
    if (logs_) step.log("train_loss", loss, FATHOM_METRIC_PROG_BAR);
    return loss;
  }
  void validation_step(const Values&, const Step&) override {}

 private:
  bool logs_;
  torch::nn::Linear linear_;
};

}  // namespace

FATHOM_PLUGIN("bench_toy", "0.1.0", "Apache-2.0", "fathom", "") { r.add<Toy>("bench.Toy", "8x8 linear model"); }

namespace {

// By hand, with the same fused update.
double hand_written() {
  at::manual_seed(0);
  const Batches data;
  torch::nn::Linear linear(8, 8);
  auto parameters = linear->parameters();
  std::vector<at::Tensor> momentum;
  return bench::seconds_of([&] {
    for (int64_t i = 0; i < kSteps; ++i) {
      for (auto& parameter : parameters) parameter.mutable_grad().reset();
      linear->forward(data.batch(i)).pow(2).mean().backward();
      const at::NoGradGuard no_grad;
      std::vector<at::Tensor> gradients;
      for (auto& parameter : parameters) gradients.push_back(parameter.grad());
      at::_fused_sgd_(parameters, gradients, momentum, 0, 0, 0.01, 0, false, false, false);
    }
  });
}

double framework(bool full, const std::string& folder) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder + "/checkpoints");
  const Json model = {{"_target_", "bench.Toy"}, {"log", full}};
  training::TrainerParts parts;
  parts.model = ModelHandle(create_object(1u << FATHOM_KIND_MODEL, model, "model"));
  parts.train = std::make_unique<DataLoader>(parts.model.make_dataset(Stage::kTrain, Json::object(), "train_ds"),
                                             LoaderOptions{}, 0);
  parts.optim = {{"name", "sgd"}, {"lr", 0.01}};
  TrainerOptions options = read_trainer_options({{"max_epochs", 1}, {"barebones", !full}}, "trainer");
  if (full) {
    const Json context = {{"run_dir", folder},
                          {"checkpoint_dir", folder + "/checkpoints"},
                          {"name", "bench"},
                          {"save_dir", folder},
                          {"version", ""}};
    parts.loggers.add(LoggerHandle(create_object(1u << FATHOM_KIND_LOGGER, {{"name", "csv"}}, "logger", context)));
    parts.callbacks.emplace_back(
        create_object(1u << FATHOM_KIND_CALLBACK, {{"name", "ProgressBar"}}, "progress", context));
    parts.callbacks.emplace_back(
        create_object(1u << FATHOM_KIND_CALLBACK, {{"name", "ModelCheckpoint"}}, "checkpoint", context));
  }
  training::Trainer trainer(options, std::move(parts));
  return bench::seconds_of([&] { trainer.fit(); });
}

}  // namespace

int main() {
  at::set_num_threads(1);
  set_log_level(LogLevel::kError);
  plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  const std::string folder = (std::filesystem::temp_directory_path() / "fathom_bench_loop").string();
  for (const bool full : {false, true}) {
    std::vector<double> ours, peer, overhead;
    hand_written();
    framework(full, folder);
    for (int i = 0; i < 9; ++i) {
      peer.push_back(hand_written() / kSteps * 1e6);
      ours.push_back(framework(full, folder) / kSteps * 1e6);
      overhead.push_back(ours.back() - peer.back());
    }
    bench::report("loop", full ? "with csv logger, progress bar and checkpoint callback" : "bare", bench::median(ours),
                  bench::median(peer), "hand-written libtorch loop with the same fused SGD", "us/step", true,
                  {{"overhead_us", bench::median(overhead)}});
  }
  std::filesystem::remove_all(folder);
}
