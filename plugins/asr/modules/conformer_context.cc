#include "plugins/asr/modules/conformer_context.h"

#include <cmath>

#include "fathom/error.h"

namespace fathom::asr {
namespace {

using Style = nn::AttentionContext::Style;

constexpr int64_t kUnlimitedCache = 10000;  // frames that an attention without end to the left remembers
constexpr size_t kMostContexts = 1000;
constexpr int64_t kLongestContext = int64_t{1} << 30;

[[noreturn]] void refuse_context(const std::string& what, const char* option, const Json& seen,
                                 const std::string& expected) {
  throw Error(Code::kFailed, what).at(option).seen(json_text(seen)).expected(expected);
}

bool is_pair(const Json& value) {
  return value.is_array() && value.size() == 2 && value[0].is_number_integer() && value[1].is_number_integer();
}

Style context_style_of(const std::string& name) {
  if (name == "regular") return Style::kRegular;
  if (name == "chunked_limited") return Style::kChunked;
  if (name == "chunked_limited_with_rc") return Style::kChunkedWithRight;
  refuse_context("unknown att_context_style", "att_context_style", name,
                 "regular, chunked_limited or chunked_limited_with_rc");
}

nn::AttentionContext context_of(const Json& pair, Style style, bool only_one) {
  const auto fits = [](const Json& side) {
    return side.get<int64_t>() >= -1 && side.get<int64_t>() <= kLongestContext;
  };
  if (!is_pair(pair) || !fits(pair[0]) || !fits(pair[1])) {
    refuse_context("is no context", "att_context_size", pair,
                   "[left, right] in frames, up to " + std::to_string(kLongestContext) + "; -1 for no limit");
  }
  nn::AttentionContext context;
  context.style = style;
  context.left = pair[0];
  context.right = pair[1];
  if (style == Style::kChunked) {
    if (context.right < 0 && only_one)
      refuse_context("chunks need a look-ahead", "att_context_size", pair, "a right side from 0 on");
    if (context.left > 0 && context.right >= 0 && context.left % (context.right + 1) != 0)
      refuse_context("the left side is not a whole number of chunks", "att_context_size", pair,
                     "a multiple of right + 1 = " + std::to_string(context.right + 1));
  }
  return context;
}

}  // namespace

AttentionContexts parse_attention_contexts(const Json& sizes, const Json& probabilities, const std::string& name) {
  AttentionContexts out;
  const Style style = context_style_of(name);
  if (style == Style::kChunkedWithRight) {
    // Everything, until a stream or a caller says otherwise: as NeMo, whatever att_context_size is.
    out.all.push_back({style, -1, -1, -1});
  } else if (sizes.is_null() || (sizes.is_array() && sizes.empty())) {
    out.all.push_back({style, -1, -1, -1});
  } else if (!sizes.is_array() || sizes.size() > kMostContexts) {
    refuse_context("is no context", "att_context_size", sizes, "[left, right], a list of such pairs, or null");
  } else if (sizes[0].is_array()) {
    for (size_t i = 0; i < sizes.size(); ++i) out.all.push_back(context_of(sizes[i], style, sizes.size() == 1));
  } else {
    out.all.push_back(context_of(sizes, style, true));
  }

  const size_t count = out.all.size();
  if (probabilities.is_null() || (probabilities.is_array() && probabilities.empty())) {
    out.probabilities.assign(count, 1.0 / static_cast<double>(count));
    return out;
  }
  const std::string expected = std::to_string(count) + " probabilities, one for each context, with the sum 1";
  if (!probabilities.is_array() || probabilities.size() != count)
    refuse_context("does not fit att_context_size", "att_context_probs", probabilities, expected);
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const Json& p = probabilities[i];
    if (!p.is_number() || p.get<double>() < 0) refuse_context("is no probability", "att_context_probs", p, expected);
    out.probabilities.push_back(p.get<double>());
    sum += out.probabilities.back();
  }
  if (std::abs(sum - 1) > 1e-6) refuse_context("is no distribution", "att_context_probs", probabilities, expected);
  return out;
}

std::pair<int64_t, int64_t> parse_conv_context(const Json& size, int64_t kernel) {
  if (size.is_null()) return {(kernel - 1) / 2, (kernel - 1) / 2};
  if (size == Json("causal")) return {kernel - 1, 0};
  const auto fits = [&](const Json& side) { return side.get<int64_t>() >= 0 && side.get<int64_t>() < kernel; };
  if (!is_pair(size) || !fits(size[0]) || !fits(size[1]) ||
      size[0].get<int64_t>() + size[1].get<int64_t>() + 1 != kernel) {
    refuse_context(
        "is no context of this convolution", "conv_context_size", size,
        "causal, null, or [left, right] that add up to conv_kernel_size - 1 = " + std::to_string(kernel - 1));
  }
  return {size[0].get<int64_t>(), size[1].get<int64_t>()};
}

StreamingConfig make_streaming_config(const nn::AttentionContext& context, int64_t layers, int64_t conv_right,
                                      int64_t factor, const Subsampling::Streaming& frames,
                                      const StreamingRequest& request) {
  StreamingConfig out;
  int64_t ahead = 0;
  if (request.chunk_size > 0) {
    ahead = request.chunk_size - 1;
    out.cache_drop_size = request.chunk_size - (request.shift_size > 0 ? request.shift_size : request.chunk_size);
  } else if (context.right < 0) {
    throw Error(Code::kFailed, "an attention that sees everything ahead cannot run on a stream")
        .at("att_context_size")
        .seen("right " + std::to_string(context.right))
        .expected("a right side from 0 on")
        .next("use a model trained with a limited context, or give chunk_size");
  } else if (context.style == Style::kChunked) {
    ahead = context.right;
  } else {
    ahead = (context.right + conv_right) * layers;
    if (context.style == Style::kRegular) out.cache_drop_size = ahead;
  }
  out.last_channel_cache_size = context.left >= 0 ? context.left : kUnlimitedCache;
  if (request.chunk_size > 0 && request.left_chunks >= 0)
    out.last_channel_cache_size = request.left_chunks * request.chunk_size;

  const int64_t later = ahead - out.cache_drop_size;
  for (const int i : {0, 1}) {
    const int64_t first = i == 0 ? frames.first_frames : frames.frames;
    out.chunk_size[i] = first + factor * ahead;
    out.shift_size[i] = first + frames.frames * later;
  }
  out.valid_out_len = frames.pair ? (out.shift_size[1] - frames.frames) / factor + 1 : out.shift_size[1] / factor;
  if (frames.pair) {
    out.pre_encode_cache_size[1] = frames.cache;
    out.drop_extra_pre_encoded = frames.cache >= 1 ? 1 + (frames.cache - 1) / factor : 0;
  }
  return out;
}

Json json_of(const StreamingConfig& c) {
  return {{"chunk_size", {c.chunk_size[0], c.chunk_size[1]}},
          {"shift_size", {c.shift_size[0], c.shift_size[1]}},
          {"pre_encode_cache_size", {c.pre_encode_cache_size[0], c.pre_encode_cache_size[1]}},
          {"drop_extra_pre_encoded", c.drop_extra_pre_encoded},
          {"cache_drop_size", c.cache_drop_size},
          {"last_channel_cache_size", c.last_channel_cache_size},
          {"valid_out_len", c.valid_out_len}};
}

}  // namespace fathom::asr
