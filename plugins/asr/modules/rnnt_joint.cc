#include "plugins/asr/modules/rnnt_joint.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "plugins/lib/nn/linear.h"

namespace fathom::asr {
namespace {

constexpr int64_t kMostUnits = 1 << 20;

Ports joint_inputs() {
  return {{"encoder_outputs", {"B D T", AcousticEncodedRepresentation{}}},
          {"decoder_outputs", {"B D T", EmbeddedTextType{}}}};
}
Ports joint_outputs() { return {{"outputs", {"B T T D", LogprobsType{}}}}; }

int64_t needed(const std::optional<int64_t>& value, const char* key) {
  if (value && *value >= 1 && *value <= kMostUnits) return *value;
  throw Error(Code::kFailed, "a joint network needs the width of this part")
      .at(key)
      .seen(value ? std::to_string(*value) : "null")
      .expected("1 to " + std::to_string(kMostUnits))
      .next("models take enc_hidden and pred_hidden of model_defaults");
}

JointActivation activation_of(const std::string& name) {
  if (name == "relu") return JointActivation::kRelu;
  if (name == "tanh") return JointActivation::kTanh;
  if (name == "sigmoid") return JointActivation::kSigmoid;
  throw Error(Code::kFailed, "unknown activation of a joint network")
      .at("jointnet.activation")
      .seen(name)
      .expected("relu, tanh or sigmoid");
}

// A child that holds one layer under a number, as in torch's Sequential.
std::shared_ptr<torch::nn::Module> numbered(const char* number, const torch::nn::Linear& layer) {
  auto holder = std::make_shared<torch::nn::Module>();
  holder->register_module(number, layer);
  return holder;
}

template <typename T>
const void* joint_query(std::string_view id) {
  using Storage = NeuralModule::Storage;
  return capability_detail::find<T, Storage>(id, capability_detail::List<TransducerJoint>{});
}

}  // namespace

void JointNetOptions::describe(OptionSet<JointNetOptions>& o) {
  using J = JointNetOptions;
  o("encoder_hidden", &J::encoder_hidden, "channels of the encoder's output; a model gives its enc_hidden");
  o("pred_hidden", &J::pred_hidden, "width of the prediction network; a model gives its pred_hidden");
  o.required("joint_hidden", &J::joint_hidden, "width of the hidden layer").example(8);
  o("activation", &J::activation, "relu, tanh or sigmoid");
  o("dropout", &J::dropout, "of the hidden layer");
}

void RNNTJointOptions::describe(OptionSet<RNNTJointOptions>& o) {
  using J = RNNTJointOptions;
  o.required("jointnet", &J::jointnet, "the network")
      .example({{"encoder_hidden", 8}, {"pred_hidden", 8}, {"joint_hidden", 8}});
  o.required("num_classes", &J::num_classes, "tokens without the blank, which is the one after them").example(4);
  o("num_extra_outputs", &J::num_extra_outputs, "outputs behind the blank: the durations of TDT");
  o("vocabulary", &J::vocabulary, "the tokens");
  o("log_softmax", &J::log_softmax, "false: forward gives logits; null and true: log-probabilities");
  o("preserve_memory", &J::preserve_memory, "accepted; the loss needs little memory anyway");
  o("fuse_loss_wer", &J::fuse_loss_wer, "accepted; loss and joint network are always one in training");
  o("experimental_fuse_loss_wer", &J::experimental_fuse_loss_wer, "an older name of fuse_loss_wer");
  o("fused_batch_size", &J::fused_batch_size, "accepted; the result is the same for any");
  o("masking_prob", &J::masking_prob, "probability of a label to be left out in training (HAINAN); not positive: none");
}

RNNTJoint::RNNTJoint(const Options& options, int64_t classes) : options_(options) {
  const JointNetOptions& net = options_.jointnet;
  activation_ = activation_of(net.activation);
  if (!(net.dropout >= 0 && net.dropout < 1)) {
    throw Error(Code::kFailed, "a dropout lies between 0 and 1")
        .at("jointnet.dropout")
        .seen(json_text(Json(net.dropout)))
        .expected("0 or more and below 1");
  }
  if (!(options_.masking_prob < 1)) {
    throw Error(Code::kFailed, "a probability of masking must be below 1")
        .at("masking_prob")
        .seen(json_text(Json(options_.masking_prob)));
  }
  needed(options_.num_classes, "num_classes");
  if (options_.num_extra_outputs < 0 || options_.num_extra_outputs > kMostUnits) {
    throw Error(Code::kFailed, "the number of durations cannot be")
        .at("num_extra_outputs")
        .seen(std::to_string(options_.num_extra_outputs));
  }
  const int64_t hidden = needed(net.joint_hidden, "jointnet.joint_hidden");
  pred_ = torch::nn::Linear(needed(net.pred_hidden, "jointnet.pred_hidden"), hidden);
  enc_ = torch::nn::Linear(needed(net.encoder_hidden, "jointnet.encoder_hidden"), hidden);
  last_ = torch::nn::Linear(hidden, classes);
  register_module("pred", pred_);
  register_module("enc", enc_);
  register_module("joint_net", numbered(net.dropout > 0 ? "2" : "1", last_));
}

Ports RNNTJoint::inputs() const { return joint_inputs(); }
Ports RNNTJoint::outputs() const { return joint_outputs(); }
const void* RNNTJoint::query(std::string_view id) { return joint_query<RNNTJoint>(id); }
Json RNNTJoint::properties() const {
  return {{"num_classes_with_blank", options_.num_classes + 1}, {"num_extra_outputs", options_.num_extra_outputs}};
}

at::Tensor RNNTJoint::project_encoder(const at::Tensor& x) { return nn::linear(x.transpose(1, 2), enc_); }
at::Tensor RNNTJoint::project_prediction(const at::Tensor& x) { return nn::linear(x.transpose(1, 2), pred_); }

at::Tensor RNNTJoint::activated(const at::Tensor& hidden) const {
  switch (activation_) {
    case JointActivation::kRelu: return hidden.relu();
    case JointActivation::kTanh: return hidden.tanh();
    case JointActivation::kSigmoid: return hidden.sigmoid();
  }
  return hidden;
}
at::Tensor RNNTJoint::dropped(const at::Tensor& hidden) const {
  return options_.jointnet.dropout > 0 ? at::dropout(hidden, options_.jointnet.dropout, is_training()) : hidden;
}

at::Tensor RNNTJoint::after_sum(const at::Tensor& hidden) {
  const at::Tensor logits = nn::linear(dropped(activated(hidden)), last_);
  return options_.log_softmax.value_or(true) ? at::log_softmax(logits, -1) : logits;
}

at::Tensor RNNTJoint::masked(const at::Tensor& prediction) const {
  if (options_.masking_prob <= 0 || !is_training()) return prediction;
  const at::Tensor kept = at::rand({prediction.size(0), prediction.size(1), 1}, prediction.options().dtype(at::kFloat))
                              .gt(options_.masking_prob);
  return prediction * kept.to(prediction.scalar_type());
}

at::Tensor RNNTJoint::combine(const at::Tensor& encoder, const at::Tensor& prediction) {
  return after_sum(encoder + prediction);
}

Values RNNTJoint::forward(const Values& in) {
  const at::Tensor encoder = project_encoder(in.tensor("encoder_outputs"));
  const at::Tensor prediction = masked(project_prediction(in.tensor("decoder_outputs")));
  return {{"outputs", after_sum(encoder.unsqueeze(2) + prediction.unsqueeze(1))}};
}

Values RNNTJoint::input_example() const {
  const auto like = last_->weight.options();
  return {{"encoder_outputs", at::randn({1, enc_->options.in_features(), 16}, like)},
          {"decoder_outputs", at::randn({1, pred_->options.in_features(), 4}, like)}};
}

const TransducerLossOptions& RNNTJoint::loss_options(const Json& options) {
  if (options != loss_given_) {
    const Json& reduction = options.at("reduction");
    loss_options_ =
        transducer_loss_options(options.at("num_classes").get<int64_t>(), options.at("loss_name").get<std::string>(),
                                reduction.is_null() ? "none" : reduction.get<std::string>(), options.at("loss_kwargs"));
    loss_given_ = options;
  }
  return loss_options_;
}

at::Tensor RNNTJoint::loss(const Json& options, const at::Tensor& encoder_outputs, const at::Tensor& decoder_outputs,
                           const TransducerTargets& targets) {
  JointParts parts;
  parts.encoder = project_encoder(encoder_outputs);
  parts.prediction = masked(project_prediction(decoder_outputs));
  parts.weight = last_->weight;
  parts.bias = last_->bias;
  parts.activation = activation_;
  parts.dropout = is_training() ? options_.jointnet.dropout : 0;
  return fused_transducer_loss(parts, targets, loss_options(options));
}

// --- SampledRNNTJoint ------------------------------------------------------------------------------------------------

void SampledRNNTJoint::Options::describe(OptionSet<Options>& o) {
  o.include<RNNTJointOptions>();
  o.required("n_samples", &Options::n_samples, "tokens drawn besides the labels of a batch").example(2);
}

SampledRNNTJoint::SampledRNNTJoint(const Options& options) : RNNTJoint(options), samples_(options.n_samples) {
  if (samples_ < 1) {
    throw Error(Code::kFailed, "a sampled joint network draws at least one token")
        .at("n_samples")
        .seen(std::to_string(samples_));
  }
  if (options.num_extra_outputs > 0) {
    throw Error(Code::kUnavailable, "a sampled joint network has no durations")
        .at("num_extra_outputs")
        .seen(std::to_string(options.num_extra_outputs));
  }
}

const void* SampledRNNTJoint::query(std::string_view id) { return joint_query<SampledRNNTJoint>(id); }

at::Tensor SampledRNNTJoint::loss(const Json& options, const at::Tensor& encoder_outputs,
                                  const at::Tensor& decoder_outputs, const TransducerTargets& targets) {
  TransducerLossOptions own = loss_options(options);
  if (!is_training() || !at::GradMode::is_enabled() || own.kind != TransducerLossOptions::Kind::kRnnt)
    return RNNTJoint::loss(options, encoder_outputs, decoder_outputs, targets);
  // The tokens that count: the batch's labels, then those drawn that are none of them, then the blank.
  const at::Tensor labels = targets.labels.to(at::kCPU, at::kLong).contiguous();
  const at::Tensor lengths = targets.label_lengths.to(at::kCPU, at::kLong).contiguous();
  std::vector<int64_t> tokens;
  for (int64_t b = 0; b < labels.size(0); ++b) {
    const int64_t* row = labels.const_data_ptr<int64_t>() + b * labels.size(1);
    const int64_t count = std::clamp<int64_t>(lengths.const_data_ptr<int64_t>()[b], 0, labels.size(1));
    tokens.insert(tokens.end(), row, row + count);
  }
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  const auto used = static_cast<int64_t>(tokens.size());
  std::vector<int64_t> place(static_cast<size_t>(own.blank), 0);
  for (int64_t i = 0; i < used; ++i) {
    const int64_t token = tokens[static_cast<size_t>(i)];
    if (token < 0 || token >= own.blank)  // the loss says what is wrong
      return RNNTJoint::loss(options, encoder_outputs, decoder_outputs, targets);
    place[static_cast<size_t>(token)] = i;
  }
  const at::Tensor drawn = at::randperm(own.blank, at::kLong).slice(0, 0, std::min(samples_, own.blank)).contiguous();
  for (int64_t i = 0; i < drawn.numel(); ++i) {
    const int64_t token = drawn.const_data_ptr<int64_t>()[i];
    if (!std::binary_search(tokens.begin(), tokens.begin() + used, token)) tokens.push_back(token);
  }
  tokens.push_back(own.blank);
  own.blank = static_cast<int64_t>(tokens.size()) - 1;

  const at::Tensor chosen = at::tensor(tokens, at::kLong);
  const at::Tensor renamed =
      at::tensor(place, at::kLong).index({labels.clamp(0, own.blank > 0 ? static_cast<int64_t>(place.size()) - 1 : 0)});
  JointParts parts;
  parts.encoder = project_encoder(encoder_outputs);
  parts.prediction = masked(project_prediction(decoder_outputs));
  parts.weight = last_->weight.index_select(0, chosen);
  parts.bias = last_->bias.index_select(0, chosen);
  parts.activation = activation_;
  parts.dropout = options_.jointnet.dropout;
  return fused_transducer_loss(parts, {renamed, targets.label_lengths, targets.frame_lengths}, own);
}

// --- HATJoint --------------------------------------------------------------------------------------------------------

HATJoint::HATJoint(const RNNTJointOptions& options) : RNNTJoint(options, options.num_classes) {
  if (options.num_extra_outputs > 0) {
    throw Error(Code::kUnavailable, "a HAT joint network has no durations")
        .at("num_extra_outputs")
        .seen(std::to_string(options.num_extra_outputs));
  }
  blank_ = torch::nn::Linear(options_.jointnet.joint_hidden, 1);
  register_module("blank_pred", numbered("2", blank_));
}

const void* HATJoint::query(std::string_view id) { return joint_query<HATJoint>(id); }

at::Tensor HATJoint::after_sum(const at::Tensor& hidden) {
  const at::Tensor blank = at::log_sigmoid(nn::linear(dropped(hidden.tanh()), blank_));
  const at::Tensor labels = at::log_softmax(nn::linear(dropped(activated(hidden)), last_), -1);
  const at::Tensor rest = at::log(at::clamp_min(1 - blank.exp(), 1e-6));
  return at::cat({rest + labels, blank}, -1);
}

// The blank's own layer keeps the last one from being a softmax over everything: from the whole output.
at::Tensor HATJoint::loss(const Json& options, const at::Tensor& encoder_outputs, const at::Tensor& decoder_outputs,
                          const TransducerTargets& targets) {
  const at::Tensor out = after_sum(project_encoder(encoder_outputs).unsqueeze(2) +
                                   masked(project_prediction(decoder_outputs)).unsqueeze(1));
  return transducer_loss(out, targets, loss_options(options));
}

}  // namespace fathom::asr
