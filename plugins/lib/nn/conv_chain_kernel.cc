#include "plugins/lib/nn/conv_chain_kernel.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

constexpr int64_t kRowsTogether = 8;  // neighbours in memory that one thread takes

// Where an item's rows lie: in panels, or (as the tensors outside) as they are.
struct Panels {
  int64_t channels = 0, frames = 0, padded = 0, widest = 0;

  static Panels of(int64_t channels, int64_t frames) {
    return {channels, frames, (frames + kPanelStep - 1) / kPanelStep * kPanelStep, kPanelFrames};
  }
  static Panels plain(int64_t channels, int64_t frames) {
    return {channels, frames, frames, std::max<int64_t>(frames, 1)};
  }

  int64_t item_size() const { return channels * padded; }
  int64_t count() const { return (padded + widest - 1) / widest; }
  int64_t width(int64_t panel) const { return std::min(widest, padded - panel * widest); }
  int64_t real(int64_t panel) const { return std::min(widest, frames - panel * widest); }  // without the padding
  int64_t begin(int64_t panel) const { return panel * widest * channels; }
  int64_t row(int64_t panel, int64_t channel) const { return begin(panel) + channel * width(panel); }
};

int64_t valid(const int64_t* lengths, int64_t item, int64_t limit) {
  return lengths == nullptr ? limit : std::clamp<int64_t>(lengths[item], 0, limit);
}

template <typename S>
constexpr at::ScalarType kDtype = std::is_same_v<S, float> ? at::kFloat : at::kBFloat16;
template <typename S>
at::Tensor panels_tensor(int64_t items, const Panels& panels) {
  return at::empty({items, panels.item_size()}, kDtype<S>);
}

// What a stage reads: x itself, or the product before it with norm and ReLU to come.
template <typename S>
struct Source {
  const S* data = nullptr;
  Panels panels;
  const Affine* norm = nullptr;

  void load(int64_t item, int64_t channel, float* out) const {
    const S* base = data + item * panels.item_size();
    for (int64_t p = 0; p < panels.count(); ++p) {
      const S* row = base + panels.row(p, channel);
      float* to = out + p * panels.widest;
      if (norm != nullptr)
        ChainRows<S>::load_normed(row, norm[channel], panels.real(p), to);
      else
        ChainRows<S>::load(row, panels.real(p), to);
    }
  }
  void prefetch(int64_t item, int64_t channel) const {
    const S* base = data + item * panels.item_size();
    for (int64_t p = 0; p < panels.count(); ++p) {
      const S* row = base + panels.row(p, channel);
      for (int64_t i = 0; i < panels.width(p); i += 64 / static_cast<int64_t>(sizeof(S))) __builtin_prefetch(row + i);
    }
  }
};

// A row of floats into panels, zeros behind it.
template <typename S>
void store_row(const float* row, const Panels& panels, int64_t channel, S* item) {
  for (int64_t p = 0; p < panels.count(); ++p) {
    S* to = item + panels.row(p, channel);
    ChainRows<S>::store(row + p * panels.widest, panels.real(p), to);
    std::fill(to + panels.real(p), to + panels.width(p), S(0));
  }
}

// c (m, n) = a (m, k) * panel (k, n), in blocks of rows shared among threads; done(first row, rows, c's rows as float,
// their stride) is called for each block. a in S; where S is float, c is written in place.
template <typename S, typename Done>
void panel_product(int64_t m, int64_t n, int64_t k, const S* a, const S* panel, std::vector<S>& pairs, float* c,
                   const Done& done) {
  const S* b = panel;
  if constexpr (!std::is_same_v<S, float>) {
    pairs.resize(k * n);
    interleave_rows(panel, k, n, n, pairs.data());
    b = pairs.data();
  }
  at::parallel_for(0, (m + kProductRows - 1) / kProductRows, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> tile(c == nullptr ? kProductRows * n : 0);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kProductRows, rows = std::min(kProductRows, m - first);
      float* out = c != nullptr ? c + first * n : tile.data();
      product({rows, n, k, k, n, n}, a + first * k, b, out, false);
      done(first, rows, out);
    }
  });
}

