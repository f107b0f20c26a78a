// A model of two layers, with batch norm between them on request, whose weights and data are given by formulas: what
// the recordings of tests/golden/lightning_callbacks were made with. And a callback that fails where it is told to.
#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "fathom/callback.h"
#include "fathom/model.h"

namespace {

using namespace fathom;  // NOLINT

class Points final : public DatasetOf<int64_t> {
 public:
  struct Options {
    int64_t items = 22, offset = 0, growth = 0;
    static void describe(OptionSet<Options>& o) {
      o("items", &Options::items, "how many");
      o("offset", &Options::offset, "of the first");
      o("growth", &Options::growth, "items more each time that such points are made, as of a file that grows");
    }
  };
  explicit Points(const Options& o) : items_(o.items), offset_(o.offset) {
    static int64_t made = 0;
    if (o.growth > 0) items_ += o.growth * made++;
  }
  int64_t size() const override { return items_; }
  int64_t get(int64_t index, uint64_t) const override { return index; }
  Values collate(const std::vector<const int64_t*>& items) const override {
    std::vector<float> flat;
    for (const int64_t* item : items) {
      flat.push_back(static_cast<float>(static_cast<double>((*item * 5 + offset_) % 13) / 13));
      flat.push_back(static_cast<float>(static_cast<double>((*item * 3 + offset_) % 7) / 7));
    }
    const at::Tensor x = at::tensor(flat).view({-1, 2});
    const at::Tensor a = x.narrow(1, 0, 1), b = x.narrow(1, 1, 1);
    return {{"x", x}, {"y", a * 2 - b + 0.5 * a * b}};
  }

 private:
  int64_t items_, offset_;
};

class Net final : public Model {
 public:
  struct Options {
    bool batch_norm = false;
    double dropout = 0;
    int64_t sleep = 0;
    static void describe(OptionSet<Options>& o) {
      o("batch_norm", &Options::batch_norm, "between the layers");
      o("dropout", &Options::dropout, "of what is between the layers");
      o("sleep", &Options::sleep, "how long a training step takes at least", "ms");
    }
  };
  Net(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)),
        dropout_(config_.value("dropout", 0.0)),
        sleep_(config_.value("sleep", int64_t{0})),
        first_(register_module("first", torch::nn::Linear(2, 3))) {
    if (config_.value("batch_norm", false)) norm_ = register_module("norm", torch::nn::BatchNorm1d(3));
    second_ = register_module("second", torch::nn::Linear(3, 1));
    const at::NoGradGuard no_grad;
    int64_t count = 0;
    for (const at::Tensor& p : {first_->weight, first_->bias, second_->weight, second_->bias}) {
      const at::Tensor flat = p.view(-1);
      for (int64_t k = 0; k < flat.numel(); ++k, ++count) flat[k] = static_cast<double>((count * 7) % 11 - 5) / 10;
    }
  }
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return {}; }
  Values forward(const Values& in) override {
    at::Tensor hidden = first_(in.tensor("x"));
    if (norm_) hidden = norm_(hidden);
    return {{"y", second_(at::dropout(at::relu(hidden), dropout_, is_training()))}};
  }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(sleep_));
    const at::Tensor loss = error_of(batch);
    step.log("train_loss", loss.detach());
    return loss;
  }
  void validation_step(const Values& batch, const Step& step) override { step.log("val_loss", error_of(batch)); }
  void test_step(const Values& batch, const Step& step) override { step.log("test_loss", error_of(batch)); }

 private:
  at::Tensor error_of(const Values& batch) { return (forward(batch).tensor("y") - batch.tensor("y")).square().mean(); }
  double dropout_;
  int64_t sleep_;
  torch::nn::Linear first_;
  torch::nn::BatchNorm1d norm_{nullptr};
  torch::nn::Linear second_{nullptr};
};

// Ends the run at the start of a batch, or in a validation: by an error, or as kill -9 does.
class FailAt final : public Callback {
 public:
  struct Options {
    int64_t global_step = -1, batch_idx = -1;
    bool in_validation = false, kill = false;
    static void describe(OptionSet<Options>& o) {
      o("global_step", &Options::global_step, "when so many optimizer steps are done; -1: never", "steps");
      o("batch_idx", &Options::batch_idx, "and this batch is next; -1: any");
      o("in_validation", &Options::in_validation, "in a validation");
      o("kill", &Options::kill, "without an error");
    }
  };
  explicit FailAt(const Options& o) : options_(o) {
    on(o.in_validation ? Event::kValidationBatchEnd : Event::kTrainBatchStart, &FailAt::look);
  }

 private:
  void look(Trainer& trainer) {
    const fathom_progress p = trainer.progress();
    if (p.sanity_checking != 0 || p.global_step != options_.global_step) return;
    if (options_.batch_idx >= 0 && p.batch_idx != options_.batch_idx) return;
    if (options_.kill) std::raise(SIGKILL);
    throw Error(Code::kFailed, "asked to fail");
  }
  Options options_;
};

}  // namespace

FATHOM_PLUGIN("toy_net", "1.0", "Apache-2.0", "the tests", "") {
  r.add<Points>("toy.Points", "points with a value each");
  r.add<Net>("toy.Net", "two layers");
  r.add<FailAt>("toy.FailAt", "fails");
}
