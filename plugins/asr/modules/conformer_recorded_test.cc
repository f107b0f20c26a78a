// Encoders of models that NeMo saved: what they give for recorded features, and cache-aware streaming step by step as
// NeMo's example program ran it.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "core/archive/nemo_archive.h"
#include "core/checkpoint/torch_file.h"
#include "core/config/access.h"
#include "core/config/json.h"
#include "core/config/yaml_loader.h"
#include "plugins/asr/modules/conformer_encoder.h"
#include "plugins/lib/recorded_test_data.h"

namespace fathom::asr {
namespace {

using Tensors = std::map<std::string, test_data::Recorded>;

at::Tensor tensor_of(const Tensors& all, const std::string& name) {
  const auto& found = all.at(name);
  return (found.real.empty() ? at::tensor(found.integer) : at::tensor(found.real)).view(found.shape);
}

// The encoder of a .nemo, whatever its model. `masked`: the file is of a NeMo that masks inside the subsampling.
std::shared_ptr<ConformerEncoder> restored_encoder(const std::string& path, bool masked = true) {
  const auto archive = checkpoint::NemoArchive::open(path);
  config::Node tree = config::load_yaml_text(archive.config_text(), path);
  config::resolve(tree);
  Json section = config::to_json(tree)["encoder"];
  section.erase("_target_");
  section["subsampling_conv_masking"] = masked;
  auto encoder = std::make_shared<ConformerEncoder>(parse_options<ConformerEncoder::Options>(section, "encoder"));
  const auto state =
      checkpoint::state_dict_tensors(checkpoint::load_torch_bytes(archive.at(checkpoint::kNemoWeights).bytes, path));
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> own;
  for (const auto& item : encoder->named_parameters()) own["encoder." + item.key()] = item.value();
  for (const auto& item : encoder->named_buffers()) own["encoder." + item.key()] = item.value();
  size_t known = 0;
  for (const auto& [name, tensor] : state) {
    if (!name.starts_with("encoder.")) continue;
    const auto it = own.find(name);
    EXPECT_TRUE(it != own.end()) << path << " " << name;
    if (it == own.end()) continue;
    it->second.copy_(tensor);
    ++known;
  }
  EXPECT_EQ(known, own.size()) << path;
  encoder->eval();
  return encoder;
}

void expect_close(const at::Tensor& got, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(got.sizes(), expected.sizes()) << what;
  EXPECT_TRUE(at::allclose(got.to(expected.scalar_type()), expected, 1e-3, 1e-4)) << what;
}

void run_steps(ConformerEncoder& encoder, const Json& recorded, const Tensors& all, const std::string& where) {
  const std::string prefix = recorded["prefix"];
  const StreamingConfig c = *encoder.streaming();
  for (const char* key : {"chunk_size", "shift_size", "pre_encode_cache_size", "drop_extra_pre_encoded",
                          "cache_drop_size", "last_channel_cache_size", "valid_out_len"}) {
    EXPECT_EQ(json_of(c)[key], recorded["streaming_cfg"][key]) << where << " " << key;
  }
  const at::Tensor buffer = tensor_of(all, "buffer"), buffer_length = tensor_of(all, "buffer_len");
  const Values offline = encoder.forward({{"audio_signal", buffer}, {"length", buffer_length}});
  expect_close(offline.tensor("outputs"), tensor_of(all, prefix + "offline.encoded"), where + " offline");

  at::Tensor channel = tensor_of(all, prefix + "cache_last_channel"), time = tensor_of(all, prefix + "cache_last_time");
  at::Tensor remembered = tensor_of(all, prefix + "cache_last_channel_len");
  int64_t start = 0;
  const bool always_padded = recorded["pad_and_drop_preencoded"];
  for (size_t i = 0; i < recorded["steps"].size(); ++i) {
    const Json& step = recorded["steps"][i];
    const std::string name = prefix + "step" + std::to_string(i) + ".", what = where + " " + name;
    const int later = i > 0 || always_padded ? 1 : 0;
    const int64_t before = later == 1 ? c.pre_encode_cache_size[1] : 0;
    const int64_t end = std::min(start + c.chunk_size[later], buffer.size(2)),
                  from = std::max<int64_t>(start - before, 0);
    const at::Tensor chunk = at::constant_pad_nd(buffer.slice(2, from, end), {before - (start - from), 0});
    if (all.count(name + "chunk") > 0) expect_close(chunk, tensor_of(all, name + "chunk"), what + "chunk");
    const at::Tensor lengths = at::tensor(step["chunk_len"].get<std::vector<int64_t>>());
    const Values out = encoder.forward({{"audio_signal", chunk},
                                        {"length", lengths},
                                        {"cache_last_channel", channel},
                                        {"cache_last_time", time},
                                        {"cache_last_channel_len", remembered},
                                        {"drop_extra_pre_encoded", step["drop_extra_pre_encoded"].get<int64_t>()}});
    channel = out.tensor("cache_last_channel_next");
    time = out.tensor("cache_last_time_next");
    remembered = out.tensor("cache_last_channel_next_len");
    // Frames that later chunks will change were cut off.
    const at::Tensor encoded = tensor_of(all, name + "encoded");
    ASSERT_LE(encoded.size(2), out.tensor("outputs").size(2)) << what;
    expect_close(out.tensor("outputs").slice(2, 0, encoded.size(2)), encoded, what + "encoded");
    expect_close(remembered, tensor_of(all, name + "cache_last_channel_len"), what + "cache_last_channel_len");
    for (const auto& [port, cache] : {std::pair{"cache_last_channel", channel}, {"cache_last_time", time}}) {
      if (all.count(name + port) > 0) expect_close(cache, tensor_of(all, name + port), what + port);
    }
    if (::testing::Test::HasFailure()) return;
    start += c.shift_size[later];
  }
}

TEST(ConformerRecorded, EncodedFramesAreNemos) {
  const std::string folder = test_data::shared_path("golden/nemo_models/");
  NEEDS_RECORDING(folder + "models/conformer_ctc_char/meta.json");
  const at::NoGradGuard no_grad;
  for (const std::string name :
       {"models/conformer_ctc_char", "models/conformer_ctc_bpe", "models/conformer_ctc_wpe_bpe",
        "models/conformer_rnnt_bpe", "models/conformer_tdt_bpe", "models/fastconformer_hybrid_bpe",
        "models/fastconformer_streaming_ctc_bpe", "models_old/conformer_ctc_bpe"}) {
    const Tensors all = test_data::read_tensors(folder + name + "/io.safetensors");
    const std::string file = folder + name + "/" + std::filesystem::path(name).filename().string() + ".nemo";
    const auto encoder = restored_encoder(file, /*masked=*/!name.starts_with("models_old"));
    for (const std::string clip : {"clip0.", "clip1.", "batch."}) {
      const Values out = encoder->forward(
          {{"audio_signal", tensor_of(all, clip + "features")}, {"length", tensor_of(all, clip + "features_len")}});
      expect_close(out.tensor("outputs"), tensor_of(all, clip + "encoded"), name + " " + clip + "encoded");
      expect_close(out.tensor("encoded_lengths"), tensor_of(all, clip + "encoded_len"), name + " " + clip + "length");
    }
  }
}

TEST(ConformerRecorded, StepsAndCachesOfStreamsAreNemos) {
  const std::string folder = test_data::shared_path("golden/nemo_models/");
  NEEDS_RECORDING(folder + "streaming/cache_regular_ctc/meta.json");
  const at::NoGradGuard no_grad;
  for (const std::string name : {"cache_regular_ctc", "cache_limited_rnnt", "cache_digits_ctc", "cache_digits_rnnt"}) {
    const auto meta = parse_text(json_text(test_data::read_recording(folder + "streaming/" + name + "/meta.json")));
    const Tensors all = test_data::read_tensors(folder + "streaming/" + name + "/io.safetensors");
    std::string file = folder + "streaming/" + name + "/" + name + ".nemo";
    if (meta.contains("model")) {
      const std::string model = meta["model"];
      file = folder + model + "/" + std::filesystem::path(model).filename().string() + ".nemo";
    }
    const auto encoder = restored_encoder(file);
    for (const Json& recorded : meta["cases"]) {
      nn::AttentionContext context = encoder->context();
      context.left = recorded["att_context_size"][0];
      context.right = recorded["att_context_size"][1];
      encoder->set_default_context(context);
      run_steps(*encoder, recorded, all, name);
    }
  }
}

}  // namespace
}  // namespace fathom::asr
