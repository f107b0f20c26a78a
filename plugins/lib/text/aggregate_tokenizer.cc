#include "plugins/lib/text/aggregate_tokenizer.h"

#include <algorithm>
#include <cctype>

#include "fathom/error.h"
#include "fathom/nearest_names.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

std::string list_of(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

// Bytes of a time token "<|12|>" at the beginning of `text`; 0: there is none.
size_t time_token(std::string_view text) {
  if (!text.starts_with("<|")) return 0;
  size_t at = 2;
  while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) ++at;
  return at > 2 && text.substr(at).starts_with("|>") ? at + 2 : 0;
}

}  // namespace

// --- several languages -----------------------------------------------------------------------------------------------

AggregateTokenizer::AggregateTokenizer(std::vector<Part> parts) : parts_(std::move(parts)) {
  if (parts_.empty()) throw Error(Code::kFailed, "a tokenizer of several languages has none");
  for (size_t i = 0; i < parts_.size(); ++i) {
    offsets_.push_back(vocab_size());
    owners_.insert(owners_.end(), static_cast<size_t>(parts_[i].tokenizer->vocab_size()), static_cast<uint32_t>(i));
  }
}

std::vector<std::string> AggregateTokenizer::languages() const {
  std::vector<std::string> out;
  for (const Part& part : parts_) out.push_back(part.language);
  return out;
}

AggregateTokenizer::Place AggregateTokenizer::place_of(std::string_view language) const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].language == language) return {parts_[i].tokenizer.get(), offsets_[i]};
  }
  throw Error(Code::kFailed, "the tokenizer has no such language")
      .seen(language.empty() ? "none" : std::string(language))
      .expected("one of: " + list_of(languages()))
      .candidates(nearest_names(std::string(language), languages()));
}

AggregateTokenizer::Place AggregateTokenizer::owner_of(int64_t id) const {
  if (id < 0 || id >= vocab_size()) {
    throw Error(Code::kFailed, "a token id lies outside the vocabulary")
        .seen(std::to_string(id))
        .expected("0 to " + std::to_string(vocab_size() - 1));
  }
  const size_t part = owners_[static_cast<size_t>(id)];
  return {parts_[part].tokenizer.get(), offsets_[part]};
}

std::vector<int64_t> AggregateTokenizer::text_to_ids(std::string_view /*text*/) const {
  throw Error(Code::kFailed, "a tokenizer of several languages needs the language of a text")
      .expected("one of: " + list_of(languages()));
}

std::vector<std::string> AggregateTokenizer::text_to_tokens(std::string_view text) const {
  text_to_ids(text);
  return {};
}

std::vector<int64_t> AggregateTokenizer::text_to_ids_in(std::string_view text, std::string_view language) const {
  const Place place = place_of(language);
  std::vector<int64_t> ids = place.tokenizer->text_to_ids(text);
  for (int64_t& id : ids) id += place.offset;
  return ids;
}

std::string AggregateTokenizer::ids_to_text(const std::vector<int64_t>& ids) const {
  constexpr std::string_view kSpace = SentencePieceNormalizer::kSpaceSymbol;
  std::string out;
  for (const int64_t id : ids) {
    const std::string_view token = id_to_token(id);
    for (size_t at = 0; at < token.size();) {
      const bool space = token.substr(at).starts_with(kSpace);
      out += space ? ' ' : token[at];
      at += space ? kSpace.size() : 1;
    }
  }
  return out;
}

const std::string& AggregateTokenizer::id_to_token(int64_t id) const {
  const Place place = owner_of(id);
  return place.tokenizer->id_to_token(id - place.offset);
}

bool AggregateTokenizer::starts_word(int64_t id) const {
  const Place place = owner_of(id);
  return place.tokenizer->starts_word(id - place.offset);
}

// --- Canary ----------------------------------------------------------------------------------------------------------

SpecialTokens::SpecialTokens(const SubwordTokenizer& tokenizer, int64_t offset, std::string source)
    : source_(std::move(source)) {
  for (int64_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string& token = tokenizer.id_to_token(id);
    if (token == kPad || (token.starts_with("<|") && token.ends_with("|>"))) ids_[token] = offset + id;
  }
  for (const std::string_view needed : {kBos, kEos, kPad}) {
    if (ids_.find(needed) != ids_.end()) continue;
    throw Error(Code::kBadData, "a Canary tokenizer lacks a special token")
        .at(source_)
        .expected(std::string(needed) + " among its pieces");
  }
}

