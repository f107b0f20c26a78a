// Whose voice speaks: an embedding by number, by a recording (style_tokens.h), by both, or one that is fixed.
#pragma once

#include <torch/nn/modules/embedding.h>

#include "fathom/module.h"

namespace fathom::tts {

// speaker (B) -> embs (B, embedding_dim). State: table.weight. Throws Error(kBadData) for a number that is none of the
// table's.
class SpeakerLookupTable final : public NeuralModule, public HasProperties {
 public:
  static constexpr const char* kState = "table.weight";
  struct Options {
    int64_t n_speakers = 0, embedding_dim = 0;
    static void describe(OptionSet<Options>& o);
  };
  explicit SpeakerLookupTable(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  Json properties() const override { return {{"n_speakers", table_->weight.size(0)}}; }

 private:
  torch::nn::Embedding table_{nullptr};
};

// speaker (B), reference_spec (B, D, T) with reference_spec_lens (B), batch_size -> embs (B, width): the sum of what
// the lookup table and the style tokens say; with precomputed_embedding_dim always the one embedding that the model
// holds. Properties: n_speakers (0 without a table), reference and precomputed, true or false. State: precomputed_emb;
// lookup_module.*, gst_module.*. Throws Error(kBadData) where nothing says whose voice it is.
class SpeakerEncoder final : public NeuralModule, public HasProperties {
 public:
  static constexpr const char* kState = "precomputed_emb, lookup_module.*, gst_module.*, by what there is";
  struct Options {
    Json lookup_module, gst_module;
    std::optional<int64_t> precomputed_embedding_dim;
    static void describe(OptionSet<Options>& o);
  };
  explicit SpeakerEncoder(const Options& options);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  static void describe_ports(Json& schema);
  Json properties() const override;

 private:
  ModuleHandle lookup_, style_;
  at::Tensor precomputed_;
};

}  // namespace fathom::tts
