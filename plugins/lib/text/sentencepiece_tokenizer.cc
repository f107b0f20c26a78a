#include "plugins/lib/text/sentencepiece_tokenizer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <queue>

#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::text {
namespace {

using Type = SentencePieceModel::Type;
using Algorithm = SentencePieceModel::Algorithm;
constexpr std::string_view kSpaceSymbol = SentencePieceNormalizer::kSpaceSymbol;
constexpr double kUnknownPenalty = 10;

// By its first byte alone, as SentencePiece steps through a normalised text.
size_t first_character(std::string_view text) {
  constexpr unsigned char kLengths[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
  return std::min<size_t>(kLengths[static_cast<unsigned char>(text[0]) >> 4], text.size());
}

std::string read_model(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) throw Error(Code::kNoInput, std::string("tokenizer model cannot be read: ") + std::strerror(errno)).at(path);
  const auto size = static_cast<int64_t>(in.tellg());
  if (size > static_cast<int64_t>(SentencePieceModel::kMaxFileBytes))  // before memory is asked for
    throw Error(Code::kBadData, "a SentencePiece model is too large").at(path).seen(std::to_string(size) + " bytes");
  std::string bytes(static_cast<size_t>(std::max<int64_t>(size, 0)), '\0');
  in.seekg(0);
  if (size < 0 || !in.read(bytes.data(), size)) throw Error(Code::kIo, "tokenizer model cannot be read").at(path);
  return bytes;
}

void append_replaced(std::string& out, std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(kSpaceSymbol)) {
      out += ' ';
      at += kSpaceSymbol.size();
    } else {
      out += text[at++];
    }
  }
}

// Bytes that may be no UTF-8: what is none becomes U+FFFD, byte by byte.
void append_bytes(std::string& out, std::string_view bytes) {
  for (size_t at = 0; at < bytes.size();) {
    char32_t ignored;
    const size_t length = utf8::decode(bytes, at, &ignored);
    out += length == 0 ? SentencePieceNormalizer::kReplacementCharacter : bytes.substr(at, length);
    at += std::max<size_t>(length, 1);
  }
}

}  // namespace

std::shared_ptr<const SentencePieceTokenizer> SentencePieceTokenizer::open(const std::string& model_file) {
  return std::make_shared<SentencePieceTokenizer>(SentencePieceModel::parse(read_model(model_file), model_file),
                                                  model_file);
}

SentencePieceTokenizer::SentencePieceTokenizer(SentencePieceModel model, const std::string& source)
    : model_(std::move(model)) {
  min_score_ = std::numeric_limits<float>::max();
  max_score_ = std::numeric_limits<float>::min();  // the library's start: the least positive number
  std::vector<std::pair<std::string_view, int32_t>> words, symbols;
  for (size_t i = 0; i < model_.pieces.size(); ++i) {
    const auto& piece = model_.pieces[i];
    const auto id = static_cast<int32_t>(i);
    const bool found_in_texts =
        piece.type == Type::kNormal || piece.type == Type::kUserDefined || piece.type == Type::kUnused;
    (found_in_texts ? pieces_ : reserved_).emplace(piece.text, id);
    if (found_in_texts) {
      words.emplace_back(piece.text, id);
      longest_piece_ = std::max(longest_piece_, piece.text.size());
    }
    if (piece.type == Type::kUserDefined) symbols.emplace_back(piece.text, id);
    if (piece.type == Type::kUnknown) unk_id_ = id;
    if (piece.type == Type::kByte) byte_ids_[SentencePieceModel::byte_of(piece.text)] = id;
    if (piece.type != Type::kNormal) continue;
    min_score_ = std::min(min_score_, piece.score);
    max_score_ = std::max(max_score_, piece.score);
  }
  user_defined_ = ByteTrie(std::move(symbols));
  if (model_.algorithm == Algorithm::kUnigram) trie_ = ByteTrie(std::move(words));
  const auto control = [&](const std::string& text) -> int64_t {
    const auto found = reserved_.find(text);
    return found != reserved_.end() && is(found->second, Type::kControl) ? found->second : -1;
  };
  specials_ = {unk_id_, control(model_.bos_piece), control(model_.eos_piece), control(model_.pad_piece)};
  normalizer_ = std::make_unique<SentencePieceNormalizer>(model_.normalizer, model_.treat_whitespace_as_suffix,
                                                          user_defined_, source);
  if (model_.has_denormalizer) {
    static const ByteTrie kNoSymbols;
    denormalizer_ = std::make_unique<SentencePieceNormalizer>(model_.denormalizer, model_.treat_whitespace_as_suffix,
                                                              kNoSymbols, source);
  }
}

const SentencePieceModel::Piece& SentencePieceTokenizer::piece(int64_t id) const {
  if (id < 0 || id >= vocab_size()) {
    throw Error(Code::kFailed, "a token id lies outside the vocabulary")
        .seen(std::to_string(id))
        .expected("0 to " + std::to_string(vocab_size() - 1));
  }
  return model_.pieces[static_cast<size_t>(id)];
}

