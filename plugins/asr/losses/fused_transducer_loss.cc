// Items one after the other (and several at once on several threads), each in two passes over tiles of whole frames:
// the first makes a tile's logits and keeps what the lattice needs of them, the second makes them again, unless they
// were few enough to keep, turns them into their gradient and adds up those of the parts.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "fathom/support.h"
#include "plugins/asr/losses/transducer_items.h"
#include "plugins/asr/losses/transducer_loss.h"

namespace fathom::asr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Cells of a tile: their hidden layer and logits stay near the second-level cache, and products are large enough.
constexpr int64_t kTileCells = 512;
// Logits that one item may keep between its passes.
constexpr int64_t kKeptBytes = int64_t{64} << 20;
// Cells that a smaller share of all paths passes have no gradient: far below what float32 resolves beside the others.
constexpr double kLeastShare = 1e-10;

struct Gradients {
  at::Tensor encoder, prediction, weight, bias;  // undefined: not wanted
};

// A number from 64 bits of position: SplitMix64's finalizer (Steele et al. 2014).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

class ItemPasses {
 public:
  ItemPasses(const JointParts& joint, const TransducerLossOptions& options, bool plain, const TransducerItem& item,
             int64_t number, uint64_t seed)
      : joint_(joint),
        options_(options),
        item_(item),
        width_(item.labels + 1),
        encoder_(joint.encoder[number].slice(0, 0, item.frames)),
        prediction_(joint.prediction[number].slice(0, 0, width_)),
        seed_(mix(seed + static_cast<uint64_t>(number))),
        cells_(options, plain, item) {}

  double run(const Gradients* gradients, int64_t number) {
    const int64_t step = std::max<int64_t>(1, kTileCells / width_);
    const int64_t bytes = item_.cells() * options_.classes() * static_cast<int64_t>(encoder_.element_size());
    const bool keep = gradients != nullptr && bytes <= kKeptBytes;
    std::vector<at::Tensor> kept;
    for (int64_t t = 0; t < item_.frames; t += step) {
      at::Tensor rows = log_probs(hidden(t, std::min(step, item_.frames - t)).dropped);
      cells_.read(rows, t * width_);
      if (keep) kept.push_back(std::move(rows));
    }
    const double cost = cells_.close(gradients != nullptr);
    if (gradients == nullptr) return cost;
    size_t tile = 0;
    for (int64_t t = 0; t < item_.frames; t += step, ++tile) {
      const int64_t frames = std::min(step, item_.frames - t);
      go_back(t, frames, keep ? std::move(kept[tile]) : at::Tensor(), *gradients, number);
    }
    return cost;
  }

 private:
  struct Hidden {
    at::Tensor active;   // activation(encoder + prediction), (n, H)
    at::Tensor dropped;  // the same after dropout: what the last layer reads
    at::Tensor mask;     // of dropout: 0 or 1 / (1 - p); undefined without
  };

  Hidden hidden(int64_t t, int64_t frames) const {
    at::Tensor sum = (encoder_.slice(0, t, t + frames).unsqueeze(1) + prediction_.unsqueeze(0)).flatten(0, 1);
    Hidden out{activate(sum), {}, {}};
    std::vector<int64_t> cells(static_cast<size_t>(frames * width_));
    for (size_t i = 0; i < cells.size(); ++i) cells[i] = t * width_ + static_cast<int64_t>(i);
    drop(out, cells);
    return out;
  }
  Hidden hidden_of(const std::vector<int64_t>& cells, const at::Tensor& frames, const at::Tensor& labels) const {
    at::Tensor sum = encoder_.index_select(0, frames).add_(prediction_.index_select(0, labels));
    Hidden out{activate(sum), {}, {}};
    drop(out, cells);
    return out;
  }
  at::Tensor activate(at::Tensor& sum) const {
    switch (joint_.activation) {
      case JointActivation::kRelu: return sum.relu_();
      case JointActivation::kTanh: return sum.tanh_();
      case JointActivation::kSigmoid: return sum.sigmoid_();
    }
    return sum;
  }
  at::Tensor before_activation(const at::Tensor& gradient, const at::Tensor& active) const {
    switch (joint_.activation) {
      case JointActivation::kRelu: return at::threshold_backward(gradient, active, 0);
      case JointActivation::kTanh: return at::tanh_backward(gradient, active);
      case JointActivation::kSigmoid: return at::sigmoid_backward(gradient, active);
    }
    return gradient;
  }
  // The same mask for a cell in both passes: a function of seed, cell and unit.
  void drop(Hidden& h, const std::vector<int64_t>& cells) const {
    if (joint_.dropout <= 0) {
      h.dropped = h.active;
      return;
    }
    const int64_t units = h.active.size(1);
    at::Tensor mask = at::empty({h.active.size(0), units}, at::kFloat);
    const auto kept = static_cast<float>(1 / (1 - joint_.dropout));
    const auto limit = static_cast<uint64_t>(joint_.dropout * 65536);
    float* out = mask.mutable_data_ptr<float>();
    for (const int64_t cell : cells) {
      const uint64_t base = seed_ + static_cast<uint64_t>(cell) * 0x9e3779b97f4a7c15ull;
      for (int64_t k = 0; k < units; k += 4) {
        uint64_t bits = mix(base + static_cast<uint64_t>(k));
        for (int64_t j = k; j < std::min(k + 4, units); ++j, bits >>= 16)
          out[j] = (bits & 0xffff) < limit ? 0.0f : kept;
      }
      out += units;
    }
    h.mask = mask.to(h.active.scalar_type());
    h.dropped = h.active * h.mask;
  }

