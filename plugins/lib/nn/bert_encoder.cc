#include "plugins/lib/nn/bert_encoder.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <array>
#include <cmath>
#include <limits>

#include "fathom/error.h"
#include "fathom/nearest_names.h"

namespace fathom::nn {
namespace {

// A module that only holds others under a name.
class Folder : public torch::nn::Module {};

// Registers `child` at "a.b.c" below `root`, with folders on the way.
template <typename Child>
Child register_at(torch::nn::Module& root, std::string_view path, Child child) {
  torch::nn::Module* at = &root;
  for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
    const std::string name(path.substr(0, dot));
    const auto children = at->named_children();
    const auto* found = children.find(name);
    at = found != nullptr ? found->get() : at->register_module(name, std::make_shared<Folder>()).get();
    path.remove_prefix(dot + 1);
  }
  return at->register_module(std::string(path), std::move(child));
}

// What the parts of a layer are called, in the order in which they are made.
struct LayerNames {
  std::string_view query, key, value, attended, attention_norm, inner, outer, norm;
};
constexpr LayerNames kBertNames = {
    "attention.self.query",       "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense",         "output.LayerNorm"};
constexpr LayerNames kDistilNames = {"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
                                     "sa_layer_norm",   "ffn.lin1",        "ffn.lin2",        "output_layer_norm"};
constexpr LayerNames kAlbertNames = {"attention.query", "attention.key",        "attention.value",
                                     "attention.dense", "attention.LayerNorm",  "ffn",
                                     "ffn_output",      "full_layer_layer_norm"};

const LayerNames& names_of(BertFamily family) {
  switch (family) {
    case BertFamily::kDistilBert: return kDistilNames;
    case BertFamily::kAlbert: return kAlbertNames;
    default: return kBertNames;
  }
}

struct ActivationName {
  const char* name;
  BertActivation activation;
};
constexpr std::array<ActivationName, 12> kBertActivations = {{{"gelu", BertActivation::kGelu},
                                                              {"gelu_python", BertActivation::kGelu},
                                                              {"gelu_new", BertActivation::kGeluTanh},
                                                              {"gelu_pytorch_tanh", BertActivation::kGeluTanh},
                                                              {"gelu_fast", BertActivation::kGeluTanh},
                                                              {"quick_gelu", BertActivation::kQuickGelu},
                                                              {"relu", BertActivation::kRelu},
                                                              {"silu", BertActivation::kSilu},
                                                              {"swish", BertActivation::kSilu},
                                                              {"tanh", BertActivation::kTanh},
                                                              {"sigmoid", BertActivation::kSigmoid},
                                                              {"selu", BertActivation::kSelu}}};

// The keys of a config, by the names of its family; the first that is there counts.
class ConfigReader {
 public:
  ConfigReader(const Json& config, std::string path) : config_(config), path_(std::move(path)) {}
  std::string at(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

  int64_t count(std::initializer_list<const char*> keys, int64_t otherwise, int64_t least) const {
    const auto [key, value] = find(keys);
    if (value == nullptr) return otherwise;
    if (!value->is_number_integer() || value->get<int64_t>() < least || value->get<int64_t>() > kMostOfAnything)
      refuse(key, *value, "a whole number from " + std::to_string(least) + " to " + std::to_string(kMostOfAnything));
    return value->get<int64_t>();
  }
  double share(std::initializer_list<const char*> keys, double otherwise, double most) const {
    const auto [key, value] = find(keys);
    if (value == nullptr) return otherwise;
    if (!value->is_number() || !(value->get<double>() >= 0) || value->get<double>() > most)
      refuse(key, *value, "a number from 0 to " + std::to_string(most));
    return value->get<double>();
  }
  std::string word(std::initializer_list<const char*> keys, const std::string& otherwise) const {
    const auto [key, value] = find(keys);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) refuse(key, *value, "a text");
    return value->get<std::string>();
  }
  bool flag(const char* key, bool otherwise) const {
    const auto [found, value] = find({key});
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) refuse(found, *value, "true or false");
    return value->get<bool>();
  }

 private:
  static constexpr int64_t kMostOfAnything = 1 << 28;
  std::pair<std::string, const Json*> find(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
      const auto found = config_.find(key);
      if (found != config_.end() && !found->is_null()) return {key, &*found};
    }
    return {"", nullptr};
  }
  [[noreturn]] void refuse(const std::string& key, const Json& seen, const std::string& expected) const {
    throw Error(Code::kFailed, "an encoder's config has a wrong value")
        .at(at(key))
        .seen(json_text(seen).substr(0, 80))
        .expected(expected);
  }
  const Json& config_;
  std::string path_;
};

