// A transducer's joint network and loss with all gradients, one thread, one process a case: 16 items of 200 frames and
// 40 labels, 1025 classes, 640 hidden units, beside the plain libtorch way: the joint's whole output, log_softmax, and
// the forward recursion frame by frame, under autograd. `fresh`: random weights, where the paths spread over the whole
// lattice; `trained`: weights that know where the labels are, as most of a training has them. Then a training step of a
// small digits transducer, beside NeMo's where FATHOM_PYTHON has it.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/nn.h>

#include "core/plugins/registry.h"
#include "core/training/optimization.h"
#include "plugins/asr/modules/transducer_joint.h"
#include "tests/bench/process_case.h"

namespace fathom {
namespace {

constexpr int64_t kItems = 16, kFrames = 200, kLabels = 40, kTokens = 1024, kHidden = 640;

struct Inputs {
  at::Tensor encoder = at::randn({kItems, kHidden, kFrames}), prediction = at::randn({kItems, kHidden, kLabels + 1});
  at::Tensor labels = at::arange(kLabels, at::kLong).repeat({kItems, 1});
  at::Tensor label_lengths = at::full({kItems}, kLabels, at::kLong),
             frame_lengths = at::full({kItems}, kFrames, at::kLong);
};

struct Parts {
  ModuleHandle joint = make_module({{"_target_", "asr.RNNTJoint"},
                                    {"num_classes", kTokens},
                                    {"jointnet",
                                     {{"encoder_hidden", kHidden},
                                      {"pred_hidden", kHidden},
                                      {"joint_hidden", kHidden},
                                      {"activation", "relu"},
                                      {"dropout", 0.0}}}},
                                   "joint");
  Inputs in;
  at::Tensor parameter(const char* name) const { return joint.torch_module()->named_parameters()[name]; }

  explicit Parts(bool trained) {
    joint.torch_module()->train();
    if (trained) know_the_path();
    in.encoder.requires_grad_();
    in.prediction.requires_grad_();
  }

