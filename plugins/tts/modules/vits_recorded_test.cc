// VITS of NeMo 1.23 (tests/golden/vits): speech without chance, what critics say, and what is refused.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>

#include <fstream>
#include <functional>
#include <map>

#include "core/checkpoint/torch_file.h"
#include "fathom/json.h"
#include "plugins/tts/modules/rational_spline.h"
#include "plugins/tts/modules/vits_critics.h"
#include "plugins/tts/modules/vits_synthesizer.h"

namespace fathom::tts {
namespace {

using ::testing::HasSubstr;

const std::string kGolden = FATHOM_SOURCE_DIR "/tests/golden/vits/";

std::map<std::string, at::Tensor> tensors_of(const std::string& file) {
  std::map<std::string, at::Tensor> out;
  for (auto& [name, tensor] : checkpoint::load_safetensors(kGolden + file)) out[name] = tensor;
  return out;
}
nlohmann::json json_of(const std::string& file) {
  std::ifstream in(kGolden + file);
  return nlohmann::json::parse(in);
}

struct Recorded {
  explicit Recorded(const std::string& name) : io(tensors_of(name + "/io.safetensors")) {
    const Json params = parse_text(json_of(name + "/meta.json")["params"].dump());
    net = std::make_shared<VitsSynthesizer>(parse_options<VitsSynthesizerOptions>(params, "synthesizer"));
    const at::NoGradGuard no_grad;
    for (auto& item : net->named_parameters()) item.value().copy_(io.at("state." + item.key()));
    net->eval();
  }
  at::Tensor in(const std::string& name) const {
    return io.count("in." + name) > 0 ? io.at("in." + name) : at::Tensor();
  }
  std::map<std::string, at::Tensor> io;
  std::shared_ptr<VitsSynthesizer> net;
};

template <typename Run>
std::string error_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Vits, SpeaksWhatNemoSpeaks) {
  for (const char* name : {"synthesizer_drawn_durations", "synthesizer_drawn_durations_of_voices"}) {
    Recorded one(name);
    const auto expected = tensors_of(std::string(name) + "/said.safetensors");
    const at::NoGradGuard no_grad;
    const at::Tensor voices = one.in("speakers");
    VitsSynthesizer::Speech how;
    how.noise_scale = how.noise_scale_w = 0;
    how.length_scale = 1.3;
    const auto spoken = one.net->infer(one.in("text").narrow(0, 0, 1), one.in("text_len").narrow(0, 0, 1),
                                       voices.defined() ? voices.narrow(0, 0, 1) : voices, how);
    EXPECT_TRUE(spoken.durations.to(at::kFloat).equal(expected.at("durations"))) << name;
    ASSERT_EQ(spoken.audio.sizes(), expected.at("audio").sizes()) << name;
    EXPECT_LT((spoken.audio - expected.at("audio")).abs().max().item<double>(), 1e-5) << name;
    // What one says is what all say of the same text in a padded batch.
    const auto batch = one.net->infer(one.in("text"), one.in("text_len"), voices, how);
    const int64_t frames = std::min(batch.audio.size(2), spoken.audio.size(2));
    EXPECT_TRUE(batch.durations[0].equal(spoken.durations[0])) << name;
    EXPECT_EQ(frames, spoken.audio.size(2)) << name;
  }
}

TEST(Vits, TheSeedDecidesWhatIsSaid) {
  Recorded one("synthesizer_drawn_durations");
  const at::NoGradGuard no_grad;
  const auto say = [&](uint64_t seed) {
    VitsSynthesizer::Speech how;
    how.generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return one.net->infer(one.in("text"), one.in("text_len"), {}, how).audio;
  };
  EXPECT_TRUE(say(1).equal(say(1)));
  EXPECT_FALSE(say(1).sizes() == say(2).sizes() && say(1).equal(say(2)));
}

TEST(Vits, CriticsSayWhatNemosSay) {
  const auto numbers = json_of("numbers.json")["critics"];
  const at::NoGradGuard no_grad;
  for (const bool spectral : {false, true}) {
    VitsCritics critics(spectral);
    critics.eval();
    // In the order of NeMo's state_dict: of each module its parameters, then its buffers.
    int64_t number = 0;
    const std::function<void(torch::nn::Module&)> fill = [&](torch::nn::Module& module) {
      const auto sine = [&](at::Tensor& tensor) {
        const double fan = static_cast<double>(tensor.dim() > 1 ? tensor[0].numel() : tensor.numel());
        const at::Tensor place = at::arange(tensor.numel(), at::kDouble);
        tensor.copy_((at::sin(place * 1.7 + number) / std::sqrt(fan)).view(tensor.sizes()));
        ++number;
      };
      for (auto& item : module.named_parameters(false)) sine(item.value());
      for (auto& item : module.named_buffers(false)) sine(item.value());
      for (auto& child : module.children()) fill(*child);
    };
    fill(critics);
    const at::Tensor place = at::arange(2 * 701, at::kDouble);
    const at::Tensor real = (0.5 * at::sin(place * 0.3)).view({2, 1, 701}).to(at::kFloat);
    const auto judged = critics.judge(real);
    const auto& expected = numbers[spectral ? "spectral" : "weight"];
    ASSERT_EQ(judged.size(), expected.size());
    for (size_t i = 0; i < judged.size(); ++i) {
      const auto near = [](const at::Tensor& got, double wanted) {
        EXPECT_NEAR(got.item<double>(), wanted, 1e-5 * std::max(1.0, std::abs(wanted)));
      };
      near(judged[i].score.to(at::kDouble).mean(), expected[i]["score"][0]);
      near(judged[i].score[1][-1], expected[i]["score"][1]);
      ASSERT_EQ(judged[i].features.size(), expected[i]["features"].size());
      for (size_t k = 0; k < judged[i].features.size(); ++k)
        near(judged[i].features[k].to(at::kDouble).abs().mean(), expected[i]["features"][k]);
    }
  }
}

TEST(Vits, WhatCannotBeLearnedIsSaid) {
  Recorded one("synthesizer_drawn_durations_of_voices");
  const auto learn = [&](const at::Tensor& text_len, const at::Tensor& spec_len, const at::Tensor& speakers,
                         const at::Tensor& text) {
    return error_of([&] { one.net->learn(text, text_len, one.in("spec"), spec_len, speakers); });
  };
  const at::Tensor words = one.in("text_len"), frames = one.in("spec_len"), voices = one.in("speakers"),
                   text = one.in("text");
  EXPECT_EQ(learn(words, frames, voices, text), "no error");
  EXPECT_THAT(learn(words, at::tensor({31, 20, 5}), voices, text), HasSubstr("shorter than the segment"));
  EXPECT_THAT(learn(words, at::tensor({31, 20, 5}), voices, text), HasSubstr("item 2"));
  EXPECT_THAT(learn(words, at::tensor({8, 20, 6}), voices, text), HasSubstr("fewer frames than its text has tokens"));
  EXPECT_THAT(learn(words, frames, at::tensor({0, 3, 1}), text), HasSubstr("no such speaker"));
  EXPECT_THAT(learn(words, frames, {}, text), HasSubstr("several voices"));
  EXPECT_THAT(learn(words, frames, voices, text + 5), HasSubstr("no such token"));
}

TEST(RationalSpline, BackIsTheWayBack) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({500}, at::kDouble) * 4, w = at::randn({500, 10}, at::kDouble) * 2,
                   h = at::randn({500, 10}, at::kDouble) * 2, d = at::randn({500, 9}, at::kDouble) * 2;
  const auto [y, up] = rational_spline(x, w, h, d, 5, false);
  const auto [back, down] = rational_spline(y, w, h, d, 5, true);
  EXPECT_LT((back - x).abs().max().item<double>(), 1e-9);
  EXPECT_LT((up + down).abs().max().item<double>(), 1e-7);
  const at::Tensor outside = x.abs() > 5;
  EXPECT_GT(outside.sum().item<int64_t>(), 10);
  EXPECT_TRUE(y.masked_select(outside).equal(x.masked_select(outside)));
  // log|dy/dx| is what differences say.
  const auto [later, unused] = rational_spline(x + 1e-7, w, h, d, 5, false);
  EXPECT_LT((at::log((later - y) / 1e-7) - up).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace fathom::tts
