// What the suites of whole models share: whether a model can be made here, and how its tensors are compared.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/models/nemo_file.h"
#include "fathom/json.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {

// The first class that the model in a .nemo needs and no plugin gives: its own, or one of its children's; "" when all
// are there.
std::string missing_class(const std::string& nemo);

// The `tokenizer` section of a restored model, with its files where they lie while the model lives.
Json tokenizer_section(const RestoredModel& restored);

struct Bounds {
  double absolute = 2e-4, relative = 1e-3;
};
// "" when equal within the bounds (integers: equal), NaN to NaN; else what differs most.
std::string tensor_difference(const std::string& name, const at::Tensor& got, const at::Tensor& expected,
                              const Bounds& bounds);

struct PaddedAudio {
  at::Tensor signal, lengths;  // (B,T), (B)
};
PaddedAudio padded(const std::vector<at::Tensor>& clips);

// A WAV file of samples: 32-bit floats, one channel, so that nothing is rounded on the way.
std::string wave_file(const at::Tensor& samples, int64_t sample_rate);

// Counts, and keeps the first few.
class Differences {
 public:
  void add(const std::string& text);
  Outcome outcome() const;

 private:
  std::string text_;
  int64_t count_ = 0;
};

// The norm of every gradient that a grads.json records under `prefix` and the parameter's name.
void compare_gradients(const torch::nn::Module& model, const std::string& grads_json, const std::string& prefix,
                       Differences& differences);

// An item that a predict step gave, against a recorded text or hypothesis {text, timestamp?} (of an n-best list: its
// first): the text, and of the places in time those kinds that are recorded.
void compare_prediction(const std::string& what, const Json& item, const nlohmann::json& expected,
                        Differences& differences);

}  // namespace fathom::conformance
