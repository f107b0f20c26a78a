// Items one after the other (and several at once on several threads), each in passes over tiles of cells. Reading a
// tile makes its logits and keeps what the lattice needs of them; going back makes them again, unless they were few
// enough to keep, turns them into their gradient and adds up those of the parts.
//
// A trained model's paths keep to a few cells of each frame. Where there are fast products of bfloat16 an item is
// therefore first read by them, and again in float32 only where a share of the paths that float32 could notice passes.
// Cells that are left at three digits weigh less than float32's own rounding. An item whose paths go everywhere gains
// nothing by this; those after it, on the same thread, are read in float32 at once.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "fathom/support.h"
#include "plugins/asr/losses/joint_products.h"
#include "plugins/asr/losses/transducer_items.h"
#include "plugins/asr/losses/transducer_loss.h"

namespace fathom::asr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Cells of a tile: their hidden layer and logits stay near the second-level cache, and products are large enough.
constexpr size_t kTileCells = 512;
// Those of a sketch, whose weights are read again for each tile, but faster.
constexpr size_t kSketchedCells = 64;
// Logits that one item may keep between its passes.
constexpr int64_t kKeptBytes = int64_t{64} << 20;
// Cells that a smaller share of all paths passes have no gradient: below what float32 resolves beside the others.
constexpr double kLeastShare = 1e-8;
// A sketch errs in the shares, by a small factor: what it thinks rarer than this is rarer than kLeastShare.
constexpr double kLeastSketchedShare = 1e-9;
// A sketch whose log-probabilities are further off than this, on the mean, where both were read: not to be trusted.
constexpr double kSketchError = 0.05;
// With more cells than this to read again, sketching costs more than it saves.
constexpr double kWorthSketching = 0.4;

struct Gradients {
  at::Tensor encoder, prediction, weight, bias;  // undefined: not wanted
};

// A number from 64 bits of position: SplitMix64's finalizer (Steele et al. 2014).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

template <typename T>
void add_row(const T* __restrict x, int64_t n, T* __restrict sum) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) sum[i] += x[i];
}

class ItemPasses {
 public:
  ItemPasses(const JointParts& joint, const JointProducts& products, const TransducerLossOptions& options, bool plain,
             const TransducerItem& item, int64_t number, uint64_t seed)
      : joint_(joint),
        products_(products),
        options_(options),
        item_(item),
        width_(item.labels + 1),
        encoder_(joint.encoder[number].slice(0, 0, item.frames)),
        prediction_(joint.prediction[number].slice(0, 0, width_)),
        seed_(mix(seed + static_cast<uint64_t>(number))),
        cells_(options, plain, item) {}

  // `sketching`: whether to try, and afterwards whether it was worth it.
  double run(const Gradients* gradients, int64_t number, bool& sketching) {
    std::vector<int64_t> cells(static_cast<size_t>(item_.cells()));
    std::iota(cells.begin(), cells.end(), 0);
    const bool sketched = sketching && products_.can_sketch();
    if (sketched) {
      for (const at::IntArrayRef tile : tiles(cells, kSketchedCells))
        cells_.read(normalized_logits(products_.sketch(hidden(tile).dropped), options_), tile);
      cells_.estimate();
      std::vector<int64_t> passed = passed_of(cells, kLeastSketchedShare);
      sketching =
          !passed.empty() && static_cast<double>(passed.size()) < kWorthSketching * static_cast<double>(cells.size());
      if (sketching) cells = std::move(passed);
    }
    const int64_t bytes = static_cast<int64_t>(cells.size()) * options_.classes() * encoder_.element_size();
    const bool keep = gradients != nullptr && bytes <= kKeptBytes;
    const std::vector<at::IntArrayRef> all = tiles(cells, kTileCells);
    // In one piece: tiles that come and go beside pieces that stay would tear the memory up.
    at::Tensor kept =
        keep ? at::empty({static_cast<int64_t>(cells.size()), options_.classes()}, encoder_.options()) : at::Tensor();
    const auto kept_of = [&](at::IntArrayRef tile) {
      if (!keep) return at::Tensor();
      const int64_t first = tile.data() - cells.data();
      return kept.slice(0, first, first + static_cast<int64_t>(tile.size()));
    };
    for (const at::IntArrayRef tile : all) {
      const at::Tensor rows = log_probs(hidden(tile).dropped);
      cells_.read(rows, tile);
      if (keep) kept_of(tile).copy_(rows);
    }
    if (sketched && sketching && cells_.mean_correction() > kSketchError) {
      sketching = false;
      return run(gradients, number, sketching);
    }
    const double cost = cells_.close(gradients != nullptr);
    if (gradients == nullptr) return cost;
    for (const at::IntArrayRef tile : all) go_back(tile, kept_of(tile), *gradients, number);
    return cost;
  }

