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

// Sums term(i) for 0 <= i < count. Independent lanes, since the compiler may not reorder a sum by itself; each lane of
// floats takes a few terms, then goes over into double.
template <typename T, typename Term>
__attribute__((always_inline)) inline double sum_of(int64_t count, Term term) {
  constexpr int64_t kTerms = sizeof(T) == sizeof(double) ? 1 : 8, kWide = 2 * kLanes;
  double lanes[kWide] = {};
  int64_t i = 0;
  for (; i + kWide * kTerms <= count; i += kWide * kTerms) {
    T part[kWide] = {};
    for (int64_t t = 0; t < kTerms; ++t) {
      for (int64_t k = 0; k < kWide; ++k) part[k] += term(i + t * kWide + k);
    }
    for (int64_t k = 0; k < kWide; ++k) lanes[k] += part[k];
  }
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) lanes[k] += term(i + k);
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < count; ++i) sum += term(i);
  return sum;
}
template <typename T>
__attribute__((always_inline)) inline double squares(const T* x, int64_t count) {
  return sum_of<T>(count, [x](int64_t i) { return x[i] * x[i]; });
}
template <typename T>
__attribute__((always_inline)) inline double total(const T* x, int64_t count) {
  return sum_of<T>(count, [x](int64_t i) { return x[i]; });
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
FATHOM_KERNEL(LambStepKernel)
FATHOM_KERNEL(AxpyKernel)
FATHOM_KERNEL(SgdKernel)
FATHOM_KERNEL(AdafactorKernel)

namespace {

FATHOM_CLONES LambSums lamb_block_f32(const LambKernel<float>& kernel, int64_t begin, int64_t end) {
  LambKernel_f32(kernel, begin, end);
  return {squares(kernel.p + begin, end - begin), squares(kernel.direction + begin, end - begin)};
}
FATHOM_CLONES LambSums lamb_block_f64(const LambKernel<double>& kernel, int64_t begin, int64_t end) {
  LambKernel_f64(kernel, begin, end);
  return {squares(kernel.p + begin, end - begin), squares(kernel.direction + begin, end - begin)};
}

template <typename T, typename Block>
LambSums lamb_blocks(const LambKernel<T>& kernel, int64_t count, Block block) {
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  std::vector<LambSums> sums(static_cast<size_t>(blocks));
  at::parallel_for(0, blocks, kGrain / kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      sums[static_cast<size_t>(b)] = block(kernel, b * kBlock, std::min(count, (b + 1) * kBlock));
  });
  LambSums total{0, 0};
  for (const LambSums& sum : sums) {
    total.parameter += sum.parameter;
    total.direction += sum.direction;
  }
  return total;
}

// --- Adafactor's matrices. `scratch` holds as many numbers as there are columns.

// A pointwise convolution's (out, in, 1) is `out` matrices of one column: the walk goes down it.
template <typename T>
__attribute__((always_inline)) inline double update_column(const FactoredMoments<T>& m, const T* g, T* row, T* column) {
  const int64_t rows = m.rows;
  const T keep = static_cast<T>(m.beta2), take = static_cast<T>(1 - m.beta2), eps = static_cast<T>(m.eps);
  _Pragma("GCC ivdep") for (int64_t r = 0; r < rows; ++r) row[r] = keep * row[r] + take * (g[r] * g[r] + eps);
  const double count = static_cast<double>(rows), mean_square = squares(g, rows) / count + m.eps;
  column[0] = static_cast<T>(m.beta2 * column[0] + (1 - m.beta2) * mean_square);
  return sum_of<T>(rows, [g, row](int64_t r) { return g[r] * g[r] / row[r]; }) * (total(row, rows) / count) / column[0];
}

template <typename T>
__attribute__((always_inline)) inline double update_matrix(const FactoredMoments<T>& m, const T* g, T* row, T* column,
                                                           double* scratch) {
  const int64_t rows = m.rows, columns = m.columns;
  const double keep = m.beta2, take = 1 - m.beta2;
  double row_total = 0, sum = 0;
  for (int64_t c = 0; c < columns; ++c) scratch[c] = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const T* line = g + r * columns;
    _Pragma("GCC ivdep") for (int64_t c = 0; c < columns; ++c) scratch[c] += static_cast<double>(line[c]) * line[c];
    row[r] = static_cast<T>(keep * row[r] + take * (squares(line, columns) / static_cast<double>(columns) + m.eps));
    row_total += row[r];
  }
  for (int64_t c = 0; c < columns; ++c) {
    column[c] = static_cast<T>(keep * column[c] + take * (scratch[c] / static_cast<double>(rows) + m.eps));
    scratch[c] = 1.0 / column[c];
  }
  for (int64_t r = 0; r < rows; ++r) {
    const T* line = g + r * columns;
    const double part =
        sum_of<double>(columns, [=](int64_t c) { return static_cast<double>(line[c]) * line[c] * scratch[c]; });
    sum += part / row[r];
  }
  return sum * (row_total / static_cast<double>(rows));
}

