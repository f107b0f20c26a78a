#include "plugins/asr/decoding/hypothesis.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace fathom::asr {
namespace {

std::vector<Offset> segments_of(const std::vector<Offset>& words, const TimestampOptions& options) {
  std::vector<Offset> segments;
  std::vector<std::string> texts;
  size_t first = 0;
  const auto close = [&](size_t last) {
    std::string text;
    for (const auto& word : texts) text += (text.empty() ? "" : " ") + word;
    segments.push_back({text, words[first].start, words[last].end});
    texts.clear();
  };
  const auto ends_segment = [&](const std::string& word) {
    return std::any_of(options.segment_separators.begin(), options.segment_separators.end(),
                       [&](const std::string& mark) { return !mark.empty() && word.ends_with(mark); });
  };
  for (size_t i = 0; i < words.size(); ++i) {
    if (options.segment_gap && !texts.empty() && words[i].start - words[i - 1].end >= *options.segment_gap) {
      close(i - 1);
      first = i;
    }
    texts.push_back(words[i].text);
    if (ends_segment(words[i].text)) {
      close(i);
      first = i + 1;
    }
  }
  if (!texts.empty()) close(words.size() - 1);
  return segments;
}

void append_offsets(Json& out, const char* key, const std::vector<Offset>& offsets, double seconds_per_frame) {
  Json list = Json::array();
  for (const auto& offset : offsets) {
    list.push_back({{key, offset.text},
                    {"start_offset", offset.start},
                    {"end_offset", offset.end},
                    {"start", static_cast<double>(offset.start) * seconds_per_frame},
                    {"end", static_cast<double>(offset.end) * seconds_per_frame}});
  }
  out[key] = std::move(list);
}

}  // namespace

std::vector<std::vector<size_t>> words_of(const std::vector<int64_t>& tokens, const text::Vocabulary& vocabulary,
                                          const std::string& word_separator) {
  std::vector<std::vector<size_t>> words;
  bool open = false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (vocabulary.kind() == text::Vocabulary::Kind::kCharacters && vocabulary.token(tokens[i]) == word_separator) {
      open = false;
      continue;
    }
    const bool begins = vocabulary.starts_word(tokens[i]) && !vocabulary.is_punctuation_token(tokens[i]);
    if (!open || begins) words.emplace_back();
    words.back().push_back(i);
    open = true;
  }
  return words;
}

void add_offsets(Hypothesis& hypothesis, const std::vector<int64_t>& tokens, std::vector<Offset> offsets,
                 const text::Vocabulary& vocabulary, const TimestampOptions& options) {
  hypothesis.has_timestamps = true;
  std::vector<Offset> words;
  for (const auto& word : words_of(tokens, vocabulary, options.word_separator)) {
    std::vector<int64_t> ids;
    for (const size_t i : word) ids.push_back(tokens[i]);
    std::string text = vocabulary.decode(ids);
    if (!text.empty()) words.push_back({std::move(text), offsets[word.front()].start, offsets[word.back()].end});
  }
  const auto wants = [&](const char* type) { return options.type == "all" || options.type == type; };
  if (wants("segment")) hypothesis.segments = segments_of(words, options);
  if (wants("word")) hypothesis.words = std::move(words);
  if (wants("char")) hypothesis.chars = std::move(offsets);
}

Json timestamps_json(const Hypothesis& hypothesis, double seconds_per_frame) {
  Json out = Json::object();
  append_offsets(out, "char", hypothesis.chars, seconds_per_frame);
  append_offsets(out, "word", hypothesis.words, seconds_per_frame);
  append_offsets(out, "segment", hypothesis.segments, seconds_per_frame);
  return out;
}

std::vector<std::string> texts_of(const text::Vocabulary& vocabulary, const at::Tensor& ids,
                                  const at::Tensor& lengths) {
  const at::Tensor host = ids.to(at::kCPU, at::kLong).contiguous(),
                   counts = lengths.to(at::kCPU, at::kLong).contiguous();
  std::vector<std::string> out;
  for (int64_t b = 0; b < host.size(0); ++b) {
    const int64_t* row = host.data_ptr<int64_t>() + b * host.size(1);
    out.push_back(vocabulary.decode({row, row + std::clamp<int64_t>(counts.data_ptr<int64_t>()[b], 0, host.size(1))}));
  }
  return out;
}

}  // namespace fathom::asr
