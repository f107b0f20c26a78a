#include "plugins/asr/modules/spec_augment.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "plugins/asr/option_range.h"

namespace fathom::asr {
namespace {

Ports augment_inputs() { return {{"input_spec", {"B D T", SpectrogramType{}}}, {"length", {"B", LengthsType{}}}}; }
Ports augment_outputs() { return {{"augmented_spec", {"B D T", SpectrogramType{}}}}; }

// Each mask costs a draw and a fill; a width beyond the features is cut.
constexpr int64_t kMostMasks = 10'000, kWidestMask = int64_t{1} << 40;

// Integers drawn from one block of uniform numbers.
class Draws {
 public:
  explicit Draws(int64_t count) : block_(at::rand({count}, at::kDouble)), next_(block_.const_data_ptr<double>()) {}
  // Uniform in [0, high], both ends included; 0 for a negative high.
  int64_t up_to(int64_t high) {
    const double u = *next_++;
    return std::max<int64_t>(0, std::min(high, static_cast<int64_t>(u * static_cast<double>(high + 1))));
  }

 private:
  at::Tensor block_;
  const double* next_;
};

}  // namespace

void SpectrogramAugmentation::Options::describe(OptionSet<Options>& o) {
  o("freq_masks", &Options::freq_masks, "frequency masks per item");
  o("time_masks", &Options::time_masks, "time masks per item");
  o("freq_width", &Options::freq_width, "largest width of a frequency mask", "bands");
  o("time_width", &Options::time_width,
    "largest width of a time mask: frames (int) or a share of the item (float in [0, 1])");
  o("rect_masks", &Options::rect_masks, "rectangles cut out per item");
  o("rect_time", &Options::rect_time, "largest width of a rectangle", "frames");
  o("rect_freq", &Options::rect_freq, "largest height of a rectangle", "bands");
  o("mask_value", &Options::mask_value, "what frequency and time masks write");
  o("rng", &Options::rng, "NeMo's own generator; only null: draws come from torch's");
  o("use_vectorized_spec_augment", &Options::use_vectorized_spec_augment,
    "NeMo's choice of implementation; here there is one");
  o("use_numba_spec_augment", &Options::use_numba_spec_augment, "NeMo's choice of implementation; here there is one");
}

SpectrogramAugmentation::SpectrogramAugmentation(const Options& options) : options_(options) {
  if (!options.rng.is_null()) {
    throw Error(Code::kUnavailable, "a generator cannot be given in a config")
        .at("rng")
        .seen(json_text(options.rng))
        .expected("null: masks come from torch's generator, by the run's seed");
  }
  const Json& width = options.time_width;
  if (width.is_number_integer()) {
    time_width_ = width.get<int64_t>();
  } else if (width.is_number_float() && width.get<double>() >= 0 && width.get<double>() <= 1) {
    adaptive_ = true;
    time_share_ = width.get<double>();
  } else {
    throw Error(Code::kFailed, "time_width is neither a number of frames nor a share")
        .at("time_width")
        .seen(json_text(width))
        .expected("an int, or a float in [0, 1]");
  }
  for (const auto& [name, value] : {std::pair{"freq_masks", options.freq_masks},
                                    {"time_masks", options.time_masks},
                                    {"rect_masks", options.rect_masks}}) {
    check_range(name, value, 0, kMostMasks);
  }
  for (const auto& [name, value] : {std::pair{"freq_width", options.freq_width},
                                    {"time_width", time_width_},
                                    {"rect_time", options.rect_time},
                                    {"rect_freq", options.rect_freq}}) {
    check_range(name, value, 0, kWidestMask);
  }
}

Ports SpectrogramAugmentation::inputs() const { return augment_inputs(); }
Ports SpectrogramAugmentation::outputs() const { return augment_outputs(); }
void SpectrogramAugmentation::describe_ports(Json& schema) {
  schema["inputs"] = ports_json(augment_inputs());
  schema["outputs"] = ports_json(augment_outputs());
}

Values SpectrogramAugmentation::forward(const Values& in) {
  const Options& o = options_;
  const at::Tensor& spec = in.tensor("input_spec");
  const int64_t items = spec.size(0), bands = spec.size(1), frames = spec.size(2);
  if (o.rect_masks + o.freq_masks + o.time_masks == 0) return {{"augmented_spec", spec}};
  const at::Tensor length = in.tensor("length").to(at::kCPU, at::kLong).contiguous();
  const int64_t* lengths = length.const_data_ptr<int64_t>();

  at::Tensor out = spec.clone();
  Draws draws(items * (4 * o.rect_masks + 2 * (o.freq_masks + o.time_masks)));
  // Fills bands [b, b + height) x frames [t, t + width) of an item, cut at the borders.
  const auto fill = [&](int64_t item, int64_t b, int64_t height, int64_t t, int64_t width, double value) {
    height = std::min(height, bands - b);
    width = std::min(width, frames - t);
    if (height > 0 && width > 0) out.select(0, item).narrow(0, b, height).narrow(1, t, width).fill_(value);
  };
  for (int64_t item = 0; item < items; ++item) {
    for (int64_t i = 0; i < o.rect_masks; ++i) {
      const int64_t band = draws.up_to(bands - o.rect_freq), frame = draws.up_to(frames - o.rect_time);
      const int64_t height = draws.up_to(o.rect_freq), width = draws.up_to(o.rect_time);
      fill(item, band, height, frame, width, 0);
    }
    for (int64_t i = 0; i < o.freq_masks; ++i) {
      const int64_t band = draws.up_to(bands - o.freq_width);
      fill(item, band, draws.up_to(o.freq_width), 0, frames, o.mask_value);
    }
    const int64_t widest =
        adaptive_ ? std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(lengths[item]) * time_share_))
                  : time_width_;
    for (int64_t i = 0; i < o.time_masks; ++i) {
      const int64_t frame = draws.up_to(std::max<int64_t>(1, lengths[item] - widest));
      fill(item, 0, bands, frame, draws.up_to(widest), o.mask_value);
    }
  }
  return {{"augmented_spec", out}};
}

}  // namespace fathom::asr
