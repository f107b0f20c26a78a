// A model that fits a line to what any of the toy datasets gives, with a metric of its own among its children; it and a
// callback can log more than numbers.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include "fathom/callback.h"
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
    bool logs_media = false, logs_no_image = false;
    static void describe(OptionSet<Options>& o) {
      o("target", &Options::target, "slope to be learnt");
      o("logs_media", &Options::logs_media, "log text, a histogram, audio and an image in each step");
      o("logs_no_image", &Options::logs_no_image, "log what cannot be an image in each step");
    }
  };
  Line(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)),
        target_(config_.value("target", 0.5)),
        logs_media_(config_.value("logs_media", false)),
        logs_no_image_(config_.value("logs_no_image", false)),
        error_(make_metric({{"_target_", "toy.MeanError"}}, "model.error")),
        line_(register_module("line", torch::nn::Linear(1, 1))) {
    add_child("error", error_);
  }
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return {}; }
  Values forward(const Values& in) override { return {{"y", line_(in.tensor("x"))}}; }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    const at::Tensor loss = error_of(batch);
    step.log("train_loss", loss.detach());
    if (logs_media_) log_media(step);
    if (logs_no_image_) step.log_image("flat", at::ones({5}));
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
  void log_media(const Step& step) const {
    step.log_text("model text", "step " + std::to_string(step.global_step()));
    step.log_histogram("model weights", line_->weight);
    step.log_audio("model audio", at::sin(at::arange(400, at::kDouble) * 0.1).expand({2, 400}), 8000);
    step.log_image("model image", at::linspace(0, 1, 12).view({4, 3}).t());  // not contiguous
  }
  at::Tensor error_of(const Values& batch) {
    const at::Tensor x = batch.tensor("x") / 1000;
    return (line_(x) - target_ * x).square().mean();
  }
  double target_;
  bool logs_media_, logs_no_image_;
  MetricHandle error_;
  torch::nn::Linear line_;
};

class MediaCallback final : public Callback {
 public:
  MediaCallback() { on(Event::kTrainEnd, &MediaCallback::log_media); }

 private:
  void log_media(Trainer& trainer) {
    const float numbers[] = {0, 0.25f, 0.5f, 1};
    const int64_t row[] = {4}, square[] = {2, 2};
    trainer.log_text("callback text", "the end");
    trainer.log_histogram("callback numbers", {numbers, row});
    trainer.log_audio("callback audio", {numbers, row}, 8000);
    trainer.log_image("callback image", {numbers, square});
  }
};

}  // namespace

FATHOM_PLUGIN("toy_regression", "1.0", "Apache-2.0", "the tests", "") {
  r.add<MeanError>("toy.MeanError", "a mean");
  r.add<Line>("toy.Line", "fits a line");
  r.add<MediaCallback>("toy.MediaCallback", "logs text, a histogram, audio and an image at the end");
}
