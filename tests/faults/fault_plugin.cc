// A model and data in which everything random and everything kept between steps matters, and a callback that makes the
// process fail where the environment says.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <sys/resource.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "fathom/callback.h"
#include "fathom/capability.h"
#include "fathom/model.h"

namespace {

using namespace fathom;  // NOLINT

// Points with noise that depends on the seed of the item and the epoch.
class Points final : public DatasetOf<at::Tensor> {
 public:
  struct Options {
    int64_t points = 24;
    static void describe(OptionSet<Options>& o) { o("points", &Options::points, "how many"); }
  };
  explicit Points(const Options& options) : points_(options.points) {}
  int64_t size() const override { return points_; }
  at::Tensor get(int64_t index, uint64_t seed) const override {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::randn({4}, generator) * 0.1 + static_cast<double>(index) / static_cast<double>(points_);
  }
  Values collate(const std::vector<const at::Tensor*>& items) const override {
    std::vector<at::Tensor> rows;
    for (const at::Tensor* item : items) rows.push_back(*item);
    return {{"x", at::stack(rows)}};
  }

 private:
  int64_t points_;
};

bool g_loss_is_nan = false;  // of the next training step

class Net final : public Model {
 public:
  struct Options {
    static void describe(OptionSet<Options>&) {}
  };
  Net(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)),
        first_(register_module("first", torch::nn::Linear(4, 16))),
        norm_(register_module("norm", torch::nn::BatchNorm1d(16))),
        last_(register_module("last", torch::nn::Linear(16, 1))) {}
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return {}; }
  Values forward(const Values& in) override {
    const at::Tensor hidden = norm_(first_(in.tensor("x"))).relu();
    return {{"y", last_(at::dropout(hidden, 0.3, is_training()))}};
  }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    at::Tensor loss = loss_of(batch);
    if (std::exchange(g_loss_is_nan, false)) loss = loss * std::nan("");
    step.log("train_loss", loss.detach(), FATHOM_METRIC_ON_STEP | FATHOM_METRIC_ON_EPOCH);
    return loss;
  }
  void validation_step(const Values& batch, const Step& step) override { step.log("val_loss", loss_of(batch)); }

 private:
  at::Tensor loss_of(const Values& batch) {
    const at::Tensor x = batch.tensor("x");
    return (forward({{"x", x}}).tensor("y").squeeze(1) - x.sum(1).sin()).square().mean();
  }
  torch::nn::Linear first_;
  torch::nn::BatchNorm1d norm_;
  torch::nn::Linear last_;
};

constexpr std::pair<Event, const char*> kEvents[] = {
    {Event::kTrainBatchStart, "train_batch_start"},       {Event::kTrainBatchEnd, "train_batch_end"},
    {Event::kBeforeOptimizerStep, "before_step"},         {Event::kTrainEpochEnd, "train_epoch_end"},
    {Event::kValidationBatchEnd, "validation_batch_end"}, {Event::kValidationEnd, "validation_end"},
    {Event::kTrainEpochStart, "train_epoch_start"},       {Event::kTrainEnd, "train_end"}};

// FATHOM_FAULT="KIND EVENT N": at the N-th EVENT of the process ("any": of whatever event; "save": when a checkpoint's
// content is put together). KIND: kill, term, throw, full (no file may grow any more), torn (the process dies in the
// middle of the next file that it writes), nan (the loss of the next step is no number), usr1, wait (for ten seconds).
class Fault final : public Callback, public Stateful {
 public:
  struct Options {
    static void describe(OptionSet<Options>&) {}
  };
  explicit Fault(const Options&) {
    if (const char* text = std::getenv("FATHOM_FAULT")) {
      std::istringstream stream(text);
      if (!(stream >> kind_ >> event_ >> count_)) throw std::runtime_error("FATHOM_FAULT: KIND EVENT N");
    }
    [this]<size_t... I>(std::index_sequence<I...>) {
      (on(kEvents[I].first, &Fault::at_event<I>), ...);
    }(std::make_index_sequence<std::size(kEvents)>());
  }
  std::string state_key() const override { return "Fault"; }
  Json save_state() const override {
    happen("save");
    return Json::object();
  }
  void load_state(const Json&) override {}

 private:
  template <size_t I>
  void at_event(Trainer&) {
    happen(kEvents[I].second);
  }
  void happen(const std::string& event) const {
    if (kind_.empty() || (event_ != event && (event_ != "any" || event == "save")) || ++seen_ != count_) return;
    if (kind_ == "kill") ::kill(::getpid(), SIGKILL);
    if (kind_ == "term") ::raise(SIGTERM);
    if (kind_ == "usr1") ::raise(SIGUSR1);
    if (kind_ == "wait") ::sleep(10);
    if (kind_ == "nan") g_loss_is_nan = true;
    if (kind_ == "throw") throw std::runtime_error("a fault that was asked for");
    if (kind_ == "full" || kind_ == "torn") {
      ::signal(SIGXFSZ, kind_ == "full" ? SIG_IGN : SIG_DFL);
      rlimit limit{};
      ::getrlimit(RLIMIT_FSIZE, &limit);
      limit.rlim_cur = 1500;
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
  }
  std::string kind_, event_;
  int64_t count_ = 0;
  mutable int64_t seen_ = 0;
};

}  // namespace

FATHOM_PLUGIN("fault", "1.0", "Apache-2.0", "the tests", "") {
  r.add<Points>("fault.Points", "points with noise");
  r.add<Net>("fault.Net", "a small net with batch norm and dropout");
  r.add<Fault>("fault.Fault", "fails where it is told");
}
