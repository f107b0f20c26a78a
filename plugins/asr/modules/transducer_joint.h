// What a search and a training step need of a joint network besides its whole output ("asr.transducer_joint/1"): its
// parts one at a time, and the loss without the output. A joint network of another plugin may have this capability or
// not; JointHandle does with the ports alone where it has not.
#pragma once

#include "fathom/capability.h"
#include "fathom/module.h"
#include "plugins/asr/losses/transducer_loss.h"

namespace fathom::asr {

#define ASR_TRANSDUCER_JOINT_EXTENSION "asr.transducer_joint/1"

typedef struct asr_transducer_joint_v1 {
  uint32_t struct_size;
  // encoder_outputs (B, D, T) or decoder_outputs (B, D, U) -> projected (B, T, H) or (B, U, H).
  fathom_status (*project)(void* self, const fathom_named_value* in, size_t in_count, const fathom_sink* out);
  // encoder (N, H), prediction (N, H), both projected -> outputs (N, C): log-probabilities.
  fathom_status (*combine)(void* self, const fathom_named_value* in, size_t in_count, const fathom_sink* out);
  // encoder_outputs, decoder_outputs, encoder_lengths, transcripts, transcript_lengths -> loss, a scalar. `options`:
  // those of RNNTLoss, as JSON.
  fathom_status (*loss)(void* self, fathom_str options, const fathom_named_value* in, size_t in_count,
                        const fathom_sink* out);
} asr_transducer_joint_v1;

class TransducerJoint {
 public:
  virtual ~TransducerJoint() = default;
  virtual at::Tensor project_encoder(const at::Tensor& x) = 0;     // (B, D, T) -> (B, T, H)
  virtual at::Tensor project_prediction(const at::Tensor& x) = 0;  // (B, D, U) -> (B, U, H)
  virtual at::Tensor combine(const at::Tensor& encoder, const at::Tensor& prediction) = 0;
  virtual at::Tensor loss(const Json& options, const at::Tensor& encoder_outputs, const at::Tensor& decoder_outputs,
                          const TransducerTargets& targets) = 0;
};

// The caller's side.
class JointHandle {
 public:
  JointHandle() = default;
  explicit JointHandle(ModuleHandle module)
      : module_(std::move(module)), parts_(module_.query<asr_transducer_joint_v1>(ASR_TRANSDUCER_JOINT_EXTENSION)) {}

  const ModuleHandle& module() const { return module_; }
  bool has_parts() const { return static_cast<bool>(parts_); }

  // Encoder (B, D, T) -> (B, T, H); without the capability H is D.
  at::Tensor project_encoder(const at::Tensor& encoder_outputs) const {
    return has_parts() ? project("encoder_outputs", encoder_outputs) : encoder_outputs.transpose(1, 2);
  }
  // Prediction network's output (N, D) -> (N, H).
  at::Tensor project_prediction(const at::Tensor& outputs) const {
    return has_parts() ? project("decoder_outputs", outputs.unsqueeze(-1)).squeeze(1) : outputs;
  }
  // (N, H), (N, H) -> (N, C): log-probabilities, or what the module's forward gives.
  at::Tensor combine(const at::Tensor& encoder, const at::Tensor& prediction) const {
    if (!has_parts()) {
      return module_({{"encoder_outputs", encoder.unsqueeze(-1)}, {"decoder_outputs", prediction.unsqueeze(-1)}})
          .tensor("outputs")
          .flatten(0, 2);
    }
    const Values in{{"encoder", encoder}, {"prediction", prediction}};
    const AbiValues abi(in);
    return collect_values(
               [&](const fathom_sink* out) { return parts_->combine(parts_.self(), abi.data(), abi.size(), out); })
        .tensor("outputs");
  }
  // Only with the capability.
  at::Tensor loss(const std::string& options, const Values& in) const {
    const AbiValues abi(in);
    return collect_values([&](const fathom_sink* out) {
             return parts_->loss(parts_.self(), to_abi(options), abi.data(), abi.size(), out);
           })
        .tensor("loss");
  }

 private:
  at::Tensor project(const char* name, const at::Tensor& x) const {
    const Values in{{name, x}};
    const AbiValues abi(in);
    return collect_values(
               [&](const fathom_sink* out) { return parts_->project(parts_.self(), abi.data(), abi.size(), out); })
        .tensor("projected");
  }

  ModuleHandle module_;
  Extension<asr_transducer_joint_v1> parts_;
};

}  // namespace fathom::asr

namespace fathom {

template <>
struct Capability<asr::TransducerJoint> {
  static constexpr std::string_view id = ASR_TRANSDUCER_JOINT_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const asr::asr_transducer_joint_v1 table = {
        sizeof(asr::asr_transducer_joint_v1),
        [](void* self, const fathom_named_value* in, size_t in_count, const fathom_sink* out) {
          return guard([&] {
            const Values values = Values::from_abi(in, in_count);
            asr::TransducerJoint& joint = Get::get(self);
            const at::Tensor encoder = values.tensor_or_undefined("encoder_outputs");
            emit(out, {{"projected", encoder.defined() ? joint.project_encoder(encoder)
                                                       : joint.project_prediction(values.tensor("decoder_outputs"))}});
          });
        },
        [](void* self, const fathom_named_value* in, size_t in_count, const fathom_sink* out) {
          return guard([&] {
            const Values values = Values::from_abi(in, in_count);
            emit(out, {{"outputs", Get::get(self).combine(values.tensor("encoder"), values.tensor("prediction"))}});
          });
        },
        [](void* self, fathom_str options, const fathom_named_value* in, size_t in_count, const fathom_sink* out) {
          return guard([&] {
            const Values values = Values::from_abi(in, in_count);
            const asr::TransducerTargets targets{values.tensor("transcripts"), values.tensor("transcript_lengths"),
                                                 values.tensor("encoder_lengths")};
            emit(out, {{"loss",
                        Get::get(self).loss(parse_json(options, "options of a loss"), values.tensor("encoder_outputs"),
                                            values.tensor("decoder_outputs"), targets)}});
          });
        }};
    return &table;
  }
};

}  // namespace fathom
