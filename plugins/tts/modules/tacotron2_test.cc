// The decoder of Tacotron 2 against torch's own cells step by step, its loss, and where speaking ends.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "plugins/tts/losses/tacotron2_loss.h"
#include "plugins/tts/modules/lstm_step.h"
#include "plugins/tts/modules/tacotron2_decoder.h"

namespace fathom::tts {
namespace {

using ::testing::HasSubstr;

Tacotron2DecoderOptions small() {
  Tacotron2DecoderOptions o;
  o.n_mel_channels = 5;
  o.encoder_embedding_dim = 6;
  o.attention_dim = 4;
  o.attention_location_n_filters = 3;
  o.attention_location_kernel_size = 7;
  o.attention_rnn_dim = 8;
  o.decoder_rnn_dim = 9;
  o.prenet_dim = 4;
  o.max_decoder_steps = 12;
  o.p_attention_dropout = o.p_decoder_dropout = o.prenet_p_dropout = 0;
  return o;
}

// The decoder written out a frame at a time, with torch's cells, as the paper and NeMo have it.
struct WrittenOut {
  std::map<std::string, at::Tensor> w;
  at::Tensor linear(const std::string& name, const at::Tensor& x) {
    const auto bias = w.find(name + ".linear_layer.bias");
    return at::linear(x, w.at(name + ".linear_layer.weight"), bias == w.end() ? at::Tensor() : bias->second);
  }
  std::pair<at::Tensor, at::Tensor> cell(const std::string& name, const at::Tensor& x, const at::Tensor& h,
                                         const at::Tensor& c) {
    const auto out = at::lstm_cell(x, {h, c}, w.at(name + ".weight_ih"), w.at(name + ".weight_hh"),
                                   w.at(name + ".bias_ih"), w.at(name + ".bias_hh"));
    return {std::get<0>(out), std::get<1>(out)};
  }
  std::array<at::Tensor, 3> follow(const at::Tensor& memory, const at::Tensor& lengths, const at::Tensor& frames) {
    const int64_t items = memory.size(0), tokens = memory.size(1);
    at::Tensor ah = at::zeros({items, 8}), ac = ah, dh = at::zeros({items, 9}), dc = dh,
               context = at::zeros({items, 6});
    at::Tensor weights = at::zeros({items, tokens}), sum = weights;
    const at::Tensor keys = linear("attention_layer.memory_layer", memory);
    const at::Tensor hidden = at::arange(tokens).unsqueeze(0) >= lengths.unsqueeze(1);
    std::vector<at::Tensor> mels, gates, alignments;
    for (int64_t i = 0; i < frames.size(2); ++i) {
      at::Tensor x = i == 0 ? at::zeros({items, 5}) : frames.select(2, i - 1);
      x = at::relu(linear("prenet.layers.1", at::relu(linear("prenet.layers.0", x))));
      std::tie(ah, ac) = cell("attention_rnn", at::cat({x, context}, 1), ah, ac);
      const at::Tensor places =
          linear("attention_layer.location_layer.location_dense",
                 at::conv1d(at::stack({weights, sum}, 1),
                            w.at("attention_layer.location_layer.location_conv.conv.weight"), {}, 1, 3)
                     .transpose(1, 2));
      const at::Tensor query = linear("attention_layer.query_layer", ah.unsqueeze(1));
      at::Tensor energies = linear("attention_layer.v", at::tanh(query + places + keys)).squeeze(2);
      weights = at::softmax(energies.masked_fill(hidden, -INFINITY), 1);
      context = at::bmm(weights.unsqueeze(1), memory).squeeze(1);
      sum = sum + weights;
      std::tie(dh, dc) = cell("decoder_rnn", at::cat({ah, context}, 1), dh, dc);
      const at::Tensor all = at::cat({dh, context}, 1);
      mels.push_back(linear("linear_projection", all));
      gates.push_back(linear("gate_layer", all).squeeze(1));
      alignments.push_back(weights);
    }
    return {at::stack(mels, 2), at::stack(gates, 1), at::stack(alignments, 1)};
  }
};

TEST(Tacotron2Decoder, FollowsAsWrittenOutWithItsGradients) {
  at::manual_seed(5);
  Tacotron2Decoder decoder(small());
  WrittenOut plain;
  for (auto& item : decoder.named_parameters()) plain.w[item.key()] = item.value().detach().clone().requires_grad_();
  const at::Tensor memory = at::randn({3, 7, 6}).requires_grad_(), other = memory.detach().clone().requires_grad_();
  const at::Tensor lengths = at::tensor({7, 4, 1}), frames = at::randn({3, 5, 10});
  const auto got = decoder.follow(memory, lengths, frames);
  const auto expected = plain.follow(other, lengths, frames);
  const std::array<at::Tensor, 3> made = {got.mel, got.gate, got.alignments};
  at::Tensor loss = at::zeros({}), wanted = at::zeros({});
  for (size_t i = 0; i < made.size(); ++i) {
    EXPECT_LT((made[i] - expected[i]).abs().max().item<double>(), 1e-5) << i;
    const at::Tensor probe = at::randn_like(made[i]);
    loss = loss + (made[i] * probe).sum();
    wanted = wanted + (expected[i] * probe).sum();
  }
  loss.backward();
  wanted.backward();
  EXPECT_LT((memory.grad() - other.grad()).abs().max().item<double>(), 1e-4);
  for (auto& item : decoder.named_parameters()) {
    const at::Tensor& reference = plain.w.at(item.key()).grad();
    EXPECT_TRUE(at::allclose(item.value().grad(), reference, 1e-4, 1e-4)) << item.key();
  }
}

TEST(Tacotron2Decoder, SpeaksWhatItWouldFollow) {
  at::manual_seed(6);
  Tacotron2DecoderOptions options = small();
  options.gate_threshold = 1;  // never open
  Tacotron2Decoder decoder(options);
  decoder.eval();
  const at::NoGradGuard no_grad;
  const at::Tensor memory = at::randn({2, 7, 6}), lengths = at::tensor({7, 3});
  const auto spoken = decoder.speak(memory, lengths, std::nullopt);
  ASSERT_EQ(spoken.mel.size(2), options.max_decoder_steps);
  EXPECT_TRUE(spoken.lengths.equal(at::tensor({12, 12}, at::kInt)));
  EXPECT_TRUE(spoken.cut);
  const auto followed = decoder.follow(memory, lengths, spoken.mel);
  EXPECT_LT((followed.mel - spoken.mel).abs().max().item<double>(), 1e-5);
  EXPECT_LT((followed.alignments - spoken.alignments).abs().max().item<double>(), 1e-5);
}

TEST(Tacotron2Decoder, EndsAtTheGateButNeverBeforeOneFrame) {
  at::manual_seed(6);
  Tacotron2DecoderOptions options = small();
  options.gate_threshold = 0;  // always open
  Tacotron2Decoder decoder(options);
  decoder.eval();
  const at::NoGradGuard no_grad;
  const auto spoken = decoder.speak(at::randn({1, 1, 6}), at::tensor({1}), std::nullopt);
  EXPECT_EQ(spoken.mel.size(2), 1);
  EXPECT_EQ(spoken.lengths.item<int>(), 0);
  EXPECT_FALSE(spoken.cut);
}

TEST(Tacotron2Decoder, OptionsOutOfRangeAreSaid) {
  Tacotron2DecoderOptions options = small();
  options.attention_location_kernel_size = 8;
  try {
    Tacotron2Decoder decoder(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("attention_location_kernel_size"));
  }
}

TEST(Tacotron2Loss, CountsEverythingAsNemoDoes) {
  at::manual_seed(7);
  const at::Tensor target = at::randn({2, 3, 6}), lengths = at::tensor({6, 4});
  target[1].slice(1, 4).fill_(-11.52);
  for (const int64_t width : {4, 6, 9}) {
    const at::Tensor mel = at::randn({2, 3, width}), post = at::randn({2, 3, width}), gate = at::randn({2, width});
    const Tacotron2Losses got = tacotron2_loss(mel, post, gate, target, lengths, -11.52);
    double dec = 0, refined = 0, gates = 0;
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t t = 0; t < 6; ++t) {
        const bool there = t < width && t < lengths[b].item<int64_t>();
        for (int64_t d = 0; d < 3; ++d) {
          const double wanted = target[b][d][t].item<double>();
          dec += std::pow((there ? mel[b][d][t].item<double>() : -11.52) - wanted, 2) / 36;
          refined += std::pow((there ? post[b][d][t].item<double>() : -11.52) - wanted, 2) / 36;
        }
        const double logit = there ? gate[b][t].item<double>() : 1e3;
        const bool end = t >= lengths[b].item<int64_t>() - 1;
        gates += (std::max(logit, 0.0) - (end ? logit : 0) + std::log1p(std::exp(-std::abs(logit)))) / 12;
      }
    }
    EXPECT_NEAR(got.mel.item<double>(), dec, 1e-4 * dec) << width;
    EXPECT_NEAR(got.postnet.item<double>(), refined, 1e-4 * refined) << width;
    EXPECT_NEAR(got.gate.item<double>(), gates, 1e-4 * gates) << width;
    EXPECT_NEAR(got.loss.item<double>(), dec + refined + gates, 1e-4 * (dec + refined + gates)) << width;
  }
}

}  // namespace
}  // namespace fathom::tts