template <typename S>
class Pass {
 public:
  // filtered = depthwise(source), for every item.
  static void filter(const ChainPart& part, const ChainTensors& t, const Source<S>& source, S* filtered) {
    const DepthwiseShape& s = part.shape;
    const DepthwiseRows<float> rows(s);
    const Panels out = Panels::of(s.rows, s.t_out);
    const auto* w = t.depthwise.const_data_ptr<float>();
    at::parallel_for(0, s.items * s.rows, kRowsTogether, [&](int64_t begin, int64_t end) {
      auto scratch = rows.scratch();
      std::vector<float> result(s.t_out);
      for (int64_t r = begin; r < end; ++r) {
        const int64_t item = r / s.rows, channel = r % s.rows;
        float* row = rows.row_room(scratch);
        source.load(item, channel, row);
        if (r + 1 < end) source.prefetch((r + 1) / s.rows, (r + 1) % s.rows);
        rows.load(row, valid(s.lengths, item, s.t_in), scratch);
        rows.forward(w + channel * s.kernel, 0, scratch, result.data(), valid(s.out_lengths, item, s.t_out));
        store_row(result.data(), out, channel, filtered + item * out.item_size());
      }
    });
  }

  // One item's input of a product that has no depthwise convolution before it.
  static void masked(const ChainPart& part, const Source<S>& source, int64_t item, S* out) {
    const DepthwiseShape& s = part.shape;
    const Panels panels = Panels::of(s.rows, s.t_in);
    const int64_t length = valid(s.lengths, item, s.t_in);
    std::vector<float> row(s.t_in);
    for (int64_t channel = 0; channel < s.rows; ++channel) {
      source.load(item, channel, row.data());
      std::fill(row.begin() + length, row.end(), 0.0F);
      store_row(row.data(), panels, channel, out);
    }
  }

  static void forward_stage(ChainPart& part, ChainTensors& t, const Source<S>& source) {
    const DepthwiseShape& s = part.shape;
    const Panels in = Panels::of(s.rows, s.t_out), out = Panels::of(part.channels, s.t_out);
    if (part.depthwise) {
      t.filtered = panels_tensor<S>(s.items, in);
      filter(part, t, source, t.filtered.mutable_data_ptr<S>());
    }
    t.product = panels_tensor<S>(s.items, out);
    const S* filtered = part.depthwise ? t.filtered.const_data_ptr<S>() : nullptr;
    const S* a = t.pointwise.const_data_ptr<S>();
    S* z = t.product.mutable_data_ptr<S>();
    std::vector<Moments> moments(part.training ? s.items * part.channels : 0);
    at::parallel_for(0, s.items, 1, [&](int64_t begin, int64_t end) {
      std::vector<S> pairs, own;
      for (int64_t item = begin; item < end; ++item) {
        const S* b = filtered + item * in.item_size();
        if (!part.depthwise) {
          own.resize(in.item_size());
          masked(part, source, item, own.data());
          b = own.data();
        }
        for (int64_t p = 0; p < out.count(); ++p) {
          S* c = z + item * out.item_size() + out.begin(p);
          const int64_t width = out.width(p);
          const auto done = [&](int64_t first, int64_t rows, const float* block) {
            for (int64_t r = 0; r < rows; ++r) {
              S* row = c + (first + r) * width;
              if constexpr (!std::is_same_v<S, float>) ChainRows<S>::store(block + r * width, width, row);
              if (part.training)
                moments[item * part.channels + first + r].merge(ChainRows<S>::moments(row, out.real(p)));
            }
          };
          panel_product<S>(part.channels, width, s.rows, a, b + in.begin(p), pairs, in_place(c), done);
        }
      }
    });
    if (part.training) {
      part.mean.assign(part.channels, 0);
      part.variance.assign(part.channels, 0);
      for (int64_t c = 0; c < part.channels; ++c) {
        Moments all;
        for (int64_t item = 0; item < s.items; ++item) all.merge(moments[item * part.channels + c]);
        part.mean[c] = all.mean;
        part.variance[c] = all.squares / all.count;
      }
    }
    const auto* weight = t.weight.const_data_ptr<float>();
    const auto* bias = t.bias.const_data_ptr<float>();
    part.norm.resize(part.channels);
    for (int64_t c = 0; c < part.channels; ++c) {
      const double scale = weight[c] / std::sqrt(part.variance[c] + part.eps);
      part.norm[c] = {static_cast<float>(scale), static_cast<float>(bias[c] - part.mean[c] * scale)};
    }
  }

