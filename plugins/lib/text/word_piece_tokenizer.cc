#include "plugins/lib/text/word_piece_tokenizer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "fathom/error.h"
#include "fathom/utf8.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

std::string read_vocabulary(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) throw Error(Code::kNoInput, std::string("vocabulary cannot be read: ") + std::strerror(errno)).at(path);
  const auto size = static_cast<int64_t>(in.tellg());
  if (size > static_cast<int64_t>(WordPieceTokenizer::kMaxFileBytes))
    throw Error(Code::kBadData, "a vocabulary is too large").at(path).seen(std::to_string(size) + " bytes");
  std::string text(static_cast<size_t>(std::max<int64_t>(size, 0)), '\0');
  in.seekg(0);
  if (size < 0 || !in.read(text.data(), size)) throw Error(Code::kIo, "vocabulary cannot be read").at(path);
  return text;
}

bool is_ideograph(char32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
         (c >= 0x2a700 && c <= 0x2b81f) || (c >= 0x2b820 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) ||
         (c >= 0x2f800 && c <= 0x2fa1f);
}

// BERT's: all of ASCII that is no letter and no digit, and category P.
bool cuts_word(char32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126) ||
         is_punctuation(c);
}

// What is no text goes, white space becomes a blank, each ideograph stands alone.
CodePoints clean(std::string_view text) {
  CodePoints out;
  for (const char32_t c : code_points(text)) {
    const bool is_space = c == '\t' || c == '\n' || c == '\r' || is_space_separator(c);
    if (c == 0 || c == 0xfffd || (!is_space && is_control(c))) continue;
    if (is_space) {
      out.push_back(' ');
    } else if (is_ideograph(c)) {
      out.insert(out.end(), {U' ', c, U' '});
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::shared_ptr<const WordPieceTokenizer> WordPieceTokenizer::open(const std::string& vocab_file,
                                                                   const Config& config) {
  return std::make_shared<WordPieceTokenizer>(read_vocabulary(vocab_file), vocab_file, config);
}

WordPieceTokenizer::WordPieceTokenizer(std::string_view vocabulary, const std::string& source, const Config& config)
    : config_(config) {
  const auto add = [this](std::string token) {
    longest_token_ = std::max(longest_token_, token.size());
    ids_[token] = vocab_size();  // of two equal lines the later one counts
    tokens_.push_back(std::move(token));
  };
  while (!vocabulary.empty()) {
    const size_t end = std::min(vocabulary.find('\n'), vocabulary.size());
    std::string_view line = vocabulary.substr(0, end);
    vocabulary.remove_prefix(std::min(end + 1, vocabulary.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (tokens_.size() == kMaxTokens) {
      throw Error(Code::kBadData, "a vocabulary is too large")
          .at(source)
          .expected("at most " + std::to_string(kMaxTokens) + " lines");
    }
    add(std::string(line));
  }
  if (tokens_.empty()) throw Error(Code::kBadData, "a vocabulary is empty").at(source).expected("one token a line");
  for (const std::string* special : {&config_.unk, &config_.sep, &config_.pad, &config_.cls, &config_.mask}) {
    if (!special->empty() && ids_.count(*special) == 0) add(*special);
  }
}

int64_t WordPieceTokenizer::token_to_id(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  return found == ids_.end() ? -1 : found->second;
}

const std::string& WordPieceTokenizer::id_to_token(int64_t id) const {
  if (id < 0 || id >= vocab_size()) {
    throw Error(Code::kFailed, "a token id lies outside the vocabulary")
        .seen(std::to_string(id))
        .expected("0 to " + std::to_string(vocab_size() - 1));
  }
  return tokens_[static_cast<size_t>(id)];
}

bool WordPieceTokenizer::is_special(std::string_view token) const {
  return token == config_.unk || token == config_.sep || token == config_.pad || token == config_.cls ||
         token == config_.mask;
}

// A stretch between special tokens.
void WordPieceTokenizer::split_part(std::string_view part, std::vector<std::string>& words) const {
  CodePoints text = clean(part);
  // Accents are stripped from the decomposed form; else the composed one counts.
  text = config_.do_lower_case ? to_nfd(code_points(lower_case(to_utf8(to_nfc(text))))) : to_nfc(text);
  CodePoints word;
  const auto close = [&] {
    if (!word.empty()) words.push_back(to_utf8(word));
    word.clear();
  };
  for (const char32_t c : text) {
    if (utf8::is_white_space(c)) {
      close();
    } else if (config_.do_lower_case && is_nonspacing_mark(c)) {
      continue;
    } else if (cuts_word(c)) {
      close();
      words.push_back(utf8::encode(c));
    } else {
      word.push_back(c);
    }
  }
  close();
}

std::vector<std::string> WordPieceTokenizer::basic_words(std::string_view text) const {
  const std::array specials = {std::string_view(config_.unk), std::string_view(config_.sep),
                               std::string_view(config_.pad), std::string_view(config_.cls),
                               std::string_view(config_.mask)};
  std::vector<std::string> words;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const auto special = std::find_if(specials.begin(), specials.end(), [&](std::string_view token) {
      return !token.empty() && text.substr(at).starts_with(token);
    });
    if (special == specials.end()) {
      ++at;
      continue;
    }
    split_part(text.substr(start, at - start), words);
    words.emplace_back(*special);
    start = at += special->size();
  }
  split_part(text.substr(start), words);
  return words;
}

void WordPieceTokenizer::cut_word(const std::string& word, std::vector<std::string>& pieces) const {
  if (is_special(word)) return pieces.push_back(word);
  if (utf8::length(word) > kMaxWordCharacters) return pieces.push_back(config_.unk);
  std::vector<std::string> found;
  for (size_t start = 0; start < word.size();) {
    const std::string prefix = start == 0 ? "" : "##";
    size_t end = std::min(word.size(), start + longest_token_);
    while (end > start && ids_.count(prefix + word.substr(start, end - start)) == 0) --end;
    if (end == start) return pieces.push_back(config_.unk);
    found.push_back(prefix + word.substr(start, end - start));
    start = end;
  }
  pieces.insert(pieces.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
}

std::vector<std::string> WordPieceTokenizer::text_to_tokens(std::string_view text) const {
  std::vector<std::string> pieces;
  for (const auto& word : basic_words(text)) cut_word(word, pieces);
  return pieces;
}

std::vector<int64_t> WordPieceTokenizer::text_to_ids(std::string_view text) const {
  std::vector<int64_t> ids;
  for (const auto& token : text_to_tokens(text)) ids.push_back(token_to_id(token));
  return ids;
}

std::string WordPieceTokenizer::ids_to_text(const std::vector<int64_t>& ids) const {
  std::string joined;
  for (const int64_t id : ids) {
    const std::string& token = id_to_token(id);
    if (is_special(token)) continue;
    // As transformers: joined with blanks, and every " ##" taken out.
    if (!joined.empty()) joined += ' ';
    joined += token;
  }
  std::string text;
  for (size_t at = 0; at < joined.size();) {
    if (joined.compare(at, 3, " ##") == 0) {
      at += 3;
    } else {
      text += joined[at++];
    }
  }
  const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

}  // namespace fathom::text
