#include "plugins/lib/text/char_tokenizer.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::text {
namespace {

// The character of a Python string literal such as 'a', "'", '\t' or '\u2014'; nothing when it is none.
bool unquote(std::string_view line, std::string& out) {
  if (line.size() < 3 || (line.front() != '\'' && line.front() != '"') || line.back() != line.front()) return false;
  std::string_view body = line.substr(1, line.size() - 2);
  if (body.front() != '\\') {
    out = body;
    return utf8::length(body) == 1;
  }
  if (body.size() == 2) {
    constexpr std::string_view kNames = "tnr0\\'\"", kValues("\t\n\r\0\\'\"", 7);
    const size_t at = kNames.find(body[1]);
    if (at == std::string_view::npos) return false;
    out = kValues[at];
    return true;
  }
  const size_t digits = body[1] == 'x' ? 2 : body[1] == 'u' ? 4 : body[1] == 'U' ? 8 : 0;
  if (digits == 0 || body.size() != digits + 2) return false;
  char32_t value = 0;
  for (const char c : body.substr(2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return false;
    value = value * 16 + static_cast<char32_t>(digit);
  }
  if (value > 0x10ffff) return false;
  out = utf8::encode(value);
  return true;
}

}  // namespace

CharTokenizer::CharTokenizer(const std::string& vocab_file, const Specials& specials) {
  const auto add = [this](const std::string& token) {
    ids_.emplace(token, vocab_size());
    tokens_.push_back(token);
  };
  for (const auto* special : {&specials.pad, &specials.unk, &specials.bos, &specials.eos}) {
    if (special->empty()) continue;
    if (special == &specials.unk) unk_id_ = vocab_size();
    add(*special);
  }
  special_count_ = vocab_size();

  std::ifstream in(vocab_file);
  if (!in)
    throw Error(Code::kNoInput, std::string("vocabulary cannot be read: ") + std::strerror(errno)).at(vocab_file);
  std::string line, token;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    if (!unquote(line, token)) {
      throw Error(Code::kBadData, "vocabulary line is no quoted character")
          .at(vocab_file, number)
          .seen(line)
          .expected("'a', or '\\t'");
    }
    add(token);
  }
  if (vocab_size() == special_count_) throw Error(Code::kBadData, "vocabulary is empty").at(vocab_file);
}

int64_t CharTokenizer::token_to_id(const std::string& token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

std::vector<int64_t> CharTokenizer::text_to_ids(std::string_view text) const {
  std::vector<int64_t> out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8::step(text, at);
    const int64_t id = token_to_id(std::string(text.substr(at, length)));
    if (id >= 0 || unk_id_ >= 0) out.push_back(id >= 0 ? id : unk_id_);
    at += length;
  }
  return out;
}

std::vector<std::string> CharTokenizer::text_to_tokens(std::string_view text) const {
  std::vector<std::string> out;
  for (const int64_t id : text_to_ids(text)) out.push_back(tokens_[id]);
  return out;
}

std::string CharTokenizer::ids_to_text(const std::vector<int64_t>& ids) const {
  std::string out;
  for (const int64_t id : ids) {
    if (id < 0 || id >= vocab_size()) {
      throw Error(Code::kFailed, "a token id lies outside the vocabulary")
          .seen(std::to_string(id))
          .expected("0 to " + std::to_string(vocab_size() - 1));
    }
    if (id >= special_count_) out += tokens_[id];
  }
  return out;
}

}  // namespace fathom::text