  // gradient: panels of a norm's output gradient, which become those of its input. Then the product's two gradients,
  // either of which may not be wanted: that of its input into `input` (panels, or null) and that of its weight (C', C).
  static void backward_product(const ChainPart& part, const ChainTensors& t, const Source<S>& source, S* gradient,
                               const std::vector<double>& sum, const std::vector<double>& centred, S* input,
                               typename ChainKernel<S>::Gradients& gradients) {
    const DepthwiseShape& s = part.shape;
    const Panels in = Panels::of(s.rows, s.t_out), out = Panels::of(part.channels, s.t_out);
    const S* z = t.product.const_data_ptr<S>();
    const at::Tensor turned = t.pointwise.t().contiguous();
    const S* a = turned.const_data_ptr<S>();
    at::parallel_for(0, s.items, 1, [&](int64_t begin, int64_t end) {
      std::vector<S> pairs;
      for (int64_t item = begin; item < end; ++item) {
        norm_gradient(part, t, out, z + item * out.item_size(), sum, centred, gradient + item * out.item_size());
        for (int64_t p = 0; p < in.count() && input != nullptr; ++p) {
          S* c = input + item * in.item_size() + in.begin(p);
          const int64_t width = in.width(p);
          const auto done = [&](int64_t first, int64_t rows, const float* block) {
            if constexpr (!std::is_same_v<S, float>) ChainRows<S>::store(block, rows * width, c + first * width);
          };
          panel_product<S>(s.rows, width, part.channels, a, gradient + item * out.item_size() + out.begin(p), pairs,
                           in_place(c), done);
        }
      }
    });

    if (!gradients.need_pointwise) return;
    // Summed item by item: threads share the rows.
    gradients.pointwise = at::empty({part.channels, s.rows}, at::kFloat);
    auto* sums = gradients.pointwise.template mutable_data_ptr<float>();
    std::vector<S> own, turned_panel(s.rows * kPanelFrames);
    for (int64_t item = 0; item < s.items; ++item) {
      const S* b = nullptr;
      if (part.depthwise) {
        b = t.filtered.const_data_ptr<S>() + item * in.item_size();
      } else {
        own.resize(in.item_size());
        masked(part, source, item, own.data());
        b = own.data();
      }
      for (int64_t p = 0; p < in.count(); ++p) {
        const int64_t width = in.width(p);
        if constexpr (std::is_same_v<S, float>)
          transpose(b + in.begin(p), s.rows, width, width, turned_panel.data());
        else
          transpose_pairs(b + in.begin(p), s.rows, width, width, turned_panel.data());
        const S* rows = gradient + item * out.item_size() + out.begin(p);
        const bool add = item > 0 || p > 0;
        at::parallel_for(0, (part.channels + kProductRows - 1) / kProductRows, 1, [&](int64_t begin, int64_t end) {
          for (int64_t block = begin; block < end; ++block) {
            const int64_t first = block * kProductRows, count = std::min(kProductRows, part.channels - first);
            product({count, s.rows, width, width, s.rows, s.rows}, rows + first * width, turned_panel.data(),
                    sums + first * s.rows, add);
          }
        });
      }
    }
  }

