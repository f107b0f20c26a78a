#include "plugins/asr/modules/crop_or_pad.h"

#include <ATen/ATen.h>

#include "plugins/asr/option_range.h"

namespace fathom::asr {
namespace {

Ports crop_inputs() { return {{"input_signal", {"B D T", SpectrogramType{}}}, {"length", {"B", LengthsType{}}}}; }
Ports crop_outputs() {
  return {{"processed_signal", {"B D T", SpectrogramType{}}}, {"processed_length", {"B", LengthsType{}}}};
}

}  // namespace

void CropOrPadSpectrogramAugmentation::Options::describe(OptionSet<Options>& o) {
  o.required("audio_length", &Options::audio_length, "length of what comes out", "frames");
}

CropOrPadSpectrogramAugmentation::CropOrPadSpectrogramAugmentation(const Options& options) : options_(options) {
  check_range("audio_length", options.audio_length, 0, kMostFrames);
}

Ports CropOrPadSpectrogramAugmentation::inputs() const { return crop_inputs(); }
Ports CropOrPadSpectrogramAugmentation::outputs() const { return crop_outputs(); }
void CropOrPadSpectrogramAugmentation::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(crop_inputs());
  schema["outputs"] = ports_json(crop_outputs());
}

Values CropOrPadSpectrogramAugmentation::forward(const Values& in) {
  const at::NoGradGuard no_grad;
  at::Tensor signal = in.tensor("input_signal");
  const int64_t wanted = options_.audio_length, items = signal.size(0), missing = wanted - signal.size(2);
  if (missing < 0) {
    const at::Tensor starts = at::randint(0, -missing + 1, {items}, at::kLong);
    std::vector<at::Tensor> cut;
    for (int64_t i = 0; i < items; ++i)
      cut.push_back(signal.select(0, i).narrow(1, starts.const_data_ptr<int64_t>()[i], wanted));
    signal = items > 0 ? at::stack(cut) : signal.narrow(2, 0, wanted);
  } else {
    signal = at::constant_pad_nd(signal, {missing / 2, missing - missing / 2}, 0);
  }
  return {{"processed_signal", signal}, {"processed_length", at::full_like(in.tensor("length"), wanted)}};
}

}  // namespace fathom::asr