  // Unit u of the hidden layer is on where frame 5 u meets the prediction after u labels, and means label u; unit 639
  // is always on and means the blank.
  void know_the_path() {
    const at::NoGradGuard no_grad;
    for (const char* side : {"enc", "pred"}) {
      parameter((std::string(side) + ".weight").c_str()).copy_(at::eye(kHidden));
      parameter((std::string(side) + ".bias").c_str()).zero_();
    }
    for (at::Tensor* x : {&in.encoder, &in.prediction}) x->mul_(0.2);
    for (int64_t u = 0; u < kLabels; ++u) {
      in.encoder.select(1, u).fill_(-1);
      in.prediction.select(1, u).fill_(0);
      in.encoder.select(1, u).select(1, 5 * u).fill_(1);
      in.prediction.select(1, u).select(1, u).fill_(1);
    }
    in.encoder.select(1, kHidden - 1).fill_(1);
    in.prediction.select(1, kHidden - 1).fill_(0);
    at::Tensor weight = parameter("joint_net.1.weight");
    weight.mul_(0.5);
    for (int64_t u = 0; u < kLabels; ++u) weight[u][u] = 8;
    weight[kTokens][kHidden - 1] = 9;
  }
};

std::function<void()> ours(const std::shared_ptr<Parts>& parts) {
  const auto joint = std::make_shared<asr::JointHandle>(parts->joint);
  const std::string options = json_text(
      Json{{"num_classes", kTokens}, {"loss_name", "default"}, {"reduction", "mean_batch"}, {"loss_kwargs", nullptr}});
  return [=] {
    Inputs& in = parts->in;
    parts->joint.torch_module()->zero_grad();
    for (at::Tensor* x : {&in.encoder, &in.prediction}) x->mutable_grad().reset();
    joint
        ->loss(options, {{"encoder_outputs", in.encoder},
                         {"decoder_outputs", in.prediction},
                         {"encoder_lengths", in.frame_lengths},
                         {"transcripts", in.labels},
                         {"transcript_lengths", in.label_lengths}})
        .backward();
  };
}

// Frame by frame; within a frame alpha[u] = c[u] + logcumsumexp(down - c)[u], where c[u] sums the labels' before u.
at::Tensor plain_loss(const at::Tensor& log_probs, const at::Tensor& labels) {
  const at::Tensor blank = log_probs.select(-1, kTokens);
  const at::Tensor label = log_probs.narrow(2, 0, kLabels)
                               .gather(-1, labels.view({kItems, 1, kLabels, 1}).expand({-1, kFrames, -1, 1}))
                               .squeeze(-1);
  const at::Tensor before = at::constant_pad_nd(label.cumsum(2), {1, 0});
  at::Tensor alpha = before.select(1, 0);
  for (int64_t t = 1; t < kFrames; ++t) {
    const at::Tensor down = alpha + blank.select(1, t - 1), c = before.select(1, t);
    alpha = c + at::logcumsumexp(down - c, 1);
  }
  return -(alpha.select(1, kLabels) + blank.select(1, kFrames - 1).select(1, kLabels)).mean();
}

std::function<void()> plain(const std::shared_ptr<Parts>& parts) {
  return [=] {
    Inputs& in = parts->in;
    parts->joint.torch_module()->zero_grad();
    for (at::Tensor* x : {&in.encoder, &in.prediction}) x->mutable_grad().reset();
    const auto p = [&](const char* name) { return parts->parameter(name); };
    const at::Tensor f = at::linear(in.encoder.transpose(1, 2), p("enc.weight"), p("enc.bias"));
    const at::Tensor g = at::linear(in.prediction.transpose(1, 2), p("pred.weight"), p("pred.bias"));
    const at::Tensor logits =
        at::linear(at::relu(f.unsqueeze(2) + g.unsqueeze(1)), p("joint_net.1.weight"), p("joint_net.1.bias"));
    plain_loss(at::log_softmax(logits, -1), in.labels).backward();
  };
}

// Forward, loss, backward and AdamW of the model of configs/asr/digits_transducer: 32 items of 50 frames and 4 letters.
std::function<void()> digits_step() {
  constexpr int64_t kBatch = 32, kSignal = 50, kText = 4, kLetters = 16;
  struct Model : torch::nn::Module {
    ModuleHandle add(const std::string& name, const Json& config) {
      ModuleHandle handle = make_module(config, name);
      register_module(name, handle.torch_module());
      return handle;
    }
  };
  const auto model = std::make_shared<Model>();
  const ModuleHandle encoder = model->add("encoder", {{"_target_", "asr.ConformerEncoder"},
                                                      {"feat_in", 40},
                                                      {"n_layers", 3},
                                                      {"d_model", 96},
                                                      {"subsampling", "dw_striding"},
                                                      {"subsampling_factor", 4},
                                                      {"subsampling_conv_channels", 48},
                                                      {"ff_expansion_factor", 2},
                                                      {"n_heads", 4},
                                                      {"conv_kernel_size", 9},
                                                      {"xscaling", false}});
  const ModuleHandle decoder =
      model->add("decoder", {{"_target_", "asr.RNNTDecoder"},
                             {"vocab_size", kLetters},
                             {"prednet", {{"pred_hidden", 64}, {"pred_rnn_layers", 1}, {"dropout", 0.1}}}});
  const asr::JointHandle joint(model->add("joint", {{"_target_", "asr.RNNTJoint"},
                                                    {"num_classes", kLetters},
                                                    {"jointnet",
                                                     {{"encoder_hidden", 96},
                                                      {"pred_hidden", 64},
                                                      {"joint_hidden", 64},
                                                      {"activation", "relu"},
                                                      {"dropout", 0.1}}}}));
  model->train();
  const Json optim = {{"name", "adamw"}, {"lr", 0.003}, {"betas", {0.9, 0.98}}, {"weight_decay", 0.001}};
  const auto optimization =
      std::make_shared<training::Optimization>(optim, "optim", *model, nullptr, training::TrainingFacts());
  const std::string options = json_text(
      Json{{"num_classes", kLetters}, {"loss_name", "default"}, {"reduction", "mean_batch"}, {"loss_kwargs", nullptr}});
  const at::Tensor signal = at::randn({kBatch, 40, kSignal}), length = at::full({kBatch}, kSignal, at::kLong);
  const at::Tensor targets = at::randint(0, kLetters, {kBatch, kText}, at::kLong);
  const at::Tensor target_length = at::full({kBatch}, kText, at::kLong);
  return [=] {
    const Values encoded = encoder({{"audio_signal", signal}, {"length", length}});
    const Value predicted = decoder({{"targets", targets}, {"target_length", target_length}})["outputs"];
    const at::Tensor loss = joint.loss(options, {{"encoder_outputs", encoded["outputs"]},
                                                 {"decoder_outputs", predicted},
                                                 {"encoder_lengths", encoded["encoded_lengths"]},
                                                 {"transcripts", targets},
                                                 {"transcript_lengths", target_length}});
    optimization->zero_grad();
    loss.backward();
    optimization->step();
  };
}

// The norms of the gradients, by which the two must agree.
Json norms(const Parts& parts) {
  Json out = Json::object();
  for (const auto& one : parts.joint.torch_module()->named_parameters())
    out[one.key()] = one.value().grad().norm().item<double>();
  out["encoder"] = parts.in.encoder.grad().norm().item<double>();
  out["prediction"] = parts.in.prediction.grad().norm().item<double>();
  return {{"norms", out}};
}

void compare(const std::string& self, const std::string& name) {
  const Json own = bench::measured(self, name, 3), peer = bench::measured(self, "plain_" + name, 3);
  for (const auto& [key, norm] : own["norms"].items()) {
    const auto a = norm.get<double>(), b = peer["norms"][key].get<double>();
    if (std::abs(a - b) <= 1e-3 * std::abs(b)) continue;
    throw Error(Code::kFailed, "ours and the plain gradient differ")
        .at(name + ", " + key)
        .seen(json_text(norm))
        .expected(json_text(peer["norms"][key]));
  }
  bench::report_processes("transducer", "joint, loss and gradients, " + name, own, peer,
                          "joint, log_softmax and recursion in libtorch");
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  using namespace fathom;  // NOLINT
  if (argc > 1) {
    const std::string name = argv[1];
    at::set_num_threads(1);
    at::manual_seed(1);  // the same model in either process
    const int repeats = argc > 2 ? std::atoi(argv[2]) : 3;
    if (name == "digits_transducer_step") {
      bench::measure_case(name, repeats, digits_step());
      return 0;
    }
    const auto parts = std::make_shared<Parts>(name.ends_with("trained"));
    bench::measure_case(name, repeats, name.starts_with("plain") ? plain(parts) : ours(parts),
                        [&] { return norms(*parts); });
    return 0;
  }
  for (const char* name : {"fresh", "trained"}) compare(argv[0], name);
  bench::compare_with_nemo("transducer", argv[0], "digits_transducer_step", 5);
}