BertFamily family_of(const std::string& type, const std::string& path) {
  if (type == "bert") return BertFamily::kBert;
  if (type == "roberta" || type == "camembert" || type == "xlm-roberta") return BertFamily::kRoberta;
  if (type == "distilbert") return BertFamily::kDistilBert;
  if (type == "albert") return BertFamily::kAlbert;
  if (type == "electra") return BertFamily::kElectra;
  throw Error(Code::kUnavailable, "no encoder of this type is known here")
      .at(path)
      .seen(type)
      .expected("bert, roberta, camembert, xlm-roberta, distilbert, albert or electra");
}

double lowest_of(at::ScalarType type) {
  switch (type) {
    case at::kHalf: return std::numeric_limits<at::Half>::lowest();
    case at::kBFloat16: return std::numeric_limits<at::BFloat16>::lowest();
    case at::kFloat: return std::numeric_limits<float>::lowest();
    default: return std::numeric_limits<double>::lowest();
  }
}

at::Tensor sinusoids(int64_t longest, int64_t width) {
  const at::Tensor dims = at::arange(width, at::kDouble).div(2, "floor").mul(2).div(static_cast<double>(width));
  const at::Tensor angles = at::arange(longest, at::kDouble).unsqueeze(1) / at::pow(at::Scalar(10000.0), dims);
  at::Tensor out = at::empty({longest, width});
  out.slice(1, 0, std::nullopt, 2).copy_(angles.slice(1, 0, std::nullopt, 2).sin());
  out.slice(1, 1, std::nullopt, 2).copy_(angles.slice(1, 1, std::nullopt, 2).cos());
  return out;
}

}  // namespace

BertActivation parse_bert_activation(const std::string& name, const std::string& path) {
  std::vector<std::string> names;
  for (const auto& [known, activation] : kBertActivations) {
    if (name == known) return activation;
    names.emplace_back(known);
  }
  throw Error(Code::kFailed, "no activation has this name").at(path).seen(name).candidates(nearest_names(name, names));
}

at::Tensor bert_activate(const at::Tensor& x, BertActivation activation) {
  switch (activation) {
    case BertActivation::kGelu: return at::gelu(x);
    case BertActivation::kGeluTanh: return at::gelu(x, "tanh");
    case BertActivation::kQuickGelu: return x * at::sigmoid(1.702 * x);
    case BertActivation::kRelu: return at::relu(x);
    case BertActivation::kSilu: return at::silu(x);
    case BertActivation::kTanh: return at::tanh(x);
    case BertActivation::kSigmoid: return at::sigmoid(x);
    case BertActivation::kSelu: return at::selu(x);
  }
  return x;
}

