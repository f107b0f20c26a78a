#include "plugins/lib/text/vocabulary.h"

#include "fathom/error.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {
constexpr std::string_view kWordMark = "\u2581";
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
  for (const char c : text) {
    if (c == '.' || c == ',' || c == '?') {
      while (!out.empty() && (out.back() == ' ' || (out.back() >= '\t' && out.back() <= '\r'))) out.pop_back();
    }
    out += c;
  }
  return out;
}

bool Vocabulary::starts_word(int64_t id) const {
  if (tokenizer_) return tokenizer_->starts_word(id);
  return kind_ == Kind::kSentencePiece && token_text(id) != tokens_.at(id);
}

bool Vocabulary::is_punctuation_token(int64_t id) const {
  const auto text = code_points(token_text(id));
  return !text.empty() && punctuation_.count(text.front()) != 0;
}

}  // namespace fathom::text
