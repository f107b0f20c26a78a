// A GAN of two small networks on points of a circle: two optimizers that the model steps itself, one schedule each, and
// a dataset that a config names. Written with the SDK alone, as a third party would.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include <cmath>

#include "fathom/manual_optimization.h"
#include "fathom/model.h"

namespace {

using namespace fathom;  // NOLINT

class Circle final : public DatasetOf<double> {
 public:
  struct Options {
    int64_t points = 64;
    static void describe(OptionSet<Options>& o) { o("points", &Options::points, "points on the circle"); }
  };
  explicit Circle(const Options& o) : points_(o.points) {}
  int64_t size() const override { return points_; }
  double get(int64_t index, uint64_t) const override { return 6.283185307 * double(index) / double(points_); }
  Values collate(const std::vector<const double*>& angles) const override {
    std::vector<float> flat;
    for (const double* a : angles) flat.insert(flat.end(), {float(std::cos(*a)), float(std::sin(*a))});
    return {{"real", at::tensor(flat).view({-1, 2})}};
  }

 private:
  int64_t points_;
};

class Gan final : public Model, public ManualOptimization {
 public:
  Gan(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)),
        generator_(register_module("generator", torch::nn::Linear(3, 2))),
        discriminator_(register_module("discriminator", torch::nn::Linear(2, 1))) {}
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return {}; }
  std::vector<OptimizerSpec> configure_optimizers() const override {
    return {{{"generator"}, config()["optim"]}, {{"discriminator"}, config()["optim"]}};
  }
  Values forward(const Values& in) override { return {{"fake", generator_(in.tensor("noise"))}}; }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    const at::Tensor& real = batch.tensor("real");
    const at::Tensor fake = generator_(at::randn({real.size(0), 3}));
    step.toggle(1);
    const at::Tensor loss_d =
        at::softplus(-discriminator_(real)).mean() + at::softplus(discriminator_(fake.detach())).mean();
    step.zero_grad(1);
    step.backward(loss_d);
    step.clip_gradient_norm(1.0, 1);
    step.optimizer_step(1);
    step.untoggle(1);
    step.toggle(0);
    const at::Tensor loss_g = at::softplus(-discriminator_(fake)).mean();
    step.zero_grad(0);
    step.backward(loss_g);
    step.optimizer_step(0);
    step.untoggle(0);
    for (const size_t optimizer : {0, 1}) step.scheduler_step(optimizer);
    step.log("loss_d", loss_d.detach());
    step.log("loss_g", loss_g.detach());
    return {};
  }
  void validation_step(const Values&, const Step&) override {}

 private:
  torch::nn::Linear generator_, discriminator_;
};

}  // namespace

FATHOM_PLUGIN("toy_gan", "1.0", "Apache-2.0", "the tests", "") {
  r.add<Circle>("toy.Circle", "points of a circle");
  r.add<Gan>("toy.Gan", "two linear layers against each other");
}