int32_t SentencePieceTokenizer::find(std::string_view text) const {
  if (text.size() > longest_piece_) return -1;
  const auto found = pieces_.find(text);
  return found == pieces_.end() ? -1 : found->second;
}

int64_t SentencePieceTokenizer::token_to_id(std::string_view token) const {
  if (const auto found = reserved_.find(token); found != reserved_.end()) return found->second;
  const int32_t id = find(token);
  return id < 0 ? unk_id_ : id;
}

bool SentencePieceTokenizer::starts_word(int64_t id) const {
  const auto& token = piece(id);
  return token.type == Type::kUnknown || (token.type != Type::kControl && token.text.starts_with(kSpaceSymbol));
}

size_t SentencePieceTokenizer::first_symbol(std::string_view text, bool* is_user_defined) const {
  const size_t symbol = user_defined_.longest_prefix(text);
  *is_user_defined = symbol > 0;
  return symbol > 0 ? symbol : first_character(text);
}

// --- cutting a normalised text ---------------------------------------------------------------------------------------

// Neighbours are joined as long as the two make a piece, the best-scored pair first, of equals the left-most.
SentencePieceTokenizer::Tokens SentencePieceTokenizer::merge_pairs(std::string_view normalized) const {
  struct Symbol {
    std::string_view text;  // empty: joined to the one before it
    int64_t previous, next;
    bool frozen;  // user-defined symbols are joined to nothing
  };
  struct Pair {
    int64_t left, right;
    float score;
    size_t size;  // in bytes, to tell whether the pair still is what it was
    bool operator<(const Pair& other) const {
      return score < other.score || (score == other.score && left > other.left);
    }
  };
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < normalized.size();) {
    bool frozen = false;
    const size_t length = first_symbol(normalized.substr(at), &frozen);
    const auto index = static_cast<int64_t>(symbols.size());
    at += length;
    symbols.push_back(
        {normalized.substr(at - length, length), index - 1, at == normalized.size() ? -1 : index + 1, frozen});
  }
  std::priority_queue<Pair> agenda;
  std::unordered_map<std::string_view, size_t> halves;  // of unused pieces: bytes of the left one
  const auto offer = [&](int64_t left, int64_t right) {
    if (left < 0 || right < 0 || symbols[left].frozen || symbols[right].frozen) return;
    const std::string_view joined(symbols[left].text.data(), symbols[left].text.size() + symbols[right].text.size());
    const int32_t id = find(joined);
    if (id < 0) return;
    agenda.push({left, right, model_.pieces[static_cast<size_t>(id)].score, joined.size()});
    if (is(id, Type::kUnused)) halves[joined] = symbols[left].text.size();
  };
  for (size_t i = 1; i < symbols.size(); ++i) offer(static_cast<int64_t>(i) - 1, static_cast<int64_t>(i));
  while (!agenda.empty()) {
    const Pair top = agenda.top();
    agenda.pop();
    Symbol &left = symbols[top.left], &right = symbols[top.right];
    if (left.text.empty() || right.text.empty() || left.text.size() + right.text.size() != top.size) continue;
    left.text = {left.text.data(), top.size};
    left.next = right.next;
    if (right.next >= 0) symbols[right.next].previous = top.left;
    right.text = {};
    offer(left.previous, top.left);
    offer(top.left, left.next);
  }
  // An unused piece only helps to find others: what remains of them is taken apart again.
  Tokens tokens;
  std::vector<std::string_view> open;
  for (int64_t i = symbols.empty() ? -1 : 0; i >= 0; i = symbols[i].next) {
    open.push_back(symbols[i].text);
    while (!open.empty()) {
      const std::string_view text = open.back();
      open.pop_back();
      const auto id = static_cast<int32_t>(token_to_id(text));
      const auto half = is(id, Type::kUnused) ? halves.find(text) : halves.end();
      if (half == halves.end()) {
        tokens.push_back({text, id});
      } else {
        open.push_back(text.substr(half->second));
        open.push_back(text.substr(0, half->second));
      }
    }
  }
  return tokens;
}