  at::Tensor log_probs(const at::Tensor& dropped) const {
    return normalized_logits(at::addmm(joint_.bias, dropped, joint_.weight.t()), options_);
  }

  void go_back(int64_t t, int64_t frames, at::Tensor rows, const Gradients& gradients, int64_t number) {
    const double least = encoder_.scalar_type() == at::kDouble ? 0 : kLeastShare;
    std::vector<int64_t> passed;
    const int64_t first = t * width_, count = frames * width_;
    for (int64_t cell = first; cell < first + count; ++cell) {
      if (cells_.is_passed(cell, least)) passed.push_back(cell);
    }
    if (passed.empty()) return;
    const bool all = static_cast<int64_t>(passed.size()) == count;
    std::vector<int64_t> of_frame, of_label;
    if (!all) {
      for (const int64_t cell : passed) {
        of_frame.push_back(cell / width_);
        of_label.push_back(cell % width_);
      }
    }
    const at::Tensor frame_index = at::tensor(of_frame, at::kLong), label_index = at::tensor(of_label, at::kLong);
    const Hidden h = all ? hidden(t, frames) : hidden_of(passed, frame_index, label_index);
    if (!rows.defined()) {
      rows = log_probs(h.dropped);
    } else if (!all) {
      std::vector<int64_t> within;
      for (const int64_t cell : passed) within.push_back(cell - first);
      rows = rows.index_select(0, at::tensor(within, at::kLong));
    }
    cells_.to_gradient(rows, passed);
    if (gradients.weight.defined())
      at::addmm_out(const_cast<at::Tensor&>(gradients.weight), gradients.weight, rows.t(), h.dropped);
    if (gradients.bias.defined()) const_cast<at::Tensor&>(gradients.bias).add_(rows.sum(0));
    if (!gradients.encoder.defined() && !gradients.prediction.defined()) return;
    at::Tensor below = at::mm(rows, joint_.weight);
    if (h.mask.defined()) below.mul_(h.mask);
    below = before_activation(below, h.active);
    if (gradients.encoder.defined()) {
      at::Tensor own = gradients.encoder[number];
      if (all)
        own.slice(0, t, t + frames).copy_(below.view({frames, width_, -1}).sum(1));
      else
        own.index_add_(0, frame_index, below);
    }
    if (gradients.prediction.defined()) {
      at::Tensor own = gradients.prediction[number].slice(0, 0, width_);
      if (all)
        own.add_(below.view({frames, width_, -1}).sum(0));
      else
        own.index_add_(0, label_index, below);
    }
  }

  const JointParts& joint_;
  const TransducerLossOptions& options_;
  const TransducerItem& item_;
  const int64_t width_;
  const at::Tensor encoder_, prediction_;  // of the item: (T, H), (U + 1, H)
  const uint64_t seed_;
  TransducerCells cells_;
};

