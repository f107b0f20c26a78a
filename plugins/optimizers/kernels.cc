#include "plugins/optimizers/kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

// One clone per instruction set, chosen when the library is loaded.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FATHOM_CLONES
#endif

namespace fathom::optimizers {
namespace {

constexpr int64_t kGrain = 1 << 15;  // below this a thread costs more than it saves

constexpr int64_t kBlock = 4096, kLanes = 16;

// Independent lanes, since the compiler may not reorder a sum by itself.
template <typename T>
__attribute__((always_inline)) inline double squares(const T* x, int64_t count) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) {
      const double v = x[i + k];
      lanes[k] += v * v;
    }
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < count; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}
FATHOM_CLONES double squares_f32(const float* x, int64_t count) { return squares(x, count); }
FATHOM_CLONES double squares_f64(const double* x, int64_t count) { return squares(x, count); }

template <typename T>
double blocked(const T* x, int64_t count, double (*block)(const T*, int64_t)) {
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  if (blocks <= 1) return block(x, count);
  std::vector<double> sums(blocks);
  at::parallel_for(0, blocks, kGrain / kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) sums[b] = block(x + b * kBlock, std::min(kBlock, count - b * kBlock));
  });
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace

double sum_of_squares(const float* x, int64_t count) { return blocked(x, count, &squares_f32); }
double sum_of_squares(const double* x, int64_t count) { return blocked(x, count, &squares_f64); }

double sum_of_squares(const at::Tensor& given) {
  const bool native = given.scalar_type() == at::kDouble || given.scalar_type() == at::kFloat;
  const at::Tensor wide = native ? given : given.to(at::kFloat);
  const at::Tensor tensor = wide.is_non_overlapping_and_dense() ? wide : wide.contiguous();
  const int64_t count = tensor.numel();
  if (tensor.scalar_type() == at::kDouble) return sum_of_squares(values<double>(tensor), count);
  return sum_of_squares(values<float>(tensor), count);
}

// The loops walk different tensors, which the compiler cannot know: ivdep.
#define FATHOM_LOOP(NAME, TYPE, SUFFIX)                                                                           \
  FATHOM_CLONES static void NAME##_##SUFFIX(const NAME<TYPE>& shared, int64_t begin, int64_t end) {               \
    const NAME<TYPE> kernel = shared;                                                                             \
    _Pragma("GCC ivdep") for (int64_t i = begin; i < end; ++i) kernel(i);                                         \
  }                                                                                                               \
  template <>                                                                                                     \
  void run(const NAME<TYPE>& kernel, int64_t count) {                                                             \
    if (count < kGrain) return NAME##_##SUFFIX(kernel, 0, count);                                                 \
    at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) { NAME##_##SUFFIX(kernel, begin, end); }); \
  }
#define FATHOM_KERNEL(NAME)     \
  FATHOM_LOOP(NAME, float, f32) \
  FATHOM_LOOP(NAME, double, f64)

FATHOM_KERNEL(NovogradKernel)
FATHOM_KERNEL(AdadeltaKernel)
FATHOM_KERNEL(AdamaxKernel)
FATHOM_KERNEL(RmspropKernel)
FATHOM_KERNEL(RpropKernel)
FATHOM_KERNEL(AdanKernel)
FATHOM_KERNEL(RadamKernel)
FATHOM_KERNEL(NadamKernel)
FATHOM_KERNEL(AsgdKernel)
FATHOM_KERNEL(LambKernel)
FATHOM_KERNEL(AxpyKernel)
FATHOM_KERNEL(SgdKernel)
FATHOM_KERNEL(AdafactorKernel)

namespace {

// One matrix. `sums` and `scales` hold as many numbers as there are columns.
template <typename T>
__attribute__((always_inline)) inline void factor(const FactoredMoments<T>& m, int64_t index, double* sums, T* scales) {
  const int64_t rows = m.rows, columns = m.columns;
  const T* g = m.g + index * rows * columns;
  T* direction = m.direction + index * rows * columns;
  T *row = m.row + index * rows, *column = m.column + index * columns;
  const double keep = m.beta2, take = 1 - m.beta2, eps = m.eps;
  double row_total = 0;
  if (columns == 1) {  // a pointwise convolution's (out, in, 1): the walk goes down the only column
    double total = 0;
    _Pragma("GCC ivdep") for (int64_t r = 0; r < rows; ++r) {
      const double square = static_cast<double>(g[r]) * g[r] + eps;
      row[r] = static_cast<T>(keep * row[r] + take * square);
    }
    total = squares(g, rows) + eps * static_cast<double>(rows);
    double lanes[kLanes] = {};
    int64_t r = 0;
    for (; r + kLanes <= rows; r += kLanes) {
      for (int64_t k = 0; k < kLanes; ++k) lanes[k] += row[r + k];
    }
    for (const double lane : lanes) row_total += lane;
    for (; r < rows; ++r) row_total += row[r];
    column[0] = static_cast<T>(keep * column[0] + take * total / static_cast<double>(rows));
    const T mean = static_cast<T>(row_total / static_cast<double>(rows)), scale = 1 / std::sqrt(column[0]);
    _Pragma("GCC ivdep") for (int64_t i = 0; i < rows; ++i) direction[i] = g[i] * scale / std::sqrt(row[i] / mean);
    return;
  }
  for (int64_t c = 0; c < columns; ++c) sums[c] = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const T* line = g + r * columns;
    _Pragma("GCC ivdep") for (int64_t c = 0; c < columns; ++c) sums[c] += static_cast<double>(line[c]) * line[c];
    const double mean = squares(line, columns) / static_cast<double>(columns) + eps;
    row[r] = static_cast<T>(keep * row[r] + take * mean);
    row_total += row[r];
  }
  for (int64_t c = 0; c < columns; ++c) {
    column[c] = static_cast<T>(keep * column[c] + take * (sums[c] / static_cast<double>(rows) + eps));
    scales[c] = 1 / std::sqrt(column[c]);
  }
  const double mean = row_total / static_cast<double>(rows);
  for (int64_t r = 0; r < rows; ++r) {
    const T scale = static_cast<T>(1 / std::sqrt(row[r] / mean));
    const T* line = g + r * columns;
    T* out = direction + r * columns;
    _Pragma("GCC ivdep") for (int64_t c = 0; c < columns; ++c) out[c] = scale * scales[c] * line[c];
  }
}
FATHOM_CLONES void factor_f32(const FactoredMoments<float>& m, int64_t begin, int64_t end, double* sums,
                              float* scales) {
  for (int64_t i = begin; i < end; ++i) factor(m, i, sums, scales);
}
FATHOM_CLONES void factor_f64(const FactoredMoments<double>& m, int64_t begin, int64_t end, double* sums,
                              double* scales) {
  for (int64_t i = begin; i < end; ++i) factor(m, i, sums, scales);
}

template <typename T, typename Block>
void factor_all(const FactoredMoments<T>& m, Block block) {
  const auto some = [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(m.columns));
    std::vector<T> scales(static_cast<size_t>(m.columns));
    block(m, begin, end, sums.data(), scales.data());
  };
  const int64_t size = std::max<int64_t>(1, m.rows * m.columns);
  if (m.matrices * size < kGrain) return some(0, m.matrices);
  at::parallel_for(0, m.matrices, std::max<int64_t>(1, kGrain / size), some);
}

}  // namespace

void run(const FactoredMoments<float>& moments) { factor_all(moments, &factor_f32); }
void run(const FactoredMoments<double>& moments) { factor_all(moments, &factor_f64); }

}  // namespace fathom::optimizers
