#include "plugins/lib/nn/frame_conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "plugins/lib/nn/frame_kernel.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

// Floats of a tile's rows, so that three such buffers and a panel of weights share a second-level cache of 1 MiB.
constexpr int64_t kTileFloats = 32 << 10;

int64_t whole_blocks(int64_t rows) { return (rows + kFrameRows - 1) / kFrameRows * kFrameRows; }
int64_t tile_rows(int64_t width) {
  return whole_blocks(std::clamp<int64_t>(kTileFloats / width, 8 * kFrameRows, 80 * kFrameRows));
}
int64_t reach(const FrameTaps& conv) { return (conv.taps - 1) * conv.dilation / 2; }

FrameTaps packed(const at::Tensor& taps, const at::Tensor& bias, int64_t dilation) {  // taps (taps, in, columns)
  FrameTaps out{taps.size(0), taps.size(1), taps.size(2), dilation, {}, bias.contiguous()};
  for (int64_t first = 0; first < out.columns; first += kFrameColumns)
    out.panels.push_back(taps.narrow(2, first, std::min(kFrameColumns, out.columns - first)).contiguous());
  return out;
}

// Of the rows `first` to `first` + `count`, those from `begin` to `end` lie within an item of `time` rows.
struct Within {
  int64_t begin, end;
  Within(int64_t time, int64_t first, int64_t count)
      : begin(std::clamp<int64_t>(-first, 0, count)), end(std::clamp<int64_t>(time - first, begin, count)) {}
};

// The rows `first` to `first` + `count` of an item, after the leaky ReLU; zeros beyond its ends.
void read_rows(const float* item, int64_t time, int64_t width, int64_t first, int64_t count, float slope, float* to) {
  const Within rows(time, first, count);
  std::fill_n(to, rows.begin * width, 0.0F);
  leaky_rows(item + (first + rows.begin) * width, (rows.end - rows.begin) * width, slope, to + rows.begin * width);
  std::fill_n(to + rows.end * width, (count - rows.end) * width, 0.0F);
}

// The same of rows that lie in `own` already, from `first` on.
void read_rows_in_place(int64_t time, int64_t width, int64_t first, int64_t count, float slope, float* own) {
  const Within rows(time, first, count);
  std::fill_n(own, rows.begin * width, 0.0F);
  leaky_rows(own + rows.begin * width, (rows.end - rows.begin) * width, slope, own + rows.begin * width);
  std::fill_n(own + rows.end * width, (count - rows.end) * width, 0.0F);
}

// Row r of the result reads the rows r, r + dilation, … of `from`. Rows are rounded up to whole blocks: both buffers
// have room for them.
void convolve(const float* from, const FrameTaps& conv, int64_t rows, int64_t ldc, float* to) {
  const auto* bias = conv.bias.const_data_ptr<float>();
  int64_t column = 0;
  for (const at::Tensor& panel : conv.panels) {
    const FrameBlock block{conv.taps,    conv.in, conv.dilation * conv.in, conv.in, ldc, panel.const_data_ptr<float>(),
                           bias + column};
    for (int64_t row = 0; row < rows; row += kFrameRows)
      frame_block(block, panel.size(2), from + row * conv.in, to + row * ldc + column);
    column += panel.size(2);
  }
}

// work(item, first row, rows, scratch) on tiles of all items; a thread's scratch is allocated once.
template <typename Work>
void for_tiles(const at::Tensor& x, int64_t rows, int64_t scratch, const Work& work) {
  const int64_t time = x.size(1), tiles = (time + rows - 1) / rows;
  at::parallel_for(0, x.size(0) * tiles, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> memory(static_cast<size_t>(scratch));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % tiles * rows;
      work(task / tiles, first, std::min(rows, time - first), memory.data());
    }
  });
}

}  // namespace

bool frame_conv_applies(const at::Tensor& x) {
  return x.device().is_cpu() && x.scalar_type() == at::kFloat && x.numel() > 0 && has_frame_kernel() &&
         faster_than_blas();
}

FrameTaps pack_frame_conv(const at::Tensor& weight, const at::Tensor& bias, int64_t dilation) {
  const int64_t out = frame_width(weight.size(0)), in = frame_width(weight.size(1));
  return packed(
      at::constant_pad_nd(weight.detach().permute({2, 1, 0}), {0, out - weight.size(0), 0, in - weight.size(1)}),
      at::constant_pad_nd(bias.detach(), {0, out - weight.size(0)}), dilation);
}

