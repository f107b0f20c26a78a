// Convolutions of vocoders without a graph to build: rows (T, C), a frame's channels side by side, so that what a tap
// reads of a frame is a run of memory and nothing is unfolded. Leaky ReLU is applied as rows are read, residuals are
// added as rows are written, and what lies between the two convolutions of a residual block never leaves the
// second-level cache. Weights are laid out once, as the kernel reads them.
//
// Channels stand in multiples of kFrameStep, the last of them zeros; frames beyond the ends are zeros too.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace fathom::nn {

constexpr int64_t kFrameStep = 16;
// Channels as rows hold them.
inline int64_t frame_width(int64_t channels) { return (channels + kFrameStep - 1) / kFrameStep * kFrameStep; }

// Whether this processor has the kernel (AVX-512), x is float32 on the CPU, and oneDNN is not switched off.
bool frame_conv_applies(const at::Tensor& x);

// Weights of taps as the kernel reads them: panels of up to 32 columns, each (taps, in, columns).
struct FrameTaps {
  int64_t taps = 0, in = 0, columns = 0, dilation = 1;
  std::vector<at::Tensor> panels;
  at::Tensor bias;  // (columns)
  // Of convolutions by tiles (tile_transform.h): panels of each point in turn, each (chunks, in, columns).
  int64_t points = 0, chunks = 0;  // points 0: by the plain sum
  std::vector<at::Tensor> point_panels;
};
// Of a convolution of stride 1 with same padding of an odd kernel: weight (out, in, kernel), bias (out). Kernels of 3
// taps and more go by tiles where `by_tiles`.
FrameTaps pack_frame_conv(const at::Tensor& weight, const at::Tensor& bias, int64_t dilation, bool by_tiles = false);
// By tiles, the rows of a part have the bits of the whole where the part begins at a multiple of so many rows.
int64_t frame_alignment(const FrameTaps& conv);

// Phases of a transposed convolution, each an ordinary one of few taps; phases that read the same frames are one.
struct FrameUpsampling {
  struct Group {
    int64_t first_phase = 0, first_frame = 0;  // the first frame that the window of frame 0 reads
    FrameTaps taps;                            // columns: the group's phases, each as wide as a row
  };
  int64_t rate = 1, out = 0, before = 0, after = 0;  // frames that windows reach beyond a frame
  std::vector<Group> groups;
};
// weight (in, out, kernel), bias (out); padding (kernel - rate) / 2, so that it lengthens by exactly `rate`.
FrameUpsampling pack_frame_upsampling(const at::Tensor& weight, const at::Tensor& bias, int64_t rate);

// (B, C, T) -> (B, T, frame_width(C)), and back.
at::Tensor to_frames(const at::Tensor& x);
at::Tensor from_frames(const at::Tensor& x, int64_t channels);

// x (B, T, in) -> (B, T, columns): conv(leaky_relu(x)); a slope of 1 leaves x as it is.
at::Tensor leaky_frame_conv(const at::Tensor& x, const FrameTaps& conv, float slope);
// x (B, T, in) -> (B, T · rate, out).
at::Tensor leaky_frame_upsampling(const at::Tensor& x, const FrameUpsampling& up, float slope);
// One step of a residual block: r = x + second(leaky_relu(first(leaky_relu(x)))), or without the second; then
// out = scale · r, or out += scale · r if `add`. out (B, T, in) is not x. Rows are shared among threads; a row's result
// depends on nothing but the rows it sees and, by tiles, where it lies among multiples of frame_alignment().
void frame_residual(const at::Tensor& x, const FrameTaps& first, const FrameTaps* second, float slope, float scale,
                    bool add, at::Tensor& out);

}  // namespace fathom::nn
