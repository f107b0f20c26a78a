// ConvASREncoder: a stack of Jasper blocks (Jasper, QuartzNet, Citrinet, MatchboxNet, MarbleNet).
#pragma once

#include "fathom/module.h"
#include "plugins/asr/modules/jasper_block.h"

namespace fathom::asr {

// One entry of `jasper`.
struct JasperLayerOptions {
  int64_t filters = 0, repeat = 1;
  Json kernel, stride = Json::array({1}), dilation = Json::array({1});  // an int, or a list whose first entry counts
  double dropout = 0;
  bool residual = false, residual_dense = false, separable = false;
  int64_t groups = 1, heads = -1;
  std::optional<std::string> residual_mode;
  double kernel_size_factor = 1;
  bool stride_last = false;
  int64_t future_context = -1;
  bool se = false;
  int64_t se_reduction_ratio = 8, se_context_size = -1;
  std::string se_interpolation_mode = "nearest";
  static void describe(OptionSet<JasperLayerOptions>& o);
};

// audio_signal (B, D, T), length (B) -> outputs (B, D', T'), encoded_lengths (B). D = feat_in * frame_splicing.
// State: encoder.N.mconv.M.…, encoder.N.res.R.M.…
// Adapters go into every block, with the block's filters as their in_features.
class ConvASREncoder final : public NeuralModule, public AdapterHost, public AccessMixin, public HasProperties {
 public:
  static constexpr const char* kState =
      "encoder.N.mconv.M.* and encoder.N.res.R.M.* of block N: weight, bias, running_mean, running_var, "
      "num_batches_tracked";
  struct Options {
    std::vector<JasperLayerOptions> jasper;
    std::string activation = "relu";
    int64_t feat_in = 64;
    std::string normalization_mode = "batch", residual_mode = "add";
    int64_t norm_groups = -1;
    bool conv_mask = true;
    int64_t frame_splicing = 1;
    std::optional<std::string> init_mode = "xavier_uniform";
    bool quantize = false;
    static void describe(OptionSet<Options>& o);
  };
  explicit ConvASREncoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);

  void add_adapter(const std::string& name, const Json& config) override;
  bool is_adapter_available() const override;
  void set_enabled_adapters(const std::optional<std::string>& name, bool enabled) override;
  std::vector<std::string> get_enabled_adapters() const override;
  std::vector<std::string> get_adapters() const override;
  void unfreeze_enabled_adapters() override;

  // feat_in, feat_out (channels), subsampling_factor (frames in per frame out).
  Json properties() const override;

 private:
  std::vector<std::shared_ptr<JasperBlock>> blocks_;
  int64_t feat_in_ = 0, feat_out_ = 0, subsampling_factor_ = 1;
};

}  // namespace fathom::asr