BertOptions BertOptions::read(const Json& config, const std::string& path) {
  if (!config.is_object()) {
    throw Error(Code::kFailed, "an encoder's config is no object").at(path).seen(json_text(config).substr(0, 80));
  }
  const ConfigReader in(config, path);
  BertOptions out;
  out.family = family_of(in.word({"model_type"}, "bert"), in.at("model_type"));
  const bool distil = out.family == BertFamily::kDistilBert, albert = out.family == BertFamily::kAlbert,
             roberta = out.family == BertFamily::kRoberta;
  out.vocabulary = in.count({"vocab_size"}, albert ? 30000 : roberta ? 50265 : 30522, 1);
  out.width = in.count({"hidden_size", "dim"}, albert ? 4096 : out.family == BertFamily::kElectra ? 256 : 768, 1);
  out.embedding_width = albert || out.family == BertFamily::kElectra ? in.count({"embedding_size"}, 128, 1) : out.width;
  out.layers = in.count({"num_hidden_layers", "n_layers"}, distil ? 6 : 12, 0);
  out.heads = in.count({"num_attention_heads", "n_heads"},
                       albert                               ? 64
                       : out.family == BertFamily::kElectra ? 4
                                                            : 12,
                       1);
  out.inner_width = in.count({"intermediate_size", "hidden_dim"},
                             albert                               ? 16384
                             : out.family == BertFamily::kElectra ? 1024
                                                                  : 3072,
                             1);
  out.longest = in.count({"max_position_embeddings"}, 512, 1);
  out.token_types = distil ? 0 : in.count({"type_vocab_size"}, 2, 1);
  out.pad = in.count({"pad_token_id"}, roberta ? 1 : 0, 0);
  out.groups = albert ? in.count({"num_hidden_groups"}, 1, 1) : out.layers;
  out.layers_of_group = albert ? in.count({"inner_group_num"}, 1, 1) : 1;
  out.dropout = in.share({"hidden_dropout_prob", "dropout"}, albert ? 0.0 : 0.1, 1);
  out.attention_dropout = in.share({"attention_probs_dropout_prob", "attention_dropout"}, albert ? 0.0 : 0.1, 1);
  out.norm_epsilon = in.share({"layer_norm_eps"}, 1e-12, 1);
  out.deviation = in.share({"initializer_range"}, 0.02, 1e6);
  const std::string act = in.word({"hidden_act", "activation"}, albert ? "gelu_new" : "gelu");
  out.activation = parse_bert_activation(act, in.at(distil ? "activation" : "hidden_act"));
  out.sinusoidal = distil && in.flag("sinusoidal_pos_embds", false);
  out.has_pooler = !distil && out.family != BertFamily::kElectra;
  const std::string positions = in.word({"position_embedding_type"}, "absolute");
  if (positions != "absolute" && positions != "relative_key" && positions != "relative_key_query") {
    throw Error(Code::kFailed, "no such positions")
        .at(in.at("position_embedding_type"))
        .seen(positions)
        .expected("absolute, relative_key or relative_key_query");
  }
  out.relative_keys = positions != "absolute" && !distil;
  out.relative_queries = positions == "relative_key_query" && !distil;
  if (out.width % out.heads != 0) {
    throw Error(Code::kFailed, "the width is no multiple of the heads")
        .at(in.at(distil ? "n_heads" : "num_attention_heads"))
        .seen(std::to_string(out.heads))
        .expected("a divisor of " + std::to_string(out.width));
  }
  if (out.pad >= out.vocabulary) {
    throw Error(Code::kFailed, "the padding's id is none of the vocabulary's")
        .at(in.at("pad_token_id"))
        .seen(std::to_string(out.pad))
        .expected("less than vocab_size, " + std::to_string(out.vocabulary));
  }
  return out;
}

class BertLayer : public torch::nn::Module {
 public:
  explicit BertLayer(const BertOptions& options)
      : heads_(options.heads),
        dropout_(options.dropout),
        attention_dropout_(options.attention_dropout),
        relative_queries_(options.relative_queries),
        activation_(options.activation) {
    const LayerNames& names = names_of(options.family);
    const int64_t width = options.width;
    const auto linear = [&](std::string_view name, int64_t in, int64_t out) {
      return register_at(*this, name, torch::nn::Linear(in, out));
    };
    const auto norm = [&](std::string_view name) {
      return register_at(*this, name,
                         torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(options.norm_epsilon)));
    };
    // ALBERT's last norm is made first: the order is that of its state dict.
    if (options.family == BertFamily::kAlbert) norm_ = norm(names.norm);
    query_ = linear(names.query, width, width);
    key_ = linear(names.key, width, width);
    value_ = linear(names.value, width, width);
    if (options.relative_keys)
      distances_ = register_at(*this, "attention.self.distance_embedding",
                               torch::nn::Embedding(2 * options.longest - 1, width / heads_));
    attended_ = linear(names.attended, width, width);
    attention_norm_ = norm(names.attention_norm);
    inner_ = linear(names.inner, width, options.inner_width);
    outer_ = linear(names.outer, options.inner_width, width);
    if (options.family != BertFamily::kAlbert) norm_ = norm(names.norm);
  }

  // x (B,T,D); hidden (B,1,1,T), the lowest number where a key does not count, or undefined.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& hidden, at::Tensor* weights) {
    const auto dropped = [&](const at::Tensor& y) { return at::dropout(y, dropout_, is_training()); };
    const at::Tensor attended = attention_norm_(dropped(attended_(attend(x, hidden, weights))) + x);
    return norm_(dropped(outer_(bert_activate(inner_(attended), activation_))) + attended);
  }

 private:
  at::Tensor heads_of(const at::Tensor& x) const {
    return x.view({x.size(0), x.size(1), heads_, x.size(2) / heads_}).transpose(1, 2);
  }

  at::Tensor attend(const at::Tensor& x, const at::Tensor& hidden, at::Tensor* weights) {
    const at::Tensor query = heads_of(query_(x)), key = heads_of(key_(x)), value = heads_of(value_(x));
    const double scale = 1 / std::sqrt(static_cast<double>(query.size(3)));
    at::Tensor added = hidden;
    if (distances_) {
      const at::Tensor relative = relative_scores(query, key) * scale;
      added = added.defined() ? added + relative : relative;
    }
    at::Tensor out;
    if (weights == nullptr) {
      out = at::scaled_dot_product_attention(query, key, value, added.defined() ? std::optional(added) : std::nullopt,
                                             is_training() ? attention_dropout_ : 0.0);
    } else {
      at::Tensor scores = at::matmul(query, key.transpose(2, 3)) * scale;
      if (added.defined()) scores = scores + added;
      *weights = at::dropout(scores.softmax(-1), attention_dropout_, is_training());
      out = at::matmul(*weights, value);
    }
    return out.transpose(1, 2).reshape(x.sizes());
  }

  // Shaw et al. 2018 (arXiv:1803.02155), and Huang et al. 2020 (arXiv:2009.13658) with the queries too.
  at::Tensor relative_scores(const at::Tensor& query, const at::Tensor& key) {
    const int64_t frames = query.size(2), middle = distances_->weight.size(0) / 2;
    const at::Tensor place = at::arange(frames, query.options().dtype(at::kLong));
    const at::Tensor vectors = distances_(place.unsqueeze(1) - place.unsqueeze(0) + middle).to(query.scalar_type());
    at::Tensor scores = at::einsum("bhld,lrd->bhlr", {query, vectors});
    if (relative_queries_) scores = scores + at::einsum("bhrd,lrd->bhlr", {key, vectors});
    return scores;
  }

  int64_t heads_;
  double dropout_, attention_dropout_;
  bool relative_queries_;
  BertActivation activation_;
  torch::nn::Linear query_{nullptr}, key_{nullptr}, value_{nullptr}, attended_{nullptr}, inner_{nullptr},
      outer_{nullptr};
  torch::nn::Embedding distances_{nullptr};
  torch::nn::LayerNorm attention_norm_{nullptr}, norm_{nullptr};
};

