#include "plugins/lib/text/vocabulary.h"

#include <algorithm>

#include "fathom/error.h"
#include "fathom/utf8.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {
constexpr std::string_view kWordMark = "\u2581";
// A token that is no text, or goes on with a word: NeMo takes no punctuation from these.
bool is_special(std::string_view token) {
  return (token.starts_with('[') && token.ends_with(']') && token.size() > 1) ||
         (token.starts_with('<') && token.ends_with('>') && token.size() > 1) || token.starts_with("##") ||
         token.starts_with(kWordMark);
}

constexpr std::string_view kUnknown = "<unk>", kUnknownText = " \u2047 ";
}  // namespace

Vocabulary::Vocabulary(std::vector<std::string> tokens, Kind kind) : tokens_(std::move(tokens)), kind_(kind) {
  note_punctuation();
}

Vocabulary::Vocabulary(std::shared_ptr<const SubwordTokenizer> tokenizer)
    : tokens_(tokenizer->vocabulary()), tokenizer_(std::move(tokenizer)), kind_(Kind::kTokenizer) {
  note_punctuation();
}

void Vocabulary::note_punctuation() {
  for (const auto& token : tokens_) {
    if (is_special(token)) continue;
    for (const char32_t c : code_points(token)) {
      if (is_punctuation(c)) punctuation_.insert(c);
    }
  }
}

std::string Vocabulary::decode(const std::vector<int64_t>& ids) const {
  if (tokenizer_) return tokenizer_->ids_to_text(ids);
  std::string joined;
  for (const int64_t id : ids) {
    if (id < 0 || id >= size()) {
      throw Error(Code::kFailed, "a token id lies outside the vocabulary")
          .seen(std::to_string(id))
          .expected("0 to " + std::to_string(size() - 1));
    }
    joined += kind_ == Kind::kSentencePiece && tokens_[id] == kUnknown ? kUnknownText : tokens_[id];
  }
  if (kind_ == Kind::kCharacters) return joined;
  std::string out;
  const bool drop_first = std::string_view(joined).starts_with(kWordMark);
  for (size_t at = drop_first ? kWordMark.size() : 0; at < joined.size();) {
    if (joined.compare(at, kWordMark.size(), kWordMark) == 0) {
      out += ' ';
      at += kWordMark.size();
    } else {
      out += joined[at++];
    }
  }
  return out;
}

std::string Vocabulary::decode_text(const std::vector<int64_t>& ids) const {
  const std::string text = decode(ids);
  if (punctuation_.empty()) return text;
  std::string out;
  size_t blank = 0;  // length of the white space that `out` ends with, if its last character is one
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const size_t length = std::max<size_t>(utf8::decode(text, at, &c), 1);
    if (blank > 0 && punctuation_.count(c) != 0) out.resize(out.size() - blank);
    blank = utf8::is_white_space(c) ? length : 0;
    out.append(text, at, length);
    at += length;
  }
  return out;
}

bool Vocabulary::starts_word(int64_t id) const {
  if (tokenizer_) return tokenizer_->starts_word(id);
  return kind_ == Kind::kSentencePiece && token_text(id) != tokens_.at(id);
}

bool Vocabulary::begins_with_punctuation(int64_t id) const {
  const auto text = code_points(token_text(id));
  return !text.empty() && punctuation_.count(text.front()) != 0;
}

bool Vocabulary::is_punctuation_mark(int64_t id) const {
  const auto text = code_points(token_text(id));
  return text.size() == 1 && punctuation_.count(text.front()) != 0;
}

}  // namespace fathom::text