  // From `gradient` (panels), that of a product's input: through the depthwise convolution if there is one, then
  // emit(item, channel, the row of the source's gradient). dw: the depthwise gradient (C, 1, K), if any. Channels are
  // shared among threads, items taken in order.
  template <typename Emit>
  static void backward_filter(const ChainPart& part, const ChainTensors& t, const Source<S>& source, const S* gradient,
                              bool need_rows, at::Tensor& dw, const Emit& emit) {
    const DepthwiseShape& s = part.shape;
    const Panels in = Panels::of(s.rows, s.t_out);
    const Source<S> grads{gradient, in, nullptr};
    if (part.depthwise) dw = at::empty_like(t.depthwise);
    const auto* w = part.depthwise ? t.depthwise.const_data_ptr<float>() : nullptr;
    auto* taps = part.depthwise ? dw.mutable_data_ptr<float>() : nullptr;
    const DepthwiseRows<float> rows(s);
    at::parallel_for(0, s.rows, kRowsTogether, [&](int64_t begin, int64_t end) {
      auto scratch = rows.scratch();
      std::vector<float> result(s.t_in), acc(kRowsTogether * rows.sums_size());
      for (int64_t first = begin; first < end; first += kRowsTogether) {
        const int64_t last = std::min(first + kRowsTogether, end);
        std::fill(acc.begin(), acc.end(), 0.0F);
        for (int64_t item = 0; item < s.items; ++item) {
          const int64_t length = valid(s.lengths, item, s.t_in), out_length = valid(s.out_lengths, item, s.t_out);
          for (int64_t channel = first; channel < last; ++channel) {
            float* grad = rows.grad_room(scratch);
            grads.load(item, channel, grad);
            if (channel + 1 < last || item + 1 < s.items) {
              const bool same = channel + 1 < last;
              grads.prefetch(same ? item : item + 1, same ? channel + 1 : first);
              source.prefetch(same ? item : item + 1, same ? channel + 1 : first);
            }
            if (!part.depthwise) {
              if (!need_rows) continue;
              std::fill(grad + length, grad + s.t_in, 0.0F);
              emit(item, channel, grad);
              continue;
            }
            float* row = rows.row_room(scratch);
            source.load(item, channel, row);
            rows.load(row, length, scratch);
            rows.load_grad(grad, out_length, scratch);
            rows.add_taps(scratch, out_length, acc.data() + (channel - first) * rows.sums_size());
            if (!need_rows) continue;
            rows.backward(w + channel * s.kernel, scratch, result.data(), length);
            emit(item, channel, result.data());
          }
        }
        for (int64_t channel = first; channel < last && part.depthwise; ++channel)
          rows.finish_taps(acc.data() + (channel - first) * rows.sums_size(), taps + channel * s.kernel);
      }
    });
  }

  // The gradients of a norm's parameters.
  static void norm_gradients(const ChainPart& part, const std::vector<double>& sum, const std::vector<double>& centred,
                             at::Tensor& weight, at::Tensor& bias) {
    weight = at::empty({part.channels}, at::kFloat);
    bias = at::empty({part.channels}, at::kFloat);
    auto* w = weight.mutable_data_ptr<float>();
    auto* b = bias.mutable_data_ptr<float>();
    for (int64_t c = 0; c < part.channels; ++c) {
      w[c] = static_cast<float>(centred[c] / std::sqrt(part.variance[c] + part.eps));
      b[c] = static_cast<float>(sum[c]);
    }
  }

 private:
  // Where a product may write its float32 results at once.
  static float* in_place(S* c) {
    if constexpr (std::is_same_v<S, float>)
      return c;
    else
      return nullptr;
  }

  static void norm_gradient(const ChainPart& part, const ChainTensors& t, const Panels& panels, const S* z,
                            const std::vector<double>& sum, const std::vector<double>& centred, S* gradient) {
    const auto* weight = t.weight.const_data_ptr<float>();
    const double count = static_cast<double>(part.shape.items) * static_cast<double>(panels.frames);
    for (int64_t p = 0; p < panels.count(); ++p) {
      for (int64_t c = 0; c < part.channels; ++c) {
        const double inverse = 1 / std::sqrt(part.variance[c] + part.eps), a = weight[c] * inverse;
        const double b = part.training ? -a * inverse * inverse * centred[c] / count : 0;
        const double d = part.training ? -a * sum[c] / count : 0;
        S* row = gradient + panels.row(p, c);
        ChainRows<S>::norm_grad(row, z + panels.row(p, c), static_cast<float>(part.mean[c]), static_cast<float>(a),
                                static_cast<float>(b), static_cast<float>(d), panels.real(p), row);
        std::fill(row + panels.real(p), row + panels.width(p), S(0));
      }
    }
  }
};

}  // namespace