int64_t SpecialTokens::id(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found != ids_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [name, id] : ids_) names.push_back(name);
  throw Error(Code::kFailed, "the tokenizer has no such special token")
      .at(source_)
      .seen(std::string(token))
      .candidates(nearest_names(std::string(token), names));
}

CanaryTokenizer::CanaryTokenizer(std::vector<Part> parts) : AggregateTokenizer(std::move(parts)) {
  const Place place = place_of(kSpecial);
  specials_ = SpecialTokens(*place.tokenizer, place.offset, std::string(kSpecial));
}

std::string CanaryTokenizer::known_language(std::string_view language) const {
  const auto known = languages();
  const auto has = [&](std::string_view name) { return std::find(known.begin(), known.end(), name) != known.end(); };
  static const std::map<std::string, std::string, std::less<>> kRegions = {
      {"en", "en-US"}, {"es", "es-ES"}, {"fr", "fr-FR"}, {"de", "de-DE"}};
  const auto region = kRegions.find(language);
  return !has(language) && region != kRegions.end() && has(region->second) ? region->second : std::string(language);
}

std::vector<int64_t> CanaryTokenizer::special_text(std::string_view text) const {
  std::vector<int64_t> ids;
  if (text.starts_with(SpecialTokens::kContext)) {
    ids.push_back(specials_.id(SpecialTokens::kContext));
    text.remove_prefix(SpecialTokens::kContext.size());
    const size_t end = text.find(SpecialTokens::kBos);
    if (end != std::string_view::npos && end > 0) {
      // Emotion and source language come before the target language, the third token of the transcript's beginning.
      std::string_view target = text.substr(end + SpecialTokens::kBos.size());
      for (int i = 0; i < 2; ++i) target.remove_prefix(std::min(target.find('>') + 1, target.size()));
      if (target.starts_with("<|")) target = target.substr(2, target.find("|>") - 2);
      const auto context = text_to_ids_in(text.substr(0, end), target);
      ids.insert(ids.end(), context.begin(), context.end());
      text.remove_prefix(end);
    }
  }
  while (!text.empty()) {
    const size_t end = text.find('>');
    const std::string_view token = text.substr(0, end == std::string_view::npos ? end : end + 1);
    ids.push_back(specials_.id(token));
    text.remove_prefix(token.size());
  }
  return ids;
}

// A time before the first word, and after every word its end and the next one's beginning.
std::vector<int64_t> CanaryTokenizer::timed_text(const std::string& text, const std::string& times,
                                                 std::string_view language) const {
  const std::vector<int64_t> marks = special_text(times);
  size_t next = 0;
  std::vector<int64_t> ids;
  const auto mark = [&] {
    if (next < marks.size()) ids.push_back(marks[next++]);
  };
  const std::vector<std::string> words = split_words(text);
  if (!words.empty()) mark();
  for (const std::string& word : words) {
    const auto pieces = AggregateTokenizer::text_to_ids_in(word, language);
    ids.insert(ids.end(), pieces.begin(), pieces.end());
    mark();
    mark();
  }
  if (next < marks.size()) ids.push_back(marks.back());
  return ids;
}

std::vector<int64_t> CanaryTokenizer::text_to_ids_in(std::string_view text, std::string_view language) const {
  if (language == kSpecial) return special_text(text);
  const std::string known = known_language(language);
  const bool ends = text.ends_with(SpecialTokens::kEos);
  if (ends) text.remove_suffix(SpecialTokens::kEos.size());
  std::string plain, times;
  for (size_t at = 0; at < text.size();) {
    const size_t length = time_token(text.substr(at));
    (length > 0 ? times : plain).append(text.substr(at, std::max<size_t>(length, 1)));
    at += std::max<size_t>(length, 1);
  }
  std::vector<int64_t> ids =
      times.empty() ? AggregateTokenizer::text_to_ids_in(text, known) : timed_text(plain, times, known);
  if (ends) ids.push_back(specials_.id(SpecialTokens::kEos));
  return ids;
}

CanaryBPETokenizer::CanaryBPETokenizer(std::shared_ptr<const SentencePieceTokenizer> tokenizer,
                                       const std::string& source)
    : tokenizer_(std::move(tokenizer)), specials_(*tokenizer_, 0, source) {}

SpecialIds CanaryBPETokenizer::special_ids() const {
  SpecialIds ids = specials_.ids();
  ids.unk = tokenizer_->special_ids().unk;
  return ids;
}

}  // namespace fathom::text
