#include "plugins/lib/text/sentencepiece_normalizer.h"

#include <algorithm>

#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::text {
namespace {

constexpr size_t kMaxKeyBytes = 1024;  // of the table: a damaged one could lead through a whole text at every step

uint32_t little_endian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return value;
}

// A unit of a double array: whether a word ends below it, the byte that leads to it, how far its children lie away,
// and, for a leaf, the value.
constexpr bool unit_has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
constexpr uint32_t unit_label(uint32_t unit) { return unit & (uint32_t{1} << 31 | 0xff); }
constexpr uint32_t unit_offset(uint32_t unit) { return (unit >> 10) << ((unit & (uint32_t{1} << 9)) >> 6); }
constexpr uint32_t unit_value(uint32_t unit) { return unit & (~uint32_t{0} >> 1); }

bool consume_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

SentencePieceNormalizer::SentencePieceNormalizer(const SentencePieceModel::Normalization& spec,
                                                 bool whitespace_is_suffix, const ByteTrie& user_defined,
                                                 const std::string& source)
    : add_dummy_prefix_(spec.add_dummy_prefix),
      remove_extra_whitespaces_(spec.remove_extra_whitespaces),
      escape_whitespaces_(spec.escape_whitespaces),
      whitespace_is_suffix_(whitespace_is_suffix),
      user_defined_(user_defined),
      source_(source) {
  const std::string_view table = spec.precompiled_charsmap;
  if (table.empty()) return;  // nothing is replaced
  const auto wrong = [&](std::string what) {
    return Error(Code::kBadData, "the model's normalisation table is damaged").at(source_).seen(std::move(what));
  };
  if (table.size() < 4) throw wrong(std::to_string(table.size()) + " bytes");
  const size_t trie_bytes = little_endian(table, 0);
  if (trie_bytes > table.size() - 4 || trie_bytes % 4 != 0)
    throw wrong("a trie of " + std::to_string(trie_bytes) + " bytes of " + std::to_string(table.size() - 4));
  if (trie_bytes == 0) throw wrong("an empty trie");
  for (size_t at = 4; at < 4 + trie_bytes; at += 4) units_.push_back(little_endian(table, at));
  replacements_ = table.substr(4 + trie_bytes);
}

SentencePieceNormalizer::Step SentencePieceNormalizer::first_step(std::string_view text) const {
  if (const size_t symbol = user_defined_.longest_prefix(text); symbol > 0) return {text.substr(0, symbol), symbol};
  size_t longest = 0;
  uint32_t place = 0;
  if (!units_.empty()) {
    // Every place is looked up with a check: the table may send it anywhere.
    uint32_t node = unit_offset(unit(0));
    for (size_t i = 0; i < std::min(text.size(), kMaxKeyBytes); ++i) {
      const uint32_t byte = static_cast<unsigned char>(text[i]);
      node ^= byte;
      if (node >= units_.size() || unit_label(unit(node)) != byte) break;
      const uint32_t found = unit(node);
      node ^= unit_offset(found);
      if (!unit_has_leaf(found)) continue;
      if (node >= units_.size()) break;
      longest = i + 1;
      place = unit_value(unit(node));
    }
  }
  if (longest == 0) {
    char32_t ignored;
    const size_t length = utf8::decode(text, 0, &ignored);
    return length == 0 ? Step{kReplacementCharacter, 1} : Step{text.substr(0, length), length};
  }
  if (place >= replacements_.size()) {
    throw Error(Code::kBadData, "the model's normalisation table is damaged")
        .at(source_)
        .seen("a replacement at " + std::to_string(place) + " of " + std::to_string(replacements_.size()) + " bytes");
  }
  const std::string_view rest = std::string_view(replacements_).substr(place);
  return {rest.substr(0, rest.find('\0')), longest};
}

std::string SentencePieceNormalizer::normalize(std::string_view text) const {
  // NFKC makes at most eleven bytes of one.
  const size_t most = 256 * (text.size() + 16);
  if (remove_extra_whitespaces_) {
    while (!text.empty()) {
      const Step step = first_step(text);
      if (step.replacement != " ") break;
      text.remove_prefix(step.consumed);
    }
  }
  std::string out;
  if (text.empty()) return out;
  const std::string_view space = escape_whitespaces_ ? kSpaceSymbol : std::string_view(" ");
  if (!whitespace_is_suffix_ && add_dummy_prefix_) out += space;
  bool after_space = remove_extra_whitespaces_;
  while (!text.empty()) {
    const Step step = first_step(text);
    std::string_view part = step.replacement;
    while (after_space && consume_prefix(part, " ")) {
    }
    for (const char c : part) {
      if (c == ' ')
        out += space;
      else
        out += c;
    }
    if (!part.empty()) after_space = part.ends_with(' ');
    if (!remove_extra_whitespaces_) after_space = false;
    text.remove_prefix(step.consumed);
    if (out.size() > most) {
      throw Error(Code::kBadData, "the model's normalisation table makes a text many times longer")
          .at(source_)
          .seen("more than " + std::to_string(most) + " bytes");
    }
  }
  if (remove_extra_whitespaces_) {
    while (out.ends_with(space)) out.resize(out.size() - space.size());
  }
  if (whitespace_is_suffix_ && add_dummy_prefix_) out += space;
  return out;
}

}  // namespace fathom::text