template <typename S>
at::Tensor ChainKernel<S>::forward(const at::Tensor& x, std::vector<ChainPart>& parts,
                                   std::vector<ChainTensors>& tensors, ChainPart* residual,
                                   ChainTensors* residual_tensors, bool relu) {
  const Source<S> outside{x.const_data_ptr<S>(), Panels::plain(x.size(1), x.size(2)), nullptr};
  if (residual != nullptr) Pass<S>::forward_stage(*residual, *residual_tensors, outside);
  Source<S> source = outside;
  for (size_t i = 0; i < parts.size(); ++i) {
    Pass<S>::forward_stage(parts[i], tensors[i], source);
    source = {tensors[i].product.template const_data_ptr<S>(), Panels::of(parts[i].channels, parts[i].shape.t_out),
              parts[i].norm.data()};
  }
  const ChainPart& last = parts.back();
  const Panels& panels = source.panels;
  at::Tensor y = at::empty({last.shape.items, last.channels, last.shape.t_out}, kDtype<S>);
  S* out = y.template mutable_data_ptr<S>();
  const S* extra = residual != nullptr ? residual_tensors->product.template const_data_ptr<S>() : nullptr;
  at::parallel_for(0, last.shape.items * last.channels, kRowsTogether, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t item = r / last.channels, c = r % last.channels;
      for (int64_t p = 0; p < panels.count(); ++p) {
        const int64_t at = item * panels.item_size() + panels.row(p, c);
        ChainRows<S>::finish(source.data + at, last.norm[c], extra != nullptr ? extra + at : nullptr,
                             extra != nullptr ? residual->norm[c] : Affine(), relu, panels.real(p),
                             out + r * panels.frames + p * panels.widest);
      }
    }
  });
  return y;
}

