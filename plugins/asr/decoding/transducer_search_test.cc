// Label looping against the search written out: one item, one frame and one label at a time, with whole modules and no
// state.
#include "plugins/asr/decoding/transducer_search.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "fathom/error.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::asr {
namespace {

constexpr int64_t kTokens = 7, kWidth = 12;

class TransducerSearch : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    host_slot() = plugins::host_table();
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }

  struct Networks {
    ModuleHandle decoder;
    JointHandle joint;
  };
  // Random weights, large enough that labels and blanks take turns.
  static Networks networks(const char* decoder, int64_t extra, int64_t classes = kTokens) {
    at::manual_seed(3);
    Json section = {
        {"_target_", decoder}, {"vocab_size", classes}, {"prednet", {{"pred_hidden", 10}, {"dropout", 0.1}}}};
    if (std::string(decoder).find("Stateless") != std::string::npos)
      section["context_size"] = 2;
    else
      section["prednet"]["pred_rnn_layers"] = 2;
    Networks out{make_module(section, "decoder"), JointHandle(make_module({{"_target_", "asr.RNNTJoint"},
                                                                           {"num_classes", classes},
                                                                           {"num_extra_outputs", extra},
                                                                           {"jointnet",
                                                                            {{"encoder_hidden", kWidth},
                                                                             {"pred_hidden", 10},
                                                                             {"joint_hidden", 16},
                                                                             {"activation", "tanh"},
                                                                             {"dropout", 0.1}}}},
                                                                          "joint"))};
    const at::NoGradGuard no_grad;
    for (const ModuleHandle& module : {out.decoder, out.joint.module()}) {
      module.torch_module()->eval();
      for (auto& p : module.torch_module()->named_parameters()) {
        p.value().copy_(0.9 * at::randn_like(p.value()));
        // The blank's row is that of the padding: zeros, which training leaves as they are.
        if (p.key().find("embed") != std::string::npos) p.value()[classes].zero_();
      }
    }
    return out;
  }

  static TransducerPath written_out(const Networks& n, const at::Tensor& frames, const TransducerSearchOptions& o) {
    TransducerPath path;
    int64_t t = 0, symbols = 0;
    while (t < frames.size(1)) {
      const auto count = static_cast<int64_t>(path.tokens.size());
      const at::Tensor targets = at::tensor(path.tokens, at::kLong).view({1, count});
      const at::Tensor predicted =
          n.decoder({{"targets", targets}, {"target_length", at::full({1}, count, at::kLong)}}).tensor("outputs");
      const at::Tensor out = n.joint
                                 .module()({{"encoder_outputs", frames.slice(1, t, t + 1).unsqueeze(0)},
                                            {"decoder_outputs", predicted.slice(2, count, count + 1)}})
                                 .tensor("outputs")
                                 .flatten();
      const int64_t token = out.slice(0, 0, o.blank + 1).argmax().item<int64_t>();
      const int64_t jump = o.durations.empty() ? 0 : o.durations[out.slice(0, o.blank + 1).argmax().item<int64_t>()];
      const int64_t big = o.blank - 1 - token;
      if (token == o.blank || big < static_cast<int64_t>(o.big_blank_durations.size())) {
        t += token == o.blank ? std::max<int64_t>(jump, 1) : o.big_blank_durations[big];
        symbols = 0;
        continue;
      }
      path.tokens.push_back(token);
      path.frames.push_back(t);
      if (!o.durations.empty()) path.durations.push_back(jump);
      if (jump > 0 || ++symbols == o.max_symbols) {
        t += std::max<int64_t>(jump, 1);
        symbols = 0;
      }
    }
    return path;
  }

  static void expect_search(const Networks& n, const TransducerSearchOptions& options) {
    const at::NoGradGuard no_grad;
    at::manual_seed(8);
    const at::Tensor encoded = 2 * at::randn({5, kWidth, 30});
    const at::Tensor lengths = at::tensor({30, 1, 0, 17, 29}, at::kLong);
    const auto paths = greedy_search(RecurrentHandle(n.decoder.borrowed()), n.joint, encoded, lengths, options);
    ASSERT_EQ(paths.size(), 5u);
    size_t labels = 0;
    for (int64_t i = 0; i < 5; ++i) {
      const at::Tensor own = encoded[i].slice(1, 0, lengths[i].item<int64_t>());
      const TransducerPath expected = written_out(n, own, options);
      EXPECT_EQ(paths[i].tokens, expected.tokens) << i;
      EXPECT_EQ(paths[i].frames, expected.frames) << i;
      EXPECT_EQ(paths[i].durations, expected.durations) << i;
      const auto alone = greedy_search(RecurrentHandle(n.decoder.borrowed()), n.joint, encoded.slice(0, i, i + 1),
                                       lengths.slice(0, i, i + 1), options);
      EXPECT_EQ(alone[0].tokens, paths[i].tokens) << i;
      EXPECT_NEAR(alone[0].score, paths[i].score, 1e-4) << i;
      labels += paths[i].tokens.size();
    }
    EXPECT_GT(labels, 10u) << "a search that finds nothing shows nothing";
  }
};

TEST_F(TransducerSearch, OfRnnt) {
  for (const char* decoder : {"asr.RNNTDecoder", "asr.StatelessTransducerDecoder"}) {
    for (const int64_t most : {1, 3, 10}) {
      TransducerSearchOptions options;
      options.blank = kTokens;
      options.max_symbols = most;
      expect_search(networks(decoder, 0), options);
    }
  }
}

TEST_F(TransducerSearch, OfTdt) {
  TransducerSearchOptions options;
  options.blank = kTokens;
  options.durations = {0, 1, 2, 4};
  for (const int64_t most : {2, 10}) {
    options.max_symbols = most;
    expect_search(networks("asr.RNNTDecoder", 4), options);
  }
}

TEST_F(TransducerSearch, OfMultiblank) {
  TransducerSearchOptions options;
  options.blank = kTokens + 2;
  options.big_blank_durations = {2, 4};
  expect_search(networks("asr.RNNTDecoder", 0, kTokens + 2), options);
}

// A model that never says blank ends all the same.
TEST_F(TransducerSearch, EndsWithoutALimit) {
  const at::NoGradGuard no_grad;
  const Networks n = networks("asr.RNNTDecoder", 0);
  n.joint.module().torch_module()->named_parameters()["joint_net.2.bias"][kTokens] = -1e4;
  TransducerSearchOptions options;
  options.blank = kTokens;
  options.max_symbols = 0;
  const auto paths = greedy_search(RecurrentHandle(n.decoder.borrowed()), n.joint, at::randn({1, kWidth, 2}),
                                   at::full({1}, 2, at::kLong), options);
  EXPECT_EQ(paths[0].tokens.size(), 2000u);
}

TEST_F(TransducerSearch, SaysThatOutputsDoNotFit) {
  const Networks n = networks("asr.RNNTDecoder", 0);
  TransducerSearchOptions options;
  options.blank = kTokens + 1;
  EXPECT_THROW(greedy_search(RecurrentHandle(n.decoder.borrowed()), n.joint, at::randn({1, kWidth, 2}),
                             at::full({1}, 2, at::kLong), options),
               Error);
}

}  // namespace
}  // namespace fathom::asr
