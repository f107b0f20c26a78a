// Plugin A of two_plugins_test: a model whose encoder is a module of another plugin, made by name.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include "fathom/adapter.h"
#include "fathom/model.h"

namespace {

using namespace fathom;  // NOLINT

class Tagger final : public Model {
 public:
  Tagger(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)), encoder_(make_child("encoder")), head_(4, 2) {
    register_module("head", head_);
    setup_adapters(*this, config_, "encoder");
  }
  std::shared_ptr<Dataset> make_dataset(Stage, const Json&, const std::string&) override { return nullptr; }
  Ports inputs() const override { return {{"signal", {"B T", AudioSignal{16000}}}}; }
  Ports outputs() const override { return {{"logits", {"B D", LogitsType{}}}}; }
  Values forward(const Values& in) override {
    const Values encoded = encoder_({{"audio", in["signal"]}});
    return {{"logits", head_(encoded.tensor("embedding"))}};
  }
  at::Tensor training_step(const Values& batch, const Step&) override { return forward(batch).tensor("logits").sum(); }
  void validation_step(const Values&, const Step&) override {}
  std::vector<std::pair<std::string, std::string>> wiring() const override {
    return {{"signal", config_.value("wired_to", std::string("encoder.audio"))}};
  }

 private:
  ModuleHandle encoder_;
  torch::nn::Linear head_;
};

}  // namespace

FATHOM_PLUGIN("tagger_test", "1.0", "Apache-2.0", "the tests", "") {
  r.add<Tagger>("tagger.Tagger", "an encoder of any plugin and a linear head");
}
