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

// A word of a sequence of tokens: which of them it is made of, and those whose frames it begins and ends with.
struct Word {
  std::vector<size_t> tokens;
  std::string text;
  size_t first = 0, last = 0;
};
// kCharacters: between tokens that are `word_separator`. Subwords: from one word's first piece to the next one's.
// A punctuation mark belongs to the word before it, even behind a blank; the first word begins with the first token.
std::vector<Word> words_of(const std::vector<int64_t>& tokens, const text::Vocabulary& vocabulary,
                           const std::string& word_separator);

struct TimestampOptions {
  std::string type = "all";  // char, word, segment or all
  std::string word_separator = " ";
  std::vector<std::string> segment_separators = {".", "!", "?"};  // a word that is or ends with one ends a segment
  int64_t segment_gap = 0;  // frames; a pause this long begins a segment, and then few marks do; 0: pauses do not count
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
