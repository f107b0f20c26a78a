// What decoding finds in one item: text, timestamps, confidences; and how tokens become words and segments.
#pragma once

#include <ATen/core/Tensor.h>

#include "fathom/support.h"
#include "plugins/lib/text/vocabulary.h"

namespace fathom::asr {

// A stretch of text with encoder frames: it starts where the one before ends, and ends at its own first frame.
struct Offset {
  std::string text;
  int64_t start = 0, end = 0;
};

struct Hypothesis {
  std::string text;
  double score = 0;                 // sum of the best log-probabilities over frames that are not blank
  std::vector<int64_t> y_sequence;  // best class of every frame, blanks included; of a beam: its tokens
  bool has_timestamps = false;
  std::vector<int64_t> timestep;  // frames that are not blank
  std::vector<Offset> chars, words, segments;
  std::vector<double> frame_confidence, token_confidence, word_confidence;
};

// Index ranges of the tokens of each word. kCharacters: between tokens that are `word_separator`. kSentencePiece: from
// one word's first piece to the next one's; punctuation belongs to the word before it.
std::vector<std::vector<size_t>> words_of(const std::vector<int64_t>& tokens, const text::Vocabulary& vocabulary,
                                          const std::string& word_separator);

struct TimestampOptions {
  std::string type = "all";  // char, word, segment or all
  std::string word_separator = " ";
  std::vector<std::string> segment_separators = {".", "!", "?"};  // a word that ends with one ends a segment
  std::optional<int64_t> segment_gap;                             // frames; a pause this long begins a segment
};
// Fills hypothesis.chars, words and segments from the tokens and the frames of each.
void add_offsets(Hypothesis& hypothesis, const std::vector<int64_t>& tokens, std::vector<Offset> offsets,
                 const text::Vocabulary& vocabulary, const TimestampOptions& options);

// NeMo's timestamp object: {"char": [{"char", "start_offset", "end_offset", "start", "end"}], "word": …, "segment": …};
// `seconds_per_frame` turns offsets into start and end.
Json timestamps_json(const Hypothesis& hypothesis, double seconds_per_frame);

// The texts of rows of token ids without blanks: ids (B,U), lengths (B), on any device.
std::vector<std::string> texts_of(const text::Vocabulary& vocabulary, const at::Tensor& ids, const at::Tensor& lengths);

}  // namespace fathom::asr
