#include "plugins/lib/audio/mfcc_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fathom::audio {
namespace {

#if defined(__x86_64__)
#define FATHOM_MFCC_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FATHOM_MFCC_CLONES
#endif
#define FATHOM_INLINE inline __attribute__((always_inline))

typedef float Lanes __attribute__((vector_size(kMfccLanes * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef int32_t Bits __attribute__((vector_size(kMfccLanes * sizeof(int32_t)), aligned(sizeof(int32_t)), may_alias));

FATHOM_INLINE Lanes& at(float* x, int64_t index) { return *reinterpret_cast<Lanes*>(x + index * kMfccLanes); }
FATHOM_INLINE const Lanes& at(const float* x, int64_t index) {
  return *reinterpret_cast<const Lanes*>(x + index * kMfccLanes);
}

// Sixteen rows of sixteen become columns, by halves, quarters and so on.
template <int Distance>
FATHOM_INLINE void exchange(Lanes* rows) {
  Bits low{}, high{};
#pragma GCC unroll 16
  for (int lane = 0; lane < kMfccLanes; ++lane) {
    low[lane] = (lane & Distance) == 0 ? lane : static_cast<int>(kMfccLanes) + lane - Distance;
    high[lane] = (lane & Distance) == 0 ? lane + Distance : static_cast<int>(kMfccLanes) + lane;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kMfccLanes; ++i) {
    if ((i & Distance) != 0) continue;
    const Lanes a = rows[i], b = rows[i + Distance];
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i + Distance] = __builtin_shuffle(a, b, high);
  }
}
FATHOM_INLINE void transpose(Lanes* rows) {
  exchange<8>(rows);
  exchange<4>(rows);
  exchange<2>(rows);
  exchange<1>(rows);
}

// log(x) of positive, normal numbers: the polynomial of the Cephes library (Moshier) on [1/√2, √2). Infinity and what
// is no number stay, so that they are seen.
FATHOM_INLINE Lanes log_of(Lanes given) {
  Lanes x = given;
  Bits bits;
  std::memcpy(&bits, &x, sizeof bits);
  Bits exponent = (bits >> 23) - 126;
  bits = (bits & 0x007fffff) | 0x3f000000;
  Lanes m;
  std::memcpy(&m, &bits, sizeof m);  // [0.5, 1)
  const Bits small = m < 0.707106781186547524F;
  exponent += small;  // -1 where it is small
  const Lanes doubled = m + m;
  m = (small ? doubled : m) - 1.0F;
  const Lanes e = __builtin_convertvector(exponent, Lanes), z = m * m;
  Lanes y = m * 7.0376836292E-2F - 1.1514610310E-1F;
  for (const float c : {1.1676998740E-1F, -1.2420140846E-1F, 1.4249322787E-1F, -1.6668057665E-1F, 2.0000714765E-1F,
                        -2.4999993993E-1F, 3.3333331174E-1F})
    y = y * m + c;
  y = y * m * z + e * -2.12194440E-4F - 0.5F * z;
  const Lanes zero = given - given, result = m + y + e * 0.693359375F;
  return zero == 0.0F ? result : given;
}

// One pass of a transform whose butterflies stand `step` apart: (re, im) pairs of lanes, from x to y.
FATHOM_INLINE void pass_of_four(int64_t quarter, int64_t step, const float* w, const float* x, float* y) {
  for (int64_t p = 0; p < quarter; ++p, w += 6) {
    for (int64_t q = 0; q < step; ++q) {
      const auto in = [&](int64_t part) { return 2 * (q + step * (p + part * quarter)); };
      const auto out = [&](int64_t part) { return 2 * (q + step * (4 * p + part)); };
      const Lanes ar = at(x, in(0)), ai = at(x, in(0) + 1), br = at(x, in(1)), bi = at(x, in(1) + 1);
      const Lanes cr = at(x, in(2)), ci = at(x, in(2) + 1), dr = at(x, in(3)), di = at(x, in(3) + 1);
      const Lanes sr = ar + cr, si = ai + ci, tr = ar - cr, ti = ai - ci;
      const Lanes ur = br + dr, ui = bi + di, vr = br - dr, vi = bi - di;  // j v = (-vi, vr)
      const Lanes fr = tr + vi, fi = ti - vr, gr = sr - ur, gi = si - ui, hr = tr - vi, hi = ti + vr;
      at(y, out(0)) = sr + ur;
      at(y, out(0) + 1) = si + ui;
      at(y, out(1)) = fr * w[0] - fi * w[1];
      at(y, out(1) + 1) = fr * w[1] + fi * w[0];
      at(y, out(2)) = gr * w[2] - gi * w[3];
      at(y, out(2) + 1) = gr * w[3] + gi * w[2];
      at(y, out(3)) = hr * w[4] - hi * w[5];
      at(y, out(3) + 1) = hr * w[5] + hi * w[4];
    }
  }
}

FATHOM_INLINE void pass_of_two(int64_t step, const float* x, float* y) {
  for (int64_t q = 0; q < step; ++q) {
    const Lanes ar = at(x, 2 * q), ai = at(x, 2 * q + 1), br = at(x, 2 * (q + step)), bi = at(x, 2 * (q + step) + 1);
    at(y, 2 * q) = ar + br;
    at(y, 2 * q + 1) = ai + bi;
    at(y, 2 * (q + step)) = ar - br;
    at(y, 2 * (q + step) + 1) = ai - bi;
  }
}

// The spectrum of `half` complex numbers; where it lies then: x or y.
FATHOM_MFCC_CLONES float* transform(int64_t half, const float* twiddles, float* x, float* y) {
  int64_t step = 1;
  for (int64_t left = half; left > 1;) {
    if (left >= 4) {
      pass_of_four(left / 4, step, twiddles, x, y);
      twiddles += left / 4 * 6;
      left /= 4;
      step *= 4;
    } else {
      pass_of_two(step, x, y);
      left = 1;
    }
    std::swap(x, y);
  }
  return x;
}

// Samples 2k and 2k + 1 of each lane's frame as one complex number.
FATHOM_MFCC_CLONES void load_frames(int64_t n_fft, const float* const* frames, const float* window, float* to) {
  for (int64_t sample = 0; sample < n_fft; sample += kMfccLanes) {
    Lanes rows[kMfccLanes];
    const Lanes weights = *reinterpret_cast<const Lanes*>(window + sample);
#pragma GCC unroll 16
    for (int lane = 0; lane < kMfccLanes; ++lane)
      rows[lane] = *reinterpret_cast<const Lanes*>(frames[lane] + sample) * weights;
    transpose(rows);
#pragma GCC unroll 16
    for (int i = 0; i < kMfccLanes; ++i) at(to, sample + i) = rows[i];
  }
}

// |X|² of the real transform, from the complex one of half the length.
FATHOM_MFCC_CLONES void powers_of(int64_t half, const float* halves, const float* z, float* power) {
  const Lanes re = at(z, 0), im = at(z, 1);
  at(power, 0) = (re + im) * (re + im);
  at(power, half) = (re - im) * (re - im);
  for (int64_t k = 1; k < half; ++k) {
    const Lanes ar = at(z, 2 * k), ai = at(z, 2 * k + 1), br = at(z, 2 * (half - k)), bi = at(z, 2 * (half - k) + 1);
    const Lanes er = ar + br, ei = ai - bi, dr = ar - br, di = ai + bi;
    const float c = halves[2 * k], s = halves[2 * k + 1];
    // e - i w d, halved
    const Lanes xr = 0.5F * (er + (di * c + dr * s)), xi = 0.5F * (ei - (dr * c - di * s));
    at(power, k) = xr * xr + xi * xi;
  }
}

FATHOM_MFCC_CLONES void band_of(int64_t count, const float* weights, const float* power, float offset, float* to) {
  Lanes sum{};
  for (int64_t i = 0; i < count; ++i) sum += at(power, i) * weights[i];
  at(to, 0) = log_of(sum + offset);
}

constexpr int64_t kCosines = 16;  // coefficients that stay in registers

FATHOM_MFCC_CLONES void cosine_sums(int64_t bands, int64_t coefficients, int64_t first, int64_t used,
                                    const float* cosines, const float* logs, float* to) {
  Lanes sums[kCosines] = {};
  for (int64_t n = 0; n < bands; ++n) {
    const Lanes value = at(logs, n);
    const float* row = cosines + n * coefficients + first;
    if (used == kCosines) {
#pragma GCC unroll 16
      for (int64_t k = 0; k < kCosines; ++k) sums[k] += value * row[k];
    } else {
      for (int64_t k = 0; k < used; ++k) sums[k] += value * row[k];
    }
  }
  for (int64_t k = 0; k < used; ++k) at(to, k) = sums[k];
}

}  // namespace

MfccKernel::MfccKernel(const Plan& plan) : plan_(plan) {
  const int64_t half = plan_.n_fft / 2, bins = half + 1;
  for (int64_t left = half; left >= 4; left /= 4) {
    for (int64_t p = 0; p < left / 4; ++p) {
      for (int power = 1; power <= 3; ++power) {
        const double angle = -2 * M_PI * static_cast<double>(p * power) / static_cast<double>(left);
        twiddles_.push_back(static_cast<float>(std::cos(angle)));
        twiddles_.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  }
  for (int64_t k = 0; k < half; ++k) {
    const double angle = -2 * M_PI * static_cast<double>(k) / static_cast<double>(plan_.n_fft);
    halves_.push_back(static_cast<float>(std::cos(angle)));
    halves_.push_back(static_cast<float>(std::sin(angle)));
  }
  for (int64_t band = 0; band < plan_.bands; ++band) {
    const auto weight = [&](int64_t bin) { return plan_.filters[static_cast<size_t>(bin * plan_.bands + band)]; };
    int64_t first = 0, last = bins;
    while (first < bins && weight(first) == 0) ++first;
    while (last > first && weight(last - 1) == 0) --last;
    bands_.push_back({first, last - first, static_cast<int64_t>(weights_.size())});
    for (int64_t bin = first; bin < last; ++bin) weights_.push_back(weight(bin));
  }
}

int64_t MfccKernel::scratch() const {
  return kMfccLanes * (2 * plan_.n_fft + plan_.n_fft / 2 + 1 + plan_.bands + kCosines);
}

void MfccKernel::run(const float* x, int64_t first, int64_t count, float* out, int64_t stride, float* scratch) const {
  const int64_t half = plan_.n_fft / 2;
  float *a = scratch, *b = a + kMfccLanes * plan_.n_fft, *power = b + kMfccLanes * plan_.n_fft,
        *logs = power + kMfccLanes * (half + 1), *sums = logs + kMfccLanes * plan_.bands;
  const float* frames[kMfccLanes];
  for (int64_t lane = 0; lane < kMfccLanes; ++lane) frames[lane] = x + (first + std::min(lane, count - 1)) * plan_.hop;
  load_frames(plan_.n_fft, frames, plan_.window.data(), a);
  powers_of(half, halves_.data(), transform(half, twiddles_.data(), a, b), power);
  for (int64_t band = 0; band < plan_.bands; ++band) {
    const Band& own = bands_[static_cast<size_t>(band)];
    band_of(own.count, weights_.data() + own.weights, power + own.first * kMfccLanes, plan_.offset,
            logs + band * kMfccLanes);
  }
  for (int64_t k = 0; k < plan_.coefficients; k += kCosines) {
    const int64_t used = std::min(kCosines, plan_.coefficients - k);
    cosine_sums(plan_.bands, plan_.coefficients, k, used, plan_.cosines.data(), logs, sums);
    for (int64_t i = 0; i < used; ++i) std::copy_n(sums + i * kMfccLanes, count, out + (k + i) * stride + first);
  }
}

}  // namespace fathom::audio
