#include "plugins/asr/decoding/hypothesis.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "fathom/utf8.h"

namespace fathom::asr {
namespace {

// NeMo's segments. Once pauses count, a mark ends a segment of one word only.
std::vector<Offset> segments_of(const std::vector<Offset>& words, const TimestampOptions& options) {
  std::vector<Offset> segments;
  std::string text;
  size_t first = 0, count = 0;  // words of the open segment
  const auto close = [&](size_t last) {
    segments.push_back({text, words[first].start, words[last].end});
    text.clear();
    count = 0;
  };
  const auto add = [&](size_t i) {
    if (count == 0)
      first = i;
    else
      text += ' ';
    text += words[i].text;
    ++count;
  };
  const auto is_mark = [&](std::string_view mark) {
    return std::find(options.segment_separators.begin(), options.segment_separators.end(), mark) !=
           options.segment_separators.end();
  };
  const auto ends_segment = [&](const std::string& word) {
    size_t last = word.empty() ? 0 : word.size() - 1;
    while (last > 0 && utf8::is_continuation(word[last])) --last;
    return !word.empty() && (is_mark(word) || is_mark(std::string_view(word).substr(last)));
  };
  for (size_t i = 0; i < words.size(); ++i) {
    if (options.segment_gap != 0 && count > 0) {
      if (words[i].start - words[i - 1].end >= options.segment_gap) close(i - 1);
      add(i);
      continue;
    }
    add(i);
    if (ends_segment(words[i].text)) close(i);
  }
  if (count > 0) close(words.size() - 1);
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

std::vector<Word> words_of(const std::vector<int64_t>& tokens, const text::Vocabulary& vocabulary,
                           const std::string& word_separator) {
  const size_t count = tokens.size();
  const bool blanks = word_separator == " ", pieces = vocabulary.kind() != text::Vocabulary::Kind::kCharacters;
  std::vector<std::string> texts;
  for (const int64_t token : tokens) texts.push_back(vocabulary.token_text(token));
  const auto is_mark = [&](size_t i) { return i < count && vocabulary.is_punctuation_mark(tokens[i]); };
  // The next token that is no separator; `count` behind the last one.
  std::vector<size_t> next(count, count);
  for (size_t i = count; i-- > 1;) next[i - 1] = texts[i].empty() || texts[i] == word_separator ? next[i] : i;
  // A blank before a mark parts no words: the mark belongs to the word before it.
  const auto parts = [&](size_t i) { return texts[i] == word_separator && !(blanks && is_mark(next[i])); };

  std::vector<Word> words;
  std::vector<size_t> built;
  size_t first = 0;
  const auto close = [&](size_t last) {
    if (built.empty()) return;
    std::vector<int64_t> ids;
    for (const size_t i : built) ids.push_back(tokens[i]);
    // NeMo gives the first word the time from the first token on.
    words.push_back({built, vocabulary.decode(ids), words.empty() ? 0 : first, last});
    built.clear();
  };
  for (size_t i = 0; i < count; ++i) {
    const bool mark = is_mark(i) && texts[i] != word_separator;
    const bool starts = (pieces && blanks && vocabulary.starts_word(tokens[i])) || parts(i);
    if (starts && !mark) {
      if (i > 0) close(i - 1);
      if (texts[i] == word_separator) continue;
      first = i;
    } else if (mark && built.empty() && !words.empty()) {
      Word& word = words.back();
      if (word.text.ends_with(' ')) word.text.pop_back();
      word.text += texts[i];
      word.tokens.push_back(i);
      word.last = i;
      continue;
    } else if (mark && !built.empty()) {
      const std::string& before = vocabulary.token(tokens[built.back()]);
      if (before == " " || before == "_" || before == "\u2581") built.pop_back();
    } else if (built.empty()) {
      first = i;
    }
    built.push_back(i);
  }
  if (count > 0) close(count - 1);
  return words;
}

void add_offsets(Hypothesis& hypothesis, const std::vector<int64_t>& tokens, std::vector<Offset> offsets,
                 const text::Vocabulary& vocabulary, const TimestampOptions& options) {
  hypothesis.has_timestamps = true;
  std::vector<Offset> words;
  for (const Word& word : words_of(tokens, vocabulary, options.word_separator))
    words.push_back({word.text, offsets[word.first].start, offsets[word.last].end});
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
