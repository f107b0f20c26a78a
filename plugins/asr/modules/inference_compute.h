// What a transcription asks of a module whose products it may choose ("asr.inference_compute/1"): to lay its weights
// out for one precision, once. The module does not train after that, and its weights are not in its state any more.
#pragma once

#include "fathom/capability.h"
#include "fathom/module.h"

namespace fathom::asr {

#define ASR_INFERENCE_COMPUTE_EXTENSION "asr.inference_compute/1"

typedef struct asr_inference_compute_v1 {
  uint32_t struct_size;
  fathom_status (*prepare)(void* self, fathom_str precision);  // 32, bf16 or int8
} asr_inference_compute_v1;

class InferenceCompute {
 public:
  virtual ~InferenceCompute() = default;
  // Throws Error for a precision that there is not; a second call with another one changes nothing.
  virtual void prepare_inference(const std::string& precision) = 0;
};

}  // namespace fathom::asr

namespace fathom {

template <>
struct Capability<asr::InferenceCompute> {
  static constexpr std::string_view id = ASR_INFERENCE_COMPUTE_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const asr::asr_inference_compute_v1 table = {
        sizeof(asr::asr_inference_compute_v1), [](void* self, fathom_str precision) {
          return guard([&] { Get::get(self).prepare_inference(std::string(to_view(precision))); });
        }};
    return &table;
  }
};

}  // namespace fathom
