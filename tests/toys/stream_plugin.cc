// A model that hears while one speaks: it reports the mean of every four samples as soon as it has them, and a stream
// can be saved and taken up again. It also gives a tensor and numbers per item from predict_step, lists a metric and a
// tokenizer among its children, and answers for an extension of its own.
#include <ATen/ATen.h>

#include "fathom/model.h"
#include "fathom/stream.h"

namespace {

using namespace fathom;  // NOLINT

class Means final : public Stream {
 public:
  std::vector<Values> push(const Values& input) override {
    held_ = at::cat({held_, input.tensor("samples")});
    std::vector<Values> out;
    for (; held_.size(0) >= 4; held_ = held_.slice(0, 4)) out.push_back({{"mean", held_.slice(0, 0, 4).mean()}});
    return out;
  }
  std::vector<Values> finish() override {
    if (held_.size(0) == 0) return {};
    return {{{"mean", held_.mean()}, {"last", true}}};
  }
  Values save() const override { return {{"held", held_.clone()}}; }
  void load(const Values& state) override { held_ = state.tensor("held").clone(); }

 private:
  at::Tensor held_ = at::zeros({0});
};

struct Greeting {
  uint32_t struct_size;
  int answer;
};
const Greeting kGreeting = {sizeof(Greeting), 42};

class Listener final : public Model, public Streaming {
 public:
  using Model::Model;
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return {}; }
  Values forward(const Values& in) override { return {{"out", in["in"]}}; }
  at::Tensor training_step(const Values&, const Step&) override { return {}; }
  void validation_step(const Values&, const Step&) override {}
  std::vector<Values> predict_step(const Values& batch, const Json&) override {
    return {{{"audio", batch.tensor("in") * 2}, {"seconds", 0.5}, {"words", Value::List{"a", "b"}}}};
  }
  std::unique_ptr<Stream> open_stream(const Json&) override { return std::make_unique<Means>(); }
  const void* query(std::string_view id) { return id == "toy.greeting/1" ? &kGreeting : nullptr; }
};

}  // namespace

FATHOM_PLUGIN("toy_stream", "1.0", "Apache-2.0", "the tests", "") {
  r.add<Listener>("toy.Listener", "means of four samples");
  r.extension("toy.plugin_greeting/1", &kGreeting);
}