SentencePieceTokenizer::Tokens SentencePieceTokenizer::likeliest(std::string_view normalized) const {
  struct Best {
    int32_t id = -1;
    float score = 0;     // of the best way to here
    int64_t start = -1;  // of the piece that ends here
  };
  std::vector<Best> best(normalized.size() + 1);
  const float unknown_score = min_score_ - static_cast<float>(kUnknownPenalty);
  for (size_t start = 0; start < normalized.size();) {
    const std::string_view rest = normalized.substr(start);
    const float here = best[start].score;
    const size_t character = first_character(rest);
    const auto offer = [&](size_t length, int32_t id, double score) {
      Best& target = best[start + length];
      const double candidate = score + here;
      if (target.start < 0 || candidate > target.score)
        target = {id, static_cast<float>(candidate), static_cast<int64_t>(start)};
    };
    bool has_character = false;
    uint32_t node = ByteTrie::kRoot;
    for (size_t i = 0; i < rest.size() && (node = trie_.step(node, rest[i])) != ByteTrie::kNone; ++i) {
      const int32_t id = trie_.value(node);
      if (id < 0 || is(id, Type::kUnused)) continue;
      const size_t length = i + 1;
      const float score = model_.pieces[static_cast<size_t>(id)].score;
      // A user-defined symbol is always better than what it could be cut into.
      offer(length, id,
            is(id, Type::kUserDefined) ? static_cast<double>(static_cast<float>(length) * max_score_) - 0.1
                                       : static_cast<double>(score));
      has_character = has_character || length == character;
    }
    if (!has_character) offer(character, unk_id_, unknown_score);
    start += character;
  }
  Tokens tokens;
  for (auto end = static_cast<int64_t>(normalized.size()); end > 0;) {
    const Best& last = best[static_cast<size_t>(end)];
    tokens.push_back(
        {normalized.substr(static_cast<size_t>(last.start), static_cast<size_t>(end - last.start)), last.id});
    end = last.start;
  }
  std::reverse(tokens.begin(), tokens.end());
  return tokens;
}

SentencePieceTokenizer::Tokens SentencePieceTokenizer::segment(std::string_view normalized) const {
  switch (model_.algorithm) {
    case Algorithm::kBpe: return merge_pairs(normalized);
    case Algorithm::kUnigram: return likeliest(normalized);
    case Algorithm::kWord:
    case Algorithm::kChar: break;
  }
  Tokens tokens;
  const auto put = [&](size_t start, size_t end) {
    const std::string_view text = normalized.substr(start, end - start);
    if (!text.empty()) tokens.push_back({text, static_cast<int32_t>(token_to_id(text))});
  };
  size_t word = 0;
  for (size_t at = 0; at < normalized.size();) {
    bool is_user_defined = false;
    const std::string_view rest = normalized.substr(at);
    const size_t length =
        model_.algorithm == Algorithm::kChar ? first_symbol(rest, &is_user_defined) : first_character(rest);
    if (model_.algorithm == Algorithm::kChar) {
      put(at, at + length);
    } else if (rest.substr(0, length) == kSpaceSymbol) {
      put(word, at);
      word = at;
    }
    at += length;
  }
  if (model_.algorithm == Algorithm::kWord) put(word, normalized.size());
  return tokens;
}

// --- texts -----------------------------------------------------------------------------------------------------------

SentencePieceTokenizer::Encoded SentencePieceTokenizer::encode(std::string_view text) const {
  const std::string normalized = normalizer_->normalize(text);
  Encoded out;
  bool after_unknown = false;
  for (const Token& token : segment(normalized)) {
    const bool unknown = token.id == unk_id_;
    if (unknown && model_.byte_fallback) {
      for (const char c : token.text) {
        const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
        out.ids.push_back(id);
        out.pieces.push_back(model_.pieces[static_cast<size_t>(id)].text);
      }
    } else if (unknown && after_unknown) {
      out.pieces.back() += token.text;  // unknown neighbours are one
    } else {
      out.ids.push_back(token.id);
      out.pieces.emplace_back(token.text);
    }
    after_unknown = unknown;
  }
  return out;
}

std::vector<int64_t> SentencePieceTokenizer::text_to_ids(std::string_view text) const { return encode(text).ids; }

std::vector<std::string> SentencePieceTokenizer::text_to_tokens(std::string_view text) const {
  return encode(text).pieces;
}

std::string SentencePieceTokenizer::ids_to_text(const std::vector<int64_t>& ids) const {
  const auto& spec = model_.normalizer;
  std::string out, bytes;
  bool at_start = true, space_was_dropped = false;
  const auto flush_bytes = [&] {
    append_bytes(out, bytes);
    bytes.clear();
  };
  for (const int64_t id : ids) {
    const auto& token = piece(id);
    if (token.type == Type::kByte) {
      bytes += static_cast<char>(SentencePieceModel::byte_of(token.text));
      continue;
    }
    flush_bytes();
    if (space_was_dropped || !out.empty()) at_start = false;
    space_was_dropped = false;
    if (token.type == Type::kControl) continue;
    if (token.type == Type::kUnknown) {
      out += model_.unk_surface;
      continue;
    }
    std::string_view text = token.text;
    // The space that the text was given in front; where spaces are joined, every one before the first word.
    if (at_start && (spec.add_dummy_prefix || spec.remove_extra_whitespaces) && text.starts_with(kSpaceSymbol)) {
      text.remove_prefix(kSpaceSymbol.size());
      space_was_dropped = !spec.remove_extra_whitespaces;
    }
    append_replaced(out, text);
  }
  flush_bytes();
  return denormalizer_ ? denormalizer_->normalize(out) : out;
}

}  // namespace fathom::text
