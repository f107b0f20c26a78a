#include "plugins/asr/modules/transformer_encoder.h"

#include <ATen/ATen.h>

#include "plugins/asr/modules/transformer_options.h"

namespace fathom::asr {
namespace {

Ports states_in() { return {{"encoder_states", {"B T D", ChannelType{}}}, {"encoder_mask", {"B T", MaskType{}}}}; }
Ports states_out() { return {{"encoder_states", {"B T D", ChannelType{}}}}; }

nn::TransformerOptions encoder_options(const TransformerEncoder::Options& o) {
  nn::TransformerOptions out = stack_options(o, 1);
  out.mask_future = o.mask_future;
  return out;
}

}  // namespace

void TransformerEncoder::Options::describe(OptionSet<Options>& o) {
  describe_stack(o);
  o("mask_future", &Options::mask_future, "a frame sees none after it");
}

TransformerEncoder::TransformerEncoder(const Options& options)
    : width_(options.hidden_size), stack_(encoder_options(options), *this) {}

Ports TransformerEncoder::inputs() const { return states_in(); }
Ports TransformerEncoder::outputs() const { return states_out(); }
void TransformerEncoder::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(states_in());
  schema["outputs"] = ports_json(states_out());
}

Values TransformerEncoder::forward(const Values& in) {
  return {{"encoder_states", stack_.forward(in.tensor("encoder_states"), in.tensor("encoder_mask"))}};
}

Values TransformerEncoder::input_example() const {
  const auto options = parameters().front().options();
  return {{"encoder_states", at::randn({1, 8, width_}, options)},
          {"encoder_mask", at::ones({1, 8}, options.dtype(at::kLong))}};
}

}  // namespace fathom::asr
