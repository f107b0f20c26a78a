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

double sum_of_squares(const at::Tensor& given) {
  const bool native = given.scalar_type() == at::kDouble || given.scalar_type() == at::kFloat;
  const at::Tensor wide = native ? given : given.to(at::kFloat);
  const at::Tensor tensor = wide.is_non_overlapping_and_dense() ? wide : wide.contiguous();
  const int64_t count = tensor.numel();
  if (tensor.scalar_type() == at::kDouble) return blocked(values<double>(tensor), count, &squares_f64);
  return blocked(values<float>(tensor), count, &squares_f32);
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

}  // namespace fathom::optimizers
