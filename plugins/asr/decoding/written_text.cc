#include "plugins/asr/decoding/written_text.h"

#include <algorithm>

#include "plugins/lib/text/inverse_normalization/inverse_normalizer.h"

namespace fathom::asr {
namespace {

const text::InverseNormalizer& inverse_normalizer(bool cased) {
  static const text::InverseNormalizer lower(text::InputCase::kLowerCased), any(text::InputCase::kCased);
  return cased ? any : lower;
}

size_t letters_in(const std::string& text) {
  return text.size() - static_cast<size_t>(std::count(text.begin(), text.end(), ' '));
}

}  // namespace

std::string written_text(const std::string& text, Json& timestamps) {
  const bool cased = std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  const auto parts = inverse_normalizer(cased).parts(text);
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : " ") + part.written;
  if (!timestamps.is_object() || !timestamps.contains("word")) return out;
  // Parts and words are of the same letters, though a word of the timestamps may be several of the text.
  const Json& words = timestamps["word"];
  Json written = Json::array();
  size_t letters = 0, word = 0, behind = 0;  // `behind`: letters before the end of `word`
  const auto word_at = [&](size_t letter) {
    for (; word < words.size() && letter >= behind; ++word) behind += letters_in(words[word]["word"]);
    return word == 0 ? 0 : word - 1;
  };
  for (const auto& part : parts) {
    if (words.empty()) break;
    const Json& first = words[word_at(letters)];
    letters += letters_in(part.spoken);
    const Json& last = words[word_at(letters - 1)];
    written.push_back({{"written", part.written},
                       {"start_offset", first.at("start_offset")},
                       {"end_offset", last.at("end_offset")},
                       {"start", first.at("start")},
                       {"end", last.at("end")}});
  }
  timestamps["written"] = std::move(written);
  return out;
}

}  // namespace fathom::asr