template <typename T>
__attribute__((always_inline)) inline double update_some(const FactoredMoments<T>& m, int64_t begin, int64_t end,
                                                         double* scratch) {
  double sum = 0;
  for (int64_t i = begin; i < end; ++i) {
    const T* g = m.g + i * m.rows * m.columns;
    T *row = m.row + i * m.rows, *column = m.column + i * m.columns;
    sum += m.columns == 1 ? update_column(m, g, row, column) : update_matrix(m, g, row, column, scratch);
  }
  return sum;
}

template <typename T>
__attribute__((always_inline)) inline void apply_some(const FactoredMoments<T>& m, double scale, int64_t begin,
                                                      int64_t end, double* scratch) {
  const int64_t rows = m.rows, columns = m.columns;
  for (int64_t i = begin; i < end; ++i) {
    const T *g = m.g + i * rows * columns, *row = m.row + i * rows, *column = m.column + i * columns;
    T* p = m.p + i * rows * columns;
    const double step = scale * std::sqrt(total(row, rows) / static_cast<double>(rows));
    if (columns == 1) {
      const T factor = static_cast<T>(step / std::sqrt(column[0]));
      _Pragma("GCC ivdep") for (int64_t r = 0; r < rows; ++r) p[r] -= factor * g[r] / std::sqrt(row[r]);
      continue;
    }
    for (int64_t c = 0; c < columns; ++c) scratch[c] = 1.0 / std::sqrt(column[c]);
    for (int64_t r = 0; r < rows; ++r) {
      const double factor = step / std::sqrt(row[r]);
      const T* line = g + r * columns;
      T* out = p + r * columns;
      _Pragma("GCC ivdep") for (int64_t c = 0; c < columns; ++c) out[c] -=
          static_cast<T>(factor * scratch[c] * line[c]);
    }
  }
}

FATHOM_CLONES double update_f32(const FactoredMoments<float>& m, int64_t begin, int64_t end, double* scratch) {
  return update_some(m, begin, end, scratch);
}
FATHOM_CLONES double update_f64(const FactoredMoments<double>& m, int64_t begin, int64_t end, double* scratch) {
  return update_some(m, begin, end, scratch);
}
FATHOM_CLONES void apply_f32(const FactoredMoments<float>& m, double scale, int64_t begin, int64_t end,
                             double* scratch) {
  apply_some(m, scale, begin, end, scratch);
}
FATHOM_CLONES void apply_f64(const FactoredMoments<double>& m, double scale, int64_t begin, int64_t end,
                             double* scratch) {
  apply_some(m, scale, begin, end, scratch);
}

// Calls some(begin, end, scratch) for ranges of matrices that together are worth a thread's while.
template <typename T, typename Some>
void each_range(const FactoredMoments<T>& m, int64_t grain, Some some) {
  at::parallel_for(0, m.matrices, grain, [&](int64_t begin, int64_t end) {
    std::vector<double> scratch(static_cast<size_t>(m.columns));
    some(begin, end, scratch.data());
  });
}
template <typename T>
int64_t grain_of(const FactoredMoments<T>& m) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, m.rows * m.columns));
}

template <typename T, typename Update>
double update_all(const FactoredMoments<T>& m, Update update) {
  // A sum per fixed block of matrices, so that the total is the same for every number of threads.
  const int64_t grain = grain_of(m), blocks = (m.matrices + grain - 1) / grain;
  std::vector<double> sums(static_cast<size_t>(blocks));
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> scratch(static_cast<size_t>(m.columns));
    for (int64_t b = begin; b < end; ++b)
      sums[static_cast<size_t>(b)] = update(m, b * grain, std::min(m.matrices, (b + 1) * grain), scratch.data());
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace

LambSums run_with_sums(const LambKernel<float>& kernel, int64_t count) {
  return lamb_blocks(kernel, count, &lamb_block_f32);
}
LambSums run_with_sums(const LambKernel<double>& kernel, int64_t count) {
  return lamb_blocks(kernel, count, &lamb_block_f64);
}

double update_moments(const FactoredMoments<float>& moments) { return update_all(moments, &update_f32); }
double update_moments(const FactoredMoments<double>& moments) { return update_all(moments, &update_f64); }
void apply_direction(const FactoredMoments<float>& moments, double scale) {
  each_range(moments, grain_of(moments),
             [&](int64_t begin, int64_t end, double* scratch) { apply_f32(moments, scale, begin, end, scratch); });
}
void apply_direction(const FactoredMoments<double>& moments, double scale) {
  each_range(moments, grain_of(moments),
             [&](int64_t begin, int64_t end, double* scratch) { apply_f64(moments, scale, begin, end, scratch); });
}

}  // namespace fathom::optimizers