FrameUpsampling pack_frame_upsampling(const at::Tensor& weight, const at::Tensor& bias, int64_t rate) {
  const int64_t kernel = weight.size(2), padding = (kernel - rate) / 2;
  FrameUpsampling up;
  up.rate = rate;
  up.out = frame_width(weight.size(1));
  const at::Tensor taps =
      at::constant_pad_nd(weight.detach().permute({2, 0, 1}),
                          {0, up.out - weight.size(1), 0, frame_width(weight.size(0)) - weight.size(0)});
  const at::Tensor offsets = at::constant_pad_nd(bias.detach(), {0, up.out - weight.size(1)});
  // Sample t · rate + phase hears tap k of frame t + (phase + padding - k) / rate, where that is whole.
  const auto last = [&](int64_t phase) { return (phase + padding) / rate; };
  const auto count = [&](int64_t phase) { return (kernel - 1 - (phase + padding) % rate) / rate + 1; };
  for (int64_t phase = 0; phase < rate;) {
    FrameUpsampling::Group group{phase, last(phase) - count(phase) + 1, {}};
    std::vector<at::Tensor> phases;
    const int64_t begin = phase;
    for (; phase < rate && last(phase) == last(begin) && count(phase) == count(begin); ++phase) {
      const int64_t offset = (phase + padding) % rate, of_phase = count(phase);
      std::vector<at::Tensor> own;
      for (int64_t tap = of_phase; tap-- > 0;) own.push_back(taps[offset + tap * rate]);
      phases.push_back(at::stack(own));
    }
    group.taps = packed(at::cat(phases, 2), offsets.repeat({phase - begin}), 1);
    up.before = std::max(up.before, -group.first_frame);
    up.after = std::max(up.after, last(begin));
    up.groups.push_back(std::move(group));
  }
  return up;
}

at::Tensor to_frames(const at::Tensor& x) {
  return at::constant_pad_nd(x.transpose(1, 2), {0, frame_width(x.size(1)) - x.size(1)}).contiguous();
}
at::Tensor from_frames(const at::Tensor& x, int64_t channels) {
  return x.narrow(2, 0, channels).transpose(1, 2).contiguous();
}

at::Tensor leaky_frame_conv(const at::Tensor& x, const FrameTaps& conv, float slope) {
  const int64_t time = x.size(1), rows = tile_rows(std::max(conv.in, conv.columns)), side = reach(conv);
  const int64_t read = rows + 2 * side;
  at::Tensor y = at::empty({x.size(0), time, conv.columns}, x.options());
  const auto* from = x.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  for_tiles(x, rows, read * conv.in + rows * conv.columns, [&](int64_t item, int64_t first, int64_t count, float* own) {
    float* made = own + read * conv.in;
    read_rows(from + item * time * conv.in, time, conv.in, first - side, read, slope, own);
    convolve(own, conv, count, conv.columns, made);
    std::copy_n(made, count * conv.columns, to + (item * time + first) * conv.columns);
  });
  return y;
}

at::Tensor leaky_frame_upsampling(const at::Tensor& x, const FrameUpsampling& up, float slope) {
  const int64_t time = x.size(1), width = x.size(2), row = up.rate * up.out, rows = tile_rows(std::max(width, row));
  const int64_t read = rows + up.before + up.after;
  at::Tensor y = at::empty({x.size(0), time * up.rate, up.out}, x.options());
  const auto* from = x.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  for_tiles(x, rows, read * width + rows * row, [&](int64_t item, int64_t first, int64_t count, float* own) {
    float* made = own + read * width;
    read_rows(from + item * time * width, time, width, first - up.before, read, slope, own);
    for (const auto& group : up.groups) {
      convolve(own + (up.before + group.first_frame) * width, group.taps, count, row,
               made + group.first_phase * up.out);
    }
    std::copy_n(made, count * row, to + (item * time + first) * row);
  });
  return y;
}

void frame_residual(const at::Tensor& x, const FrameTaps& first_conv, const FrameTaps* second, float slope, float scale,
                    bool add, at::Tensor& out) {
  const int64_t time = x.size(1), width = x.size(2), rows = tile_rows(width);
  const int64_t inner = second ? reach(*second) : 0, outer = reach(first_conv);
  const int64_t middle = whole_blocks(rows + 2 * inner), read = middle + 2 * outer;
  const auto* from = x.const_data_ptr<float>();
  auto* to = out.mutable_data_ptr<float>();
  for_tiles(x, rows, (read + middle + rows) * width, [&](int64_t item, int64_t first, int64_t count, float* own) {
    float *between = own + read * width, *made = between + middle * width;
    const float* in = from + item * time * width;
    read_rows(in, time, width, first - inner - outer, read, slope, own);
    convolve(own, first_conv, count + 2 * inner, width, between);
    if (second) {
      // The second convolution sees zeros beyond the ends, not what the first would make there.
      read_rows_in_place(time, width, first - inner, middle, slope, between);
      convolve(between, *second, count, width, made);
    } else {
      made = between;
    }
    add_rows(in + first * width, made, count * width, scale, add, to + (item * time + first) * width);
  });
}

}  // namespace fathom::nn