BertEncoder::BertEncoder(const BertOptions& options) : options_(options) {
  const int64_t narrow = options_.embedding_width;
  words_ = register_at(
      *this, "embeddings.word_embeddings",
      torch::nn::Embedding(torch::nn::EmbeddingOptions(options_.vocabulary, narrow).padding_idx(options_.pad)));
  const bool pads_positions = options_.family == BertFamily::kRoberta && options_.pad < options_.longest;
  auto positions = torch::nn::EmbeddingOptions(options_.longest, narrow);
  if (pads_positions) positions.padding_idx(options_.pad);
  positions_ = register_at(*this, "embeddings.position_embeddings", torch::nn::Embedding(positions));
  if (options_.token_types > 0)
    types_ = register_at(*this, "embeddings.token_type_embeddings", torch::nn::Embedding(options_.token_types, narrow));
  norm_ = register_at(*this, "embeddings.LayerNorm",
                      torch::nn::LayerNorm(torch::nn::LayerNormOptions({narrow}).eps(options_.norm_epsilon)));
  const bool albert = options_.family == BertFamily::kAlbert;
  if (albert)
    projection_ = register_at(*this, "encoder.embedding_hidden_mapping_in", torch::nn::Linear(narrow, options_.width));
  else if (narrow != options_.width)
    projection_ = register_module("embeddings_project", torch::nn::Linear(narrow, options_.width));

  std::vector<std::vector<std::shared_ptr<BertLayer>>> groups;
  for (int64_t g = 0; g < options_.groups; ++g) {
    auto& group = groups.emplace_back();
    for (int64_t i = 0; i < options_.layers_of_group; ++i) {
      const std::string name =
          albert ? "encoder.albert_layer_groups." + std::to_string(g) + ".albert_layers." + std::to_string(i)
                 : (options_.family == BertFamily::kDistilBert ? "transformer.layer." : "encoder.layer.") +
                       std::to_string(g);
      group.push_back(register_at(*this, name, std::make_shared<BertLayer>(options_)));
    }
  }
  for (int64_t i = 0; i < options_.layers; ++i) {
    const auto& group = groups[static_cast<size_t>(i * options_.groups / std::max<int64_t>(1, options_.layers))];
    layers_.insert(layers_.end(), group.begin(), group.end());
  }
  if (options_.has_pooler)
    pooler_ = register_at(*this, albert ? "pooler" : "pooler.dense", torch::nn::Linear(options_.width, options_.width));

  const at::NoGradGuard no_grad;
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* linear = module->as<torch::nn::Linear>()) {
      linear->weight.normal_(0, options_.deviation);
      linear->bias.zero_();
    } else if (auto* embedding = module->as<torch::nn::Embedding>()) {
      embedding->weight.normal_(0, options_.deviation);
      if (const auto pad = embedding->options.padding_idx()) embedding->weight[*pad].zero_();
    }
  }
  if (options_.sinusoidal) {
    positions_->weight.copy_(sinusoids(options_.longest, narrow));
    positions_->weight.requires_grad_(false);
  }
}