template <typename S>
at::Tensor ChainKernel<S>::backward(const at::Tensor& x, const at::Tensor& y, const at::Tensor& dy,
                                    const std::vector<ChainPart>& parts, const std::vector<ChainTensors>& tensors,
                                    const ChainPart* residual, const ChainTensors* residual_tensors, bool relu,
                                    bool need_x, std::vector<Gradients>& gradients, Gradients& residual_gradients) {
  const int64_t items = x.size(0);
  const Source<S> outside{x.const_data_ptr<S>(), Panels::plain(x.size(1), x.size(2)), nullptr};
  const ChainPart& last = parts.back();
  Panels panels = Panels::of(last.channels, last.shape.t_out);
  at::Tensor gradient = panels_tensor<S>(items, panels);
  std::vector<double> sum(last.channels), centred(last.channels), extra_centred(last.channels);
  {
    const S* z = tensors.back().product.template const_data_ptr<S>();
    const S* extra = residual != nullptr ? residual_tensors->product.template const_data_ptr<S>() : nullptr;
    const S *out = y.const_data_ptr<S>(), *up = dy.const_data_ptr<S>();
    S* g = gradient.template mutable_data_ptr<S>();
    at::parallel_for(0, last.channels, kRowsTogether, [&](int64_t begin, int64_t end) {
      for (int64_t item = 0; item < items; ++item) {
        for (int64_t c = begin; c < end; ++c) {
          double sums[3] = {};
          for (int64_t p = 0; p < panels.count(); ++p) {
            const int64_t at = item * panels.item_size() + panels.row(p, c);
            const int64_t plain = (item * last.channels + c) * panels.frames + p * panels.widest;
            ChainRows<S>::outer_grad(out + plain, up + plain, z + at, static_cast<float>(last.mean[c]),
                                     extra != nullptr ? extra + at : nullptr,
                                     extra != nullptr ? static_cast<float>(residual->mean[c]) : 0, relu, panels.real(p),
                                     g + at, sums);
          }
          sum[c] += sums[0];
          centred[c] += sums[1];
          extra_centred[c] += sums[2];
        }
      }
    });
  }

  at::Tensor from_residual;  // panels of what the residual branch gives to dx
  if (residual != nullptr) {
    const at::Tensor copy = gradient.clone();
    if (need_x) from_residual = panels_tensor<S>(items, Panels::of(x.size(1), x.size(2)));
    Pass<S>::norm_gradients(*residual, sum, extra_centred, residual_gradients.weight, residual_gradients.bias);
    Pass<S>::backward_product(*residual, *residual_tensors, outside, copy.template mutable_data_ptr<S>(), sum,
                              extra_centred, need_x ? from_residual.template mutable_data_ptr<S>() : nullptr,
                              residual_gradients);
  }

  at::Tensor dx = need_x ? at::empty_like(x) : at::Tensor();
  for (size_t i = parts.size(); i-- > 0;) {
    const ChainPart& part = parts[i];
    const DepthwiseShape& s = part.shape;
    const bool first = i == 0;
    const Source<S> source = first ? outside
                                   : Source<S>{tensors[i - 1].product.template const_data_ptr<S>(),
                                               Panels::of(s.rows, s.t_in), parts[i - 1].norm.data()};
    Pass<S>::norm_gradients(part, sum, centred, gradients[i].weight, gradients[i].bias);
    const bool need_input = !first || need_x || part.depthwise;
    const at::Tensor input = need_input ? panels_tensor<S>(items, Panels::of(s.rows, s.t_out)) : at::Tensor();
    Pass<S>::backward_product(part, tensors[i], source, gradient.template mutable_data_ptr<S>(), sum, centred,
                              need_input ? input.template mutable_data_ptr<S>() : nullptr, gradients[i]);
    if (!need_input) break;
    if (first) {
      const int64_t frames = x.size(2);
      S* out = need_x ? dx.template mutable_data_ptr<S>() : nullptr;
      const Source<S> extra{residual != nullptr && need_x ? from_residual.template const_data_ptr<S>() : nullptr,
                            Panels::of(s.rows, frames), nullptr};
      Pass<S>::backward_filter(part, tensors[i], source, input.template const_data_ptr<S>(), need_x,
                               gradients[i].depthwise, [&](int64_t item, int64_t channel, float* row) {
                                 if (extra.data != nullptr) {
                                   std::vector<float> other(frames);
                                   extra.load(item, channel, other.data());
                                   const int64_t length = valid(residual->shape.lengths, item, frames);
                                   for (int64_t t = 0; t < length; ++t) row[t] += other[t];
                                 }
                                 ChainRows<S>::store(row, frames, out + (item * s.rows + channel) * frames);
                               });
      break;
    }
    panels = Panels::of(s.rows, s.t_in);
    gradient = panels_tensor<S>(items, panels);
    sum.assign(s.rows, 0);
    centred.assign(s.rows, 0);
    const std::vector<double>& mean = parts[i - 1].mean;
    S* g = gradient.template mutable_data_ptr<S>();
    Pass<S>::backward_filter(part, tensors[i], source, input.template const_data_ptr<S>(), true, gradients[i].depthwise,
                             [&](int64_t item, int64_t c, const float* row) {
                               double sums[3] = {};
                               for (int64_t p = 0; p < panels.count(); ++p) {
                                 const int64_t at = item * panels.item_size() + panels.row(p, c);
                                 ChainRows<S>::inner_grad(row + p * panels.widest, source.data + at, source.norm[c],
                                                          static_cast<float>(mean[c]), panels.real(p), g + at, sums);
                               }
                               sum[c] += sums[0];
                               centred[c] += sums[1];
                             });
  }
  return dx;
}

template struct ChainKernel<float>;
template struct ChainKernel<c10::BFloat16>;

}  // namespace fathom::nn
