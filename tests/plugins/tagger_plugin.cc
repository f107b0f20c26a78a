// Plugin A of two_plugins_test: a model whose encoder is a module of another plugin, made by name.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include "fathom/adapter.h"
#include "fathom/model.h"

namespace {

using namespace fathom;  // NOLINT

class Signals final : public DatasetOf<int64_t> {
 public:
  int64_t size() const override { return 4; }
  int64_t get(int64_t index, uint64_t) const override { return index; }
  Values collate(const std::vector<const int64_t*>& items) const override {
    return {{"signal", at::ones({static_cast<int64_t>(items.size()), 8})}};
  }
};

class Tagger final : public Model {
 public:
  Tagger(Json config, ModelContext context)
      : Model(std::move(config), std::move(context)), encoder_(make_child("encoder")), head_(4, 2) {
    register_module("head", head_);
    setup_adapters(*this, config_, "encoder");
  }
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return std::make_shared<Signals>(); }
  Ports inputs() const override { return {{"signal", {"B T", AudioSignal{16000}}}}; }
  Ports outputs() const override { return {{"logits", {"B D", LogitsType{}}}}; }
  Values forward(const Values& in) override {
    const Values encoded = encoder_({{config_.value("feeds", std::string("audio")), in["signal"]}});
    return {{"logits", head_(encoded.tensor("embedding"))}};
  }
  at::Tensor training_step(const Values& batch, const Step& step) override {
    step.log_text("note", "before the forward pass");
    step.log_histogram("signal", batch.tensor("signal"));
    step.log_audio("signal", batch.tensor("signal"), 16000);
    step.log_image("signal", batch.tensor("signal"));
    return forward(batch).tensor("logits").sum();
  }
  void validation_step(const Values&, const Step&) override {}
  Values input_example() const override { return {{"signal", at::ones({2, 8})}}; }

 private:
  ModuleHandle encoder_;
  torch::nn::Linear head_;
};

// Takes plugin B's types, which it knows by name alone, and registers the same axis kind.
class SpeakerCounter final : public NeuralModule {
 public:
  Ports inputs() const override { return {{"embedding", {"B TestSpeaker D", ElementType{"TestEmbedding"}}}}; }
  Ports outputs() const override { return {{"count", {"B", LengthsType{}}}}; }
  Values forward(const Values& in) override {
    const at::Tensor& x = in.tensor("embedding");
    return {{"count", at::full({x.size(0)}, x.size(1))}};
  }
};

// Freezes its child for the time of a call, as a model that trains only its head does.
class Probe final : public NeuralModule {
 public:
  Probe() : layer_(register_module("layer", std::make_shared<Layer>())) {}
  Values forward(const Values&) override {
    Values out;
    {
      const auto frozen = layer_->as_frozen();
      out.add("inside", layer_->num_weights()).add("mode_inside", int64_t{layer_->is_training()});
    }
    out.add("outside", layer_->num_weights()).add("mode_outside", int64_t{layer_->is_training()});
    return out;
  }

 private:
  struct Layer final : NeuralModule {
    Layer() { register_module("linear", torch::nn::Linear(2, 2)); }
    Values forward(const Values&) override { return {}; }
  };
  std::shared_ptr<Layer> layer_;
};

}  // namespace

FATHOM_PLUGIN("tagger_test", "1.0", "Apache-2.0", "the tests", "") {
  r.axis_kind("TestSpeaker");
  r.add<SpeakerCounter>("tagger.SpeakerCounter", "counts speakers");
  r.add<Probe>("tagger.Probe", "freezes a layer for a while");
  r.add<Tagger>("tagger.Tagger", "an encoder of any plugin and a linear head");
}
