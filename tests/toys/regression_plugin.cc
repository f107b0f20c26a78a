// A model that fits a line to what any of the toy datasets gives, with a metric of its own among its children.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include "fathom/model.h"

namespace {

using namespace fathom;  // NOLINT

class MeanError final : public EpochMetric {
 public:
  void update(const Values& values) override {
    sum_ += values["error"].real();
    ++count_;
  }
  std::vector<std::pair<std::string, double>> compute() const override { return {{"error", sum_ / count_}}; }
  void reset() override { sum_ = count_ = 0; }
  std::map<std::string, double> sums() const override { return {{"sum", sum_}, {"count", count_}}; }
  void set_sums(const std::map<std::string, double>& sums) override {
    sum_ = sums.at("sum");
    count_ = sums.at("count");
  }

 private:
  double sum_ = 0, count_ = 0;
};

class Line final : public Model {
 public:
  struct Options {
    double target = 0.5;
    static void describe(OptionSet<Options>& o) { o("target", &Options::target, "slope to be learnt"); }
  };
  Line(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)),
        target_(config_.value("target", 0.5)),
        error_(make_metric({{"_target_", "toy.MeanError"}}, "model.error")),
        line_(register_module("line", torch::nn::Linear(1, 1))) {
    add_child("error", error_);
  }
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return {}; }
  Values forward(const Values& in) override { return {{"y", line_(in.tensor("x"))}}; }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    const at::Tensor loss = error_of(batch);
    step.log("train_loss", loss.detach());
    return loss;
  }
  void validation_step(const Values& batch, const Step&) override {
    error_.update({{"error", error_of(batch).item<double>()}});
  }
  void eval_epoch_end(const Step& step) override {
    step.log("val_loss", error_.compute().at("error"));
    error_.reset();
  }

 private:
  at::Tensor error_of(const Values& batch) {
    const at::Tensor x = batch.tensor("x") / 1000;
    return (line_(x) - target_ * x).square().mean();
  }
  double target_;
  MetricHandle error_;
  torch::nn::Linear line_;
};

}  // namespace

FATHOM_PLUGIN("toy_regression", "1.0", "Apache-2.0", "the tests", "") {
  r.add<MeanError>("toy.MeanError", "a mean");
  r.add<Line>("toy.Line", "fits a line");
}
