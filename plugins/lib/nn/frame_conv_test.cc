#include "plugins/lib/nn/frame_conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <array>

namespace fathom::nn {
namespace {

double frame_difference(const at::Tensor& got, const at::Tensor& expected) {
  return ((got - expected).norm() / (expected.norm() + 1e-3)).item<double>();
}
at::Tensor leaky(const at::Tensor& x, double slope) { return at::where(x < 0, x * slope, x); }
at::Tensor conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t dilation) {
  return at::conv1d(x, weight.to(at::kDouble), bias.to(at::kDouble), 1, (weight.size(2) - 1) * dilation / 2, dilation);
}

#define FATHOM_NEEDS_KERNEL \
  if (!frame_conv_applies(at::ones({1}))) GTEST_SKIP() << "this processor has no such kernel"

TEST(FrameConv, FramesAndBack) {
  const at::Tensor x = at::randn({2, 5, 7}), frames = to_frames(x);
  EXPECT_EQ(frames.sizes(), (std::vector<int64_t>{2, 7, 16}));
  EXPECT_TRUE(at::equal(from_frames(frames, 5), x));
  EXPECT_EQ(frames.narrow(2, 5, 11).abs().max().item<float>(), 0);
}

TEST(FrameConv, IsTheConvolution) {
  FATHOM_NEEDS_KERNEL;
  for (const auto& [in, out, kernel, dilation] :
       {std::array<int64_t, 4>{80, 512, 7, 1}, {32, 1, 7, 1}, {5, 40, 3, 4}}) {
    for (const int64_t time : {1, 2, 13, 300, 1100}) {
      at::manual_seed(in + time);
      const at::Tensor x = at::randn({2, in, time}), weight = at::randn({out, in, kernel}), bias = at::randn({out});
      const at::Tensor got =
          from_frames(leaky_frame_conv(to_frames(x), pack_frame_conv(weight, bias, dilation), 0.1F), out);
      EXPECT_LT(frame_difference(got, conv(leaky(x.to(at::kDouble), 0.1), weight, bias, dilation)), 1e-6)
          << in << " " << out << " " << time;
    }
  }
}

TEST(FrameConv, LengthensAsTransposedConvolutionsDo) {
  FATHOM_NEEDS_KERNEL;
  for (const auto& [in, out, kernel, rate] : {std::array<int64_t, 4>{512, 256, 16, 8},
                                              {64, 32, 4, 2},
                                              {8, 3, 7, 3},
                                              {16, 16, 5, 5},
                                              {6, 20, 11, 3},
                                              {4, 4, 1, 1},
                                              {4, 4, 9, 1}}) {
    for (const int64_t time : {1, 2, 25, 210}) {
      at::manual_seed(in + time);
      const at::Tensor x = at::randn({2, in, time}), weight = at::randn({in, out, kernel}), bias = at::randn({out});
      const at::Tensor got =
          from_frames(leaky_frame_upsampling(to_frames(x), pack_frame_upsampling(weight, bias, rate), 0.1F), out);
      const at::Tensor expected = at::conv_transpose1d(leaky(x.to(at::kDouble), 0.1), weight.to(at::kDouble),
                                                       bias.to(at::kDouble), rate, (kernel - rate) / 2);
      ASSERT_EQ(got.sizes(), expected.sizes());
      EXPECT_LT(frame_difference(got, expected), 1e-6) << in << " " << kernel << " " << rate << " " << time;
    }
  }
}

TEST(FrameConv, ResidualsAreAddedAndScaled) {
  FATHOM_NEEDS_KERNEL;
  for (const auto& [channels, kernel, dilation] :
       {std::array<int64_t, 3>{32, 11, 5}, {256, 3, 1}, {48, 7, 3}, {2, 3, 5}}) {
    for (const int64_t time : {1, 30, 1000, 2100}) {
      at::manual_seed(channels + time);
      const at::Tensor x = at::randn({2, channels, time}), weight = at::randn({channels, channels, kernel}) * 0.1,
                       bias = at::randn({channels}), other = at::randn({channels, channels, 3}) * 0.1;
      const FrameTaps first = pack_frame_conv(weight, bias, dilation), second = pack_frame_conv(other, bias, 1);
      const at::Tensor wide = x.to(at::kDouble), inner = conv(leaky(wide, 0.1), weight, bias, dilation);
      for (const bool both : {false, true}) {
        const at::Tensor expected = (wide + (both ? conv(leaky(inner, 0.1), other, bias, 1) : inner)) * 0.5;
        at::Tensor out = at::empty_like(to_frames(x));
        frame_residual(to_frames(x), first, both ? &second : nullptr, 0.1F, 0.5F, false, out);
        EXPECT_LT(frame_difference(from_frames(out, channels), expected), 1e-6) << channels << " " << time << both;
        frame_residual(to_frames(x), first, both ? &second : nullptr, 0.1F, 0.5F, true, out);
        EXPECT_LT(frame_difference(from_frames(out, channels), expected * 2), 1e-6) << channels << " " << time << both;
      }
    }
  }
}

TEST(FrameConv, TilesGiveTheSameWithFewerMultiplications) {
  FATHOM_NEEDS_KERNEL;
  for (const auto& [channels, kernel, dilation] : {std::array<int64_t, 3>{32, 11, 5},
                                                   {256, 3, 1},
                                                   {48, 7, 3},
                                                   {64, 5, 2},
                                                   {32, 3, 5},
                                                   {128, 11, 1},
                                                   {16, 13, 4}}) {
    for (const int64_t time : {1, 7, 120, 121, 1000, 2111}) {
      at::manual_seed(channels + time);
      const at::Tensor x = at::randn({2, channels, time}), weight = at::randn({channels, channels, kernel}) * 0.1,
                       bias = at::randn({channels}), other = at::randn({channels, channels, 7}) * 0.1;
      const FrameTaps first = pack_frame_conv(weight, bias, dilation, true),
                      second = pack_frame_conv(other, bias, 1, true);
      ASSERT_GT(first.points, 0);
      const at::Tensor wide = x.to(at::kDouble), inner = conv(leaky(wide, 0.1), weight, bias, dilation);
      EXPECT_LT(frame_difference(from_frames(leaky_frame_conv(to_frames(x), first, 0.1F), channels), inner), 2e-6);
      for (const bool both : {false, true}) {
        const at::Tensor expected = (wide + (both ? conv(leaky(inner, 0.1), other, bias, 1) : inner)) * 0.5;
        at::Tensor out = at::empty_like(to_frames(x));
        frame_residual(to_frames(x), first, both ? &second : nullptr, 0.1F, 0.5F, false, out);
        EXPECT_LT(frame_difference(from_frames(out, channels), expected), 2e-6) << channels << " " << time << both;
      }
    }
  }
}

// A part that begins at a multiple of the alignment has the bits of the whole, where both see the same.
TEST(FrameConv, PartsByTilesHaveTheBitsOfTheWhole) {
  FATHOM_NEEDS_KERNEL;
  at::manual_seed(5);
  const at::Tensor x = at::randn({1, 1500, 32});
  for (const auto& [kernel, dilation] : {std::array<int64_t, 2>{3, 1}, {7, 3}, {11, 5}}) {
    const FrameTaps first = pack_frame_conv(at::randn({32, 32, kernel}), at::randn({32}), dilation, true),
                    second = pack_frame_conv(at::randn({32, 32, kernel}), at::randn({32}), 1, true);
    at::Tensor whole = at::empty_like(x);
    frame_residual(x, first, &second, 0.1F, 1, false, whole);
    const int64_t step = frame_alignment(first), sees = 60;
    for (const int64_t begin : {step, 9 * step, 17 * step}) {
      for (const int64_t end : {begin + 400, begin + 777}) {
        const at::Tensor part = x.slice(1, begin, end).contiguous();
        at::Tensor out = at::empty_like(part);
        frame_residual(part, first, &second, 0.1F, 1, false, out);
        const auto inside = [&](const at::Tensor& y, int64_t from) {
          return y.slice(1, from + sees, from + end - begin - sees);
        };
        EXPECT_TRUE(at::equal(inside(out, 0), inside(whole, begin))) << kernel << " " << begin << " " << end;
      }
    }
  }
}

TEST(FrameConv, DoesNotDependOnTheNumberOfThreads) {
  FATHOM_NEEDS_KERNEL;
  const at::Tensor x = at::randn({1, 3000, 32});
  const at::Tensor weight = at::randn({32, 32, 7}), bias = at::randn({32});
  const int threads = at::get_num_threads();
  for (const bool by_tiles : {false, true}) {
    const FrameTaps taps = pack_frame_conv(weight, bias, 3, by_tiles);
    at::Tensor one = at::empty_like(x), two = at::empty_like(x);
    at::set_num_threads(1);
    frame_residual(x, taps, nullptr, 0.1F, 1, false, one);
    at::set_num_threads(2);
    frame_residual(x, taps, nullptr, 0.1F, 1, false, two);
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(one, two));
  }
}

}  // namespace
}  // namespace fathom::nn
