#include "plugins/lib/nn/packed_linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "fathom/error.h"
#include "plugins/lib/nn/product_kernel.h"

namespace fathom::nn {
namespace {

#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

// Four bytes of one column side by side: (in, width) of weight's rows -> (in / 4, width, 4).
void pack_quads(const int8_t* weight, int64_t width, int64_t in, int8_t* out) {
  for (int64_t n = 0; n < width; ++n) {
    for (int64_t k = 0; k < in; ++k) out[(k / 4 * width + n) * 4 + k % 4] = weight[n * in + k];
  }
}

struct RowScale {
  float scale = 0;
  int32_t zero = 0;  // the byte that stands for 0
};

FATHOM_CLONES RowScale scale_of(const float* x, int64_t n) {
  float low = 0, high = 0;
  for (int64_t i = 0; i < n; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  const float scale = (high - low) / 255;
  if (!(scale > 0) || !std::isfinite(scale)) return {0, 0};
  return {scale, static_cast<int32_t>(std::lround(-low / scale))};
}
FATHOM_CLONES void to_bytes(const float* x, int64_t n, const RowScale& row, uint8_t* out) {
  const float factor = row.scale > 0 ? 1 / row.scale : 0;
  const auto zero = static_cast<float>(row.zero);
  for (int64_t i = 0; i < n; ++i) {
    const float value = std::min(std::max(x[i] * factor + zero + 0.5F, 0.0F), 255.0F);
    out[i] = static_cast<uint8_t>(static_cast<int32_t>(value));
  }
}
FATHOM_CLONES void from_sums(const int32_t* sums, int64_t n, const RowScale& row, const float* scales,
                             const int32_t* column_sums, const float* bias, float* y) {
  for (int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<float>(sums[i] - row.zero * column_sums[i]) * (row.scale * scales[i]);
    y[i] = bias != nullptr ? value + bias[i] : value;
  }
}

// Deletes what a packed weight's storage holds; also the sign by which packed_of() knows such a storage.
void delete_packed(void* packed) { delete static_cast<PackedLinear*>(packed); }

constexpr int64_t kWorthAThread = 2'000'000;  // multiplications

}  // namespace

Compute parse_compute(const std::string& name) {
  if (name == "32") return Compute::kFloat32;
  if (name == "bf16" || name == "int8") {
    const bool bytes = name == "int8";
    if (bytes ? quads_supported() : pairs_supported()) return bytes ? Compute::kInt8 : Compute::kBFloat16;
    throw Error(Code::kUnavailable,
                "this processor has no fast products of " + std::string(bytes ? "bytes" : "bfloat16"))
        .at("precision")
        .seen(name)
        .expected(bytes ? "AVX512-VNNI" : "AVX512-BF16")
        .next("leave precision out: 32");
  }
  throw Error(Code::kFailed, "unknown precision of inference").at("precision").seen(name).expected("32, bf16 or int8");
}

struct PackedLinear::Rows {
  int64_t count = 0;
  at::Tensor values;  // (count, in), float32, bfloat16 or bytes
  std::vector<RowScale> scales;
};

bool PackedLinear::can_pack(const at::Tensor& weight, Compute compute) {
  if (weight.dim() != 2 || weight.numel() == 0 || weight.scalar_type() != at::kFloat || !weight.device().is_cpu())
    return false;
  switch (compute) {
    case Compute::kFloat32: return faster_than_blas();
    case Compute::kBFloat16: return pairs_supported() && weight.size(1) % 2 == 0;
    case Compute::kInt8: return quads_supported() && weight.size(1) % 4 == 0;
  }
  return false;
}

PackedLinear::PackedLinear(const at::Tensor& given, Compute compute)
    : compute_(compute), in_(given.size(1)), out_(given.size(0)) {
  const at::Tensor weight = given.detach().contiguous();
  const float* w = weight.const_data_ptr<float>();
  const int64_t width = even_panel(out_);
  if (compute == Compute::kInt8) {
    scales_.resize(static_cast<size_t>(out_));
    sums_.resize(static_cast<size_t>(out_));
  }
  for (int64_t first = 0; first < out_; first += width) {
    Panel panel{first, std::min(width, out_ - first), {}};
    const float* rows = w + first * in_;
    if (compute == Compute::kFloat32) {
      panel.weight = at::empty({in_, panel.width}, at::kFloat);
      transpose(rows, panel.width, in_, in_, panel.weight.mutable_data_ptr<float>());
    } else if (compute == Compute::kBFloat16) {
      const at::Tensor half = weight.slice(0, first, first + panel.width).to(at::kBFloat16);
      panel.weight = at::empty({in_ / 2, panel.width, 2}, at::kBFloat16);
      transpose_pairs(half.const_data_ptr<c10::BFloat16>(), panel.width, in_, in_,
                      panel.weight.mutable_data_ptr<c10::BFloat16>());
    } else {
      std::vector<int8_t> bytes(static_cast<size_t>(panel.width * in_));
      for (int64_t n = 0; n < panel.width; ++n) {
        float most = 0;
        for (int64_t k = 0; k < in_; ++k) most = std::max(most, std::abs(rows[n * in_ + k]));
        const float scale = most > 0 ? most / 127 : 1;
        int32_t sum = 0;
        for (int64_t k = 0; k < in_; ++k) {
          const auto byte = static_cast<int8_t>(std::lrint(rows[n * in_ + k] / scale));
          bytes[static_cast<size_t>(n * in_ + k)] = byte;
          sum += byte;
        }
        scales_[static_cast<size_t>(first + n)] = scale;
        sums_[static_cast<size_t>(first + n)] = sum;
      }
      panel.weight = at::empty({in_ / 4, panel.width, 4}, at::kChar);
      pack_quads(bytes.data(), panel.width, in_, panel.weight.mutable_data_ptr<int8_t>());
    }
    panels_.push_back(std::move(panel));
  }
}

void PackedLinear::multiply(const Rows& rows, const Panel& panel, int64_t row, int64_t count, const float* bias,
                            float* y) const {
  for (int64_t r = 0; r < count && bias != nullptr; ++r) std::copy_n(bias, panel.width, y + r * out_);
  const ProductShape shape{count, panel.width, in_, in_, panel.width, out_};
  if (compute_ == Compute::kFloat32) {
    product(shape, rows.values.const_data_ptr<float>() + row * in_, panel.weight.const_data_ptr<float>(), y,
            bias != nullptr);
  } else {
    product(shape, rows.values.const_data_ptr<c10::BFloat16>() + row * in_,
            panel.weight.const_data_ptr<c10::BFloat16>(), y, bias != nullptr);
  }
}

void PackedLinear::multiply_bytes(const Rows& rows, const Panel& panel, int64_t row, int64_t count, const float* bias,
                                  float* y) const {
  std::vector<int32_t> sums(static_cast<size_t>(count * panel.width));
  product({count, panel.width, in_, in_, panel.width, panel.width}, rows.values.const_data_ptr<uint8_t>() + row * in_,
          panel.weight.const_data_ptr<int8_t>(), sums.data(), false);
  for (int64_t r = 0; r < count; ++r) {
    from_sums(sums.data() + r * panel.width, panel.width, rows.scales[static_cast<size_t>(row + r)],
              scales_.data() + panel.first, sums_.data() + panel.first, bias, y + r * out_);
  }
}

at::Tensor PackedLinear::operator()(const at::Tensor& x, const at::Tensor& bias) const {
  if (x.dim() < 1 || x.size(-1) != in_ || x.scalar_type() != at::kFloat) {
    throw Error(Code::kFailed, "the input of a packed linear layer does not fit")
        .seen(c10::str(x.scalar_type()) + " of shape " + c10::str(x.sizes()))
        .expected("float32, (..., " + std::to_string(in_) + ")");
  }
  if (c10::GradMode::is_enabled() && x.requires_grad())
    throw Error(Code::kFailed, "a model that was prepared for inference does not train").next("restore it again");
  const at::Tensor source = x.contiguous(), offsets = bias.defined() ? bias.contiguous() : bias;
  Rows rows;
  rows.count = x.numel() / in_;
  if (compute_ == Compute::kInt8) {
    rows.values = at::empty({rows.count, in_}, at::kByte);
    rows.scales.resize(static_cast<size_t>(rows.count));
    const auto* from = source.const_data_ptr<float>();
    auto* to = rows.values.mutable_data_ptr<uint8_t>();
    at::parallel_for(0, rows.count, kWorthAThread / (8 * in_) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        RowScale& scale = rows.scales[static_cast<size_t>(r)];
        scale = scale_of(from + r * in_, in_);
        to_bytes(from + r * in_, in_, scale, to + r * in_);
      }
    });
  } else {
    rows.values = compute_ == Compute::kFloat32 ? source : source.to(at::kBFloat16);
  }
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = out_;
  at::Tensor y = at::empty(sizes, x.options().requires_grad(false));
  auto* out = y.mutable_data_ptr<float>();
  // A panel's blocks one after the other: its weights stay in the second-level cache.
  const int64_t blocks = (rows.count + kProductRows - 1) / kProductRows;
  const int64_t tasks = blocks * static_cast<int64_t>(panels_.size());
  const int64_t tasks_a_thread = kWorthAThread / (kProductRows * panels_.front().width * in_) + 1;
  at::parallel_for(0, tasks, tasks_a_thread, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const Panel& panel = panels_[static_cast<size_t>(task / blocks)];
      const int64_t row = task % blocks * kProductRows, count = std::min(kProductRows, rows.count - row);
      const float* offset = offsets.defined() ? offsets.const_data_ptr<float>() + panel.first : nullptr;
      float* results = out + row * out_ + panel.first;
      if (compute_ == Compute::kInt8)
        multiply_bytes(rows, panel, row, count, offset, results);
      else
        multiply(rows, panel, row, count, offset, results);
    }
  });
  return y;
}

const PackedLinear* packed_of(const at::Tensor& weight) {
  if (weight.numel() != 0 || !weight.has_storage()) return nullptr;
  const at::DataPtr& data = weight.storage().data_ptr();
  return data.get_deleter() == &delete_packed ? static_cast<const PackedLinear*>(data.get_context()) : nullptr;
}

void pack_weight(at::Tensor& weight, Compute compute) {
  const at::NoGradGuard no_grad;
  // A convolution of kernel 1 is a linear layer.
  const at::Tensor matrix = weight.dim() == 3 && weight.size(2) == 1 ? weight.squeeze(2) : weight;
  if (!PackedLinear::can_pack(matrix, compute)) return;
  auto packed = std::make_unique<PackedLinear>(matrix, compute);
  auto* held = packed.release();
  at::DataPtr data(held, held, &delete_packed, at::kCPU);
  at::Tensor empty = at::empty({0}, weight.options());
  if (weight.dim() == 3) empty = empty.unsqueeze(-1);
  empty.storage().set_data_ptr_noswap(std::move(data));
  weight.set_data(empty);
}

}  // namespace fathom::nn