struct FusedLoss : torch::autograd::Function<FusedLoss> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& encoder, const at::Tensor& prediction,
                            const at::Tensor& weight, const at::Tensor& bias, const JointParts& given,
                            const TransducerBatch& batch, const TransducerLossOptions& options,
                            std::vector<int64_t> wanted) {
    const auto dtype = encoder.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    JointParts joint = given;
    joint.encoder = encoder.detach().to(dtype).contiguous();
    joint.prediction = prediction.detach().to(dtype).contiguous();
    joint.weight = weight.detach().to(dtype).contiguous();
    joint.bias = bias.detach().to(dtype).contiguous();
    const bool training = std::find(wanted.begin(), wanted.end(), 1) != wanted.end();
    const bool plain = draw_plain(options, training);
    const uint64_t seed =
        joint.dropout > 0
            ? static_cast<uint64_t>(at::randint(0, std::numeric_limits<int64_t>::max(), {1}, at::kLong).item<int64_t>())
            : 0;

    const auto zeros = [&](size_t i, const at::Tensor& like) {
      return wanted[i] != 0 ? at::zeros_like(like) : at::Tensor();
    };
    const Gradients all{zeros(0, joint.encoder), zeros(1, joint.prediction), {}, {}};
    // Those of the last layer are sums over items: one for each thread, added up in the threads' order.
    std::vector<Gradients> partial(static_cast<size_t>(at::get_num_threads()));
    std::vector<double> costs(batch.items.size());
    at::parallel_for(0, static_cast<int64_t>(costs.size()), 1, [&](int64_t begin, int64_t end) {
      const at::NoGradGuard no_grad;
      Gradients& own = partial[static_cast<size_t>(at::get_thread_num())];
      own = {all.encoder, all.prediction, zeros(2, joint.weight), zeros(3, joint.bias)};
      for (int64_t b = begin; b < end; ++b) {
        const TransducerItem& item = batch.items[static_cast<size_t>(b)];
        if (item.frames == 0) continue;
        costs[static_cast<size_t>(b)] =
            ItemPasses(joint, options, plain, item, b, seed).run(training ? &own : nullptr, b);
      }
    });
    if (training) {
      at::Tensor weight_sum, bias_sum;
      for (const Gradients& one : partial) {
        if (one.weight.defined()) weight_sum = weight_sum.defined() ? weight_sum.add_(one.weight) : one.weight;
        if (one.bias.defined()) bias_sum = bias_sum.defined() ? bias_sum.add_(one.bias) : one.bias;
      }
      ctx->save_for_backward({all.encoder, all.prediction, weight_sum, bias_sum});
      ctx->saved_data["dtypes"] = std::vector<int64_t>{
          static_cast<int64_t>(encoder.scalar_type()), static_cast<int64_t>(prediction.scalar_type()),
          static_cast<int64_t>(weight.scalar_type()), static_cast<int64_t>(bias.scalar_type())};
    }
    return batch.reduced(costs, joint.encoder.options());
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    if (at::GradMode::is_enabled())
      throw Error(Code::kUnavailable, "a transducer's loss has no second derivatives").next("leave create_graph out");
    const auto dtypes = ctx->saved_data["dtypes"].toIntVector();
    variable_list out(8);
    for (size_t i = 0; i < saved.size(); ++i) {
      if (saved[i].defined())
        out[i] = (saved[i] * grads[0].to(saved[i].scalar_type())).to(static_cast<at::ScalarType>(dtypes[i]));
    }
    return out;
  }
};

}  // namespace

at::Tensor fused_transducer_loss(const JointParts& joint, const TransducerTargets& targets,
                                 const TransducerLossOptions& options) {
  const at::Tensor &encoder = joint.encoder, &prediction = joint.prediction, &weight = joint.weight;
  const bool fits = encoder.dim() == 3 && prediction.dim() == 3 && weight.dim() == 2 &&
                    encoder.size(0) == prediction.size(0) && encoder.size(2) == weight.size(1) &&
                    prediction.size(2) == weight.size(1) && joint.bias.numel() == weight.size(0);
  if (!fits || weight.size(0) != options.classes()) {
    throw Error(Code::kFailed, "the parts of the joint network do not fit each other and the loss")
        .seen("encoder " + c10::str(encoder.sizes()) + ", prediction " + c10::str(prediction.sizes()) +
              ", last layer " + c10::str(weight.sizes()))
        .expected(std::to_string(options.classes()) + " classes: the tokens, the blank and the durations");
  }
  if (options.reduction == "none")
    throw Error(Code::kFailed, "the fused loss of a transducer gives one number").at("reduction").seen("none");
  if (!encoder.device().is_cpu())
    throw Error(Code::kUnavailable, "losses of transducers run on the CPU").seen(c10::str(encoder.device()));
  const TransducerBatch batch(targets, options, encoder.size(0), encoder.size(1), prediction.size(1));
  std::vector<int64_t> wanted;
  for (const at::Tensor* part : {&encoder, &prediction, &weight, &joint.bias})
    wanted.push_back(at::GradMode::is_enabled() && part->requires_grad() ? 1 : 0);
  return FusedLoss::apply(encoder, prediction, weight, joint.bias, joint, batch, options, wanted);
}

}  // namespace fathom::asr