// RoBERTa counts the tokens that are no padding, from the padding's id on.
at::Tensor BertEncoder::positions_of(const at::Tensor& ids) const {
  if (options_.family != BertFamily::kRoberta) return at::arange(ids.size(1), ids.options());
  const at::Tensor counts = ids.ne(options_.pad).to(at::kLong);
  return counts.cumsum(1) * counts + options_.pad;
}

at::Tensor BertEncoder::embed(const at::Tensor& ids, const at::Tensor& token_types) {
  const auto check = [](const at::Tensor& given, int64_t count, const char* what) {
    if (given.numel() == 0) return;
    const auto [least, most] = at::aminmax(given);
    if (least.item<int64_t>() >= 0 && most.item<int64_t>() < count) return;
    throw Error(Code::kBadData, std::string("an encoder's ") + what + " do not fit its weights")
        .seen(std::to_string(least.item<int64_t>()) + " to " + std::to_string(most.item<int64_t>()))
        .expected("0 to " + std::to_string(count - 1));
  };
  check(ids, options_.vocabulary, "tokens");
  const at::Tensor positions = positions_of(ids);
  const int64_t offset = options_.family == BertFamily::kRoberta ? options_.pad + 1 : 0;
  if (positions.numel() > 0 && positions.max().item<int64_t>() >= options_.longest) {
    throw Error(Code::kBadData, "a text is longer than the encoder's positions")
        .seen(std::to_string(positions.max().item<int64_t>() + 1 - offset) + " tokens")
        .expected("at most " + std::to_string(options_.longest - offset))
        .next("lower max_seq_length");
  }
  at::Tensor x = words_(ids);
  if (types_) {
    if (token_types.defined()) check(token_types, options_.token_types, "token types");
    x = x + (token_types.defined() ? types_(token_types) : types_->weight[0]);
  }
  // The sum's order is transformers'.
  if (!options_.relative_keys) x = x + positions_(positions);
  x = at::dropout(norm_(x), options_.dropout, is_training());
  return projection_ ? projection_(x) : x;
}

at::Tensor BertEncoder::forward(const at::Tensor& ids, const at::Tensor& mask, const at::Tensor& token_types,
                                Inside* inside) {
  if (ids.dim() != 2) {
    throw Error(Code::kFailed, "an encoder takes tokens (B, T)").seen(c10::str(ids.sizes()));
  }
  at::Tensor x = embed(ids.to(at::kLong), token_types.defined() ? token_types.to(at::kLong) : token_types);
  at::Tensor hidden;
  if (mask.defined()) {
    // The lowest number, not infinity: where nothing counts, all keys weigh alike, and nothing is NaN.
    hidden = at::zeros({mask.size(0), 1, 1, mask.size(1)}, x.options());
    hidden.masked_fill_(mask.eq(0).unsqueeze(1).unsqueeze(1), lowest_of(x.scalar_type()));
  }
  if (inside != nullptr) inside->states.push_back(x);
  for (const auto& layer : layers_) {
    at::Tensor weights;
    x = layer->forward(x, hidden, inside != nullptr ? &weights : nullptr);
    if (inside == nullptr) continue;
    inside->states.push_back(x);
    inside->weights.push_back(weights);
  }
  return x;
}

at::Tensor BertEncoder::pool(const at::Tensor& states) {
  if (!pooler_) throw Error(Code::kUnavailable, "this encoder has no pooler");
  return at::tanh(pooler_(states.select(1, 0)));
}

std::string bert_parameter_name(std::string_view name) {
  for (const std::string_view prefix : {"bert_model.", "bert.", "roberta.", "distilbert.", "albert.", "electra."}) {
    if (!name.starts_with(prefix)) continue;
    name.remove_prefix(prefix.size());
    break;
  }
  if (name.ends_with("position_ids") || name.ends_with("embeddings.token_type_ids")) return "";
  const bool inside = name.starts_with("embeddings") || name.starts_with("encoder.") ||
                      name.starts_with("transformer.") || name.starts_with("pooler");
  if (!inside) return "";
  std::string out(name);
  for (const auto& [old, now] :
       {std::pair<std::string_view, std::string_view>{".gamma", ".weight"}, {".beta", ".bias"}}) {
    if (out.ends_with(old)) out.replace(out.size() - old.size(), old.size(), now);
  }
  return out;
}

}  // namespace fathom::nn
