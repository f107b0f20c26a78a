// Plugin B of two_plugins_test: an encoder with a type of its own, and one that gives what it does not declare.
#include <ATen/ATen.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include "fathom/adapter.h"
#include "fathom/module.h"

namespace {

using namespace fathom;  // NOLINT

class Embedder final : public NeuralModule, public AdapterModuleMixin {
 public:
  struct Options {
    int64_t sample_rate = 16000;
    std::string gives = "embedding";
    bool ignore_collections = false;
    static void describe(OptionSet<Options>& o) {
      o("sample_rate", &Options::sample_rate, "of the audio", "Hz");
      o("ignore_collections", &Options::ignore_collections, "let lists be nested otherwise");
      o("gives", &Options::gives, "embedding, or something wrong: an undeclared port, another rank, nothing");
    }
  };
  explicit Embedder(const Options& o) : AdapterModuleMixin(this), options_(o), linear_(8, 4), norm_(4) {
    register_module("linear", linear_);
    register_module("norm", norm_);
  }
  Ports inputs() const override { return {{"audio", {"B T", AudioSignal{options_.sample_rate}}}}; }
  Ports outputs() const override { return {{"embedding", {"B D", ElementType{"TestEmbedding"}}}}; }
  Values forward(const Values& in) override {
    const at::Tensor out = forward_enabled_adapters(norm_(linear_(in.tensor("audio"))));
    if (options_.gives == "undeclared") return {{"embeddings", out}};
    if (options_.gives == "rank") return {{"embedding", out.unsqueeze(0)}};
    if (options_.gives == "nothing") return {};
    if (options_.gives == "list") return {{"embedding", std::vector<Value>{out}}};
    return {{"embedding", out}};
  }
  Values input_example() const override { return {{"audio", at::ones({2, 8})}}; }
  bool ignore_collections() const override { return options_.ignore_collections; }

 private:
  Options options_;
  torch::nn::Linear linear_;
  torch::nn::BatchNorm1d norm_;
};

// Has an axis of a kind of its own.
class Speakers final : public NeuralModule {
 public:
  Ports inputs() const override { return {{"embedding", {"B TestSpeaker D", ElementType{"TestEmbedding"}}}}; }
  Ports outputs() const override { return {{"embedding", {"B TestSpeaker D", ElementType{"TestEmbedding"}}}}; }
  Values forward(const Values& in) override { return {{"embedding", in["embedding"]}}; }
};

// A third party's adapter.
class Scale final : public NeuralModule {
 public:
  Scale() : factor_(register_parameter("factor", at::zeros({1}))) {}
  Ports inputs() const override { return {{"x", {std::nullopt, VoidType{}}}}; }
  Ports outputs() const override { return {{"y", {std::nullopt, VoidType{}}}}; }
  Values forward(const Values& in) override { return {{"y", in.tensor("x") * factor_}}; }

 private:
  at::Tensor factor_;
};

// Takes what Embedder gives only if it is a mel spectrogram.
class Picky final : public NeuralModule {
 public:
  Ports inputs() const override { return {{"features", {"B D", MelSpectrogramType{}}}}; }
  Ports outputs() const override { return {{"features", {"B D", MelSpectrogramType{}}}}; }
  Values forward(const Values& in) override { return {{"features", in["features"]}}; }
};

}  // namespace

FATHOM_PLUGIN("embedder_test", "1.0", "Apache-2.0", "the tests", "") {
  r.element_type("TestEmbedding", "AcousticEncodedRepresentation");
  r.axis_kind("TestSpeaker");
  r.add<Embedder>("embedder.Embedder", "a linear layer and a norm");
  r.add<Speakers>("embedder.Speakers", "passes embeddings of speakers through");
  r.add<Scale>("embedder.Scale", "an adapter: one factor");
  r.add<Picky>("embedder.Picky", "passes mel spectrograms through");
}
