#include "plugins/lib/nn/frame_conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>

#include "plugins/lib/nn/frame_kernel.h"
#include "plugins/lib/nn/product_kernel.h"
#include "plugins/lib/nn/tile_transform.h"

namespace fathom::nn {
namespace {

// Floats of a tile's rows, so that three such buffers and a panel of weights share a second-level cache of 1 MiB.
constexpr int64_t kTileFloats = 32 << 10;

// By tiles there are their values at the points besides: fewer rows, of a count that all dilations' tiles divide.
constexpr int64_t kPointRows = 60, kPointFloats = 20 << 10;

int64_t whole_blocks(int64_t rows) { return (rows + kFrameRows - 1) / kFrameRows * kFrameRows; }
int64_t tile_rows(int64_t width) {
  return whole_blocks(std::clamp<int64_t>(kTileFloats / width, 8 * kFrameRows, 80 * kFrameRows));
}
// Rows of a part of the work. Its beginnings are the same for all who share it.
int64_t part_rows(int64_t width, const FrameTaps& first, const FrameTaps* second) {
  int64_t step = std::lcm(kFrameRows, frame_alignment(first));
  if (second != nullptr) step = std::lcm(step, frame_alignment(*second));
  if (first.points == 0 && (second == nullptr || second->points == 0)) return tile_rows(width);
  return std::max<int64_t>(1, std::max(kPointFloats / width, 2 * kPointRows) / step) * step;
}
int64_t reach(const FrameTaps& conv) { return (conv.taps - 1) * conv.dilation / 2; }

FrameTaps packed(const at::Tensor& taps, const at::Tensor& bias, int64_t dilation) {  // taps (taps, in, columns)
  FrameTaps out;
  out.taps = taps.size(0);
  out.in = taps.size(1);
  out.columns = taps.size(2);
  out.dilation = dilation;
  out.bias = bias.contiguous();
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

// Tiles of each of the dilation's phases that `rows` results need.
int64_t tiles_of(const FrameTaps& conv, int64_t rows) {
  const int64_t of_phase = (rows + conv.dilation - 1) / conv.dilation;
  return (of_phase + kTileOutputs - 1) / kTileOutputs;
}
// Rows of `from` that convolve() may read, beyond the last result too.
int64_t rows_read(const FrameTaps& conv, int64_t rows) {
  if (conv.points == 0) return whole_blocks(rows) + 2 * reach(conv);
  return (tiles_of(conv, rows) + conv.chunks - 1) * kTileOutputs * conv.dilation +
         (conv.points - kTileOutputs) * conv.dilation;
}
int64_t point_rows(const FrameTaps& conv, int64_t rows) {  // of each point's values, with what blocks read beyond
  return whole_blocks(tiles_of(conv, rows) * conv.dilation) + (conv.chunks - 1) * conv.dilation;
}
int64_t product_rows(const FrameTaps& conv, int64_t rows) { return whole_blocks(tiles_of(conv, rows) * conv.dilation); }
// Floats that convolve() needs besides.
int64_t point_floats(const FrameTaps& conv, int64_t rows) {
  if (conv.points == 0) return 0;
  return conv.points * (point_rows(conv, rows) * conv.in + product_rows(conv, rows) * kFrameColumns);
}

// The same as convolve(), by tiles. Those of a dilation's phases lie side by side, so that a chunk's next tile is
// `dilation` rows on, and each point is an ordinary convolution of `chunks` taps.
void convolve_by_tiles(const float* from, const FrameTaps& conv, int64_t rows, int64_t ldc, float* to, float* scratch) {
  static constexpr float kNoBias[kFrameColumns] = {};
  const int64_t tiles = tiles_of(conv, rows), d = conv.dilation, n = conv.points, width = conv.in;
  const int64_t stride = point_rows(conv, rows) * width, used = tiles * d;
  float* const products = scratch + n * stride;
  for (int64_t tile = 0; tile < tiles + conv.chunks - 1; ++tile) {
    for (int64_t phase = 0; phase < d; ++phase) {
      tile_to_points(n, from + (tile * kTileOutputs * d + phase) * width, d * width, width,
                     scratch + (tile * d + phase) * width, stride);
    }
  }
  // What blocks read beyond the last tile belongs to no result, but must be numbers.
  const int64_t filled = (tiles + conv.chunks - 1) * d * width;
  for (int64_t p = 0; p < n; ++p) std::fill(scratch + p * stride + filled, scratch + (p + 1) * stride, 0.0F);

  const auto* bias = conv.bias.const_data_ptr<float>();
  const auto panels = static_cast<int64_t>(conv.point_panels.size()) / n;
  int64_t column = 0;
  for (int64_t panel = 0; panel < panels; ++panel) {
    const int64_t columns = conv.point_panels[static_cast<size_t>(panel)].size(2);
    const int64_t product_stride = product_rows(conv, rows) * columns;
    for (int64_t p = 0; p < n; ++p) {
      const at::Tensor& weights = conv.point_panels[static_cast<size_t>(p * panels + panel)];
      const FrameBlock block{conv.chunks, width, d * width, width, columns, weights.const_data_ptr<float>(), kNoBias};
      for (int64_t row = 0; row < used; row += kFrameRows)
        frame_block(block, columns, scratch + p * stride + row * width, products + p * product_stride + row * columns);
    }
    for (int64_t row = 0; row < used; ++row) {
      const int64_t first = row / d * kTileOutputs * d + row % d;  // of the tile's results
      const int64_t count = std::clamp<int64_t>((rows - first + d - 1) / d, 0, kTileOutputs);
      points_to_tile(n, products + row * columns, product_stride, bias + column, columns, to + first * ldc + column,
                     d * ldc, count);
    }
    column += columns;
  }
}

void convolve(const float* from, const FrameTaps& conv, int64_t rows, int64_t ldc, float* to, float* scratch) {
  if (conv.points > 0)
    convolve_by_tiles(from, conv, rows, ldc, to, scratch);
  else
    convolve(from, conv, rows, ldc, to);
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

FrameTaps pack_frame_conv(const at::Tensor& weight, const at::Tensor& bias, int64_t dilation, bool by_tiles) {
  const int64_t out = frame_width(weight.size(0)), in = frame_width(weight.size(1)), kernel = weight.size(2);
  const at::Tensor taps =
      at::constant_pad_nd(weight.detach().permute({2, 1, 0}), {0, out - weight.size(0), 0, in - weight.size(1)});
  FrameTaps conv = packed(taps, at::constant_pad_nd(bias.detach(), {0, out - weight.size(0)}), dilation);
  if (!by_tiles || kernel < 3) return conv;
  const int64_t of_chunk = tile_taps(kernel);
  conv.points = of_chunk + kTileOutputs - 1;
  conv.chunks = (kernel + of_chunk - 1) / of_chunk;
  const at::Tensor chunks = at::constant_pad_nd(taps, {0, 0, 0, 0, 0, conv.chunks * of_chunk - kernel})
                                .to(at::kDouble)
                                .view({conv.chunks, of_chunk, in, out});
  const TileWeights weights = tile_weights(of_chunk);
  for (int64_t p = 0; p < conv.points; ++p) {
    at::Tensor at_point = at::zeros({conv.chunks, in, out}, at::kDouble);
    for (int64_t k = 0; k < of_chunk; ++k)
      at_point.add_(chunks.select(1, k), weights[static_cast<size_t>(p)][static_cast<size_t>(k)]);
    const FrameTaps one = packed(at_point.to(at::kFloat), conv.bias, 1);
    conv.point_panels.insert(conv.point_panels.end(), one.panels.begin(), one.panels.end());
  }
  conv.panels.clear();
  return conv;
}

int64_t frame_alignment(const FrameTaps& conv) { return conv.points == 0 ? 1 : kTileOutputs * conv.dilation; }

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
  const int64_t time = x.size(1), rows = part_rows(std::max(conv.in, conv.columns), conv, nullptr), side = reach(conv);
  const int64_t read = rows_read(conv, rows);
  at::Tensor y = at::empty({x.size(0), time, conv.columns}, x.options());
  const auto* from = x.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  const int64_t made_floats = whole_blocks(rows) * conv.columns;
  const int64_t scratch = read * conv.in + made_floats + point_floats(conv, rows);
  for_tiles(x, rows, scratch, [&](int64_t item, int64_t first, int64_t count, float* own) {
    float* made = own + read * conv.in;
    read_rows(from + item * time * conv.in, time, conv.in, first - side, read, slope, own);
    convolve(own, conv, count, conv.columns, made, made + made_floats);
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
  const int64_t time = x.size(1), width = x.size(2), rows = part_rows(width, first_conv, second);
  const int64_t inner = second ? reach(*second) : 0, outer = reach(first_conv);
  // What the second convolution's tiles see of the first one's results must be these, not what lies there: a little
  // more than its taps reach.
  const auto between_rows = [&](int64_t count) {
    return !second ? count : second->points > 0 ? rows_read(*second, count) : count + 2 * inner;
  };
  const int64_t middle = whole_blocks(second ? std::max(between_rows(rows), rows_read(*second, rows)) : rows);
  const int64_t read = rows_read(first_conv, middle);
  const int64_t points = std::max(point_floats(first_conv, middle), second ? point_floats(*second, rows) : 0);
  const auto* from = x.const_data_ptr<float>();
  auto* to = out.mutable_data_ptr<float>();
  const int64_t scratch = (read + middle + whole_blocks(rows)) * width + points;
  for_tiles(x, rows, scratch, [&](int64_t item, int64_t first, int64_t count, float* own) {
    float *between = own + read * width, *made = between + middle * width,
          *at_points = made + whole_blocks(rows) * width;
    const float* in = from + item * time * width;
    read_rows(in, time, width, first - inner - outer, read, slope, own);
    convolve(own, first_conv, between_rows(count), width, between, at_points);
    if (second) {
      // The second convolution sees zeros beyond the ends, not what the first would make there.
      read_rows_in_place(time, width, first - inner, middle, slope, between);
      convolve(between, *second, count, width, made, at_points);
    } else {
      made = between;
    }
    add_rows(in + first * width, made, count * width, scale, add, to + (item * time + first) * width);
  });
}

}  // namespace fathom::nn