 private:
  struct Hidden {
    at::Tensor active;   // activation(encoder + prediction), (n, H)
    at::Tensor dropped;  // the same after dropout: what the last layer reads
    at::Tensor mask;     // of dropout: 0 or 1 / (1 - p); undefined without
  };

  static std::vector<at::IntArrayRef> tiles(at::IntArrayRef cells, size_t most) {
    std::vector<at::IntArrayRef> out;
    for (size_t i = 0; i < cells.size(); i += most) out.push_back(cells.slice(i, std::min(most, cells.size() - i)));
    return out;
  }
  std::vector<int64_t> passed_of(at::IntArrayRef cells, double least) const {
    std::vector<int64_t> out;
    std::copy_if(cells.begin(), cells.end(), std::back_inserter(out),
                 [&](int64_t cell) { return cells_.is_passed(cell, least); });
    return out;
  }

  Hidden hidden(at::IntArrayRef cells) const {
    const auto count = static_cast<int64_t>(cells.size());
    at::Tensor frames = at::empty({count}, at::kLong), labels = at::empty({count}, at::kLong);
    auto *t = frames.mutable_data_ptr<int64_t>(), *u = labels.mutable_data_ptr<int64_t>();
    for (size_t i = 0; i < cells.size(); ++i) {
      t[i] = cells[i] / width_;
      u[i] = cells[i] % width_;
    }
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
  void drop(Hidden& h, at::IntArrayRef cells) const {
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
    return normalized_logits(products_.logits(dropped), options_);
  }

  void go_back(at::IntArrayRef tile, at::Tensor rows, const Gradients& gradients, int64_t number) {
    const std::vector<int64_t> cells = passed_of(tile, encoder_.scalar_type() == at::kDouble ? 0 : kLeastShare);
    if (cells.empty()) return;
    const Hidden h = hidden(cells);
    if (!rows.defined()) {
      rows = log_probs(h.dropped);
    } else if (cells.size() != tile.size()) {
      std::vector<int64_t> within;
      for (size_t i = 0, next = 0; next < cells.size(); ++i) {
        if (tile[i] != cells[next]) continue;
        within.push_back(static_cast<int64_t>(i));
        ++next;
      }
      rows = rows.index_select(0, at::tensor(within, at::kLong));
    }
    cells_.to_gradient(rows, cells);
    if (gradients.weight.defined()) {
      at::Tensor sum = gradients.weight;
      products_.add_to(sum, rows, h.dropped);
    }
    if (gradients.bias.defined()) gradients.bias.add_(rows.sum(0));
    if (!gradients.encoder.defined() && !gradients.prediction.defined()) return;
    at::Tensor below = products_.below(rows);
    if (h.mask.defined()) below.mul_(h.mask);
    below = before_activation(below, h.active).contiguous();
    if (below.scalar_type() == at::kDouble)
      add_to_parts<double>(below, cells, gradients, number);
    else
      add_to_parts<float>(below, cells, gradients, number);
  }

  // A cell's gradient belongs to its frame and to its label.
  template <typename T>
  void add_to_parts(const at::Tensor& below, at::IntArrayRef cells, const Gradients& gradients, int64_t number) const {
    const int64_t units = below.size(1);
    const auto own = [&](const at::Tensor& all) {
      return all.defined() ? all.mutable_data_ptr<T>() + number * all.size(1) * units : nullptr;
    };
    T *encoder = own(gradients.encoder), *prediction = own(gradients.prediction);
    const T* row = below.const_data_ptr<T>();
    for (const int64_t cell : cells) {
      if (encoder != nullptr) add_row(row, units, encoder + cell / width_ * units);
      if (prediction != nullptr) add_row(row, units, prediction + cell % width_ * units);
      row += units;
    }
  }

  const JointParts& joint_;
  const JointProducts& products_;
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
    const JointProducts products(joint.weight, joint.bias);
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
      // The thread that asked has autocast on, the others never: all compute in the tensors' own type.
      const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
      const at::NoGradGuard no_grad;
      Gradients& own = partial[static_cast<size_t>(at::get_thread_num())];
      own = {all.encoder, all.prediction, zeros(2, joint.weight), zeros(3, joint.bias)};
      bool sketching = true;
      for (int64_t b = begin; b < end; ++b) {
        const TransducerItem& item = batch.items[static_cast<size_t>(b)];
        if (item.frames == 0) continue;
        costs[static_cast<size_t>(b)] =
            ItemPasses(joint, products, options, plain, item, b, seed).run(training ? &own : nullptr, b, sketching);
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
