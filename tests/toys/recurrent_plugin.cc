// A decoder that goes step by step: a GRU cell's arithmetic with one weight, its state a named value. And a module with
// a required option and properties.
#include <ATen/ATen.h>
#include <torch/nn/modules/embedding.h>

#include "fathom/module.h"
#include "fathom/recurrent.h"

namespace {

using namespace fathom;  // NOLINT

class Predictor final : public NeuralModule, public Recurrent, public HasProperties {
 public:
  struct Options {
    int64_t vocabulary = 0;
    static void describe(OptionSet<Options>& o) { o.required("vocabulary", &Options::vocabulary, "labels").example(5); }
  };
  explicit Predictor(const Options& o)
      : vocabulary_(o.vocabulary), embed_(register_module("embed", torch::nn::Embedding(o.vocabulary, 4))) {}
  Ports inputs() const override { return {{"label", {"B", LabelsType{}}}}; }
  Ports outputs() const override { return {{"hidden", {"B D", EncodedRepresentation{}}}}; }
  Values forward(const Values& in) override { return step(in, initial_state(in.tensor("label").size(0))).outputs; }

  Values initial_state(int64_t batch) override { return {{"hidden", at::zeros({batch, 4})}}; }
  StepResult step(const Values& in, const Values& state) override {
    const at::Tensor hidden = 0.5 * state.tensor("hidden") + embed_(in.tensor("label"));
    return {{{"hidden", hidden}}, {{"hidden", hidden}}};
  }
  Json properties() const override { return {{"vocabulary", vocabulary_}, {"feat_out", 4}}; }

 private:
  int64_t vocabulary_;
  torch::nn::Embedding embed_;
};

}  // namespace

FATHOM_PLUGIN("toy_recurrent", "1.0", "Apache-2.0", "the tests", "") {
  r.add<Predictor>("toy.Predictor", "an embedding with a memory");
}
