// Text to character ids, as NeMo's CharParser ("base") and ENCharParser ("en"). Uses no torch; thread-safe after
// construction.
//
// base: strip, lower-case; words that are themselves a label of several characters become that label, every other
// character is looked up on its own. en: first writes every script in ASCII letters (romanization.h), lower-cases,
// spells out numbers (english_numbers.h), expands abbreviations ("mr." -> "mister"), replaces + & % by words and other
// punctuation that is no label by a space, and joins white space. A text with a number that cannot be spelled out (more
// than 36 digits) cannot be parsed by "en", as in NeMo, which drops such an item.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fathom::text {

class CharParser {
 public:
  enum class Language { kBase, kEnglish };
  struct Config {
    std::vector<std::string> labels;
    Language language = Language::kEnglish;
    bool do_normalize = true;
    bool do_lowercase = true;
    int64_t unk_id = -1;
    int64_t blank_id = -1;  // ids equal to this one are removed; by default unknown characters are
  };
  struct Parsed {
    std::vector<int64_t> ids;
    int64_t unknown = 0;  // characters that are no label
  };

  // "base" or "en"; anything else is an error that names them.
  static Language language_of(const std::string& name);

  explicit CharParser(Config config);

  // Nothing when the text cannot be parsed.
  std::optional<Parsed> parse(std::string_view text) const;
  // Whether a look at its characters tells that the text can be parsed and holds no unknown one. Most texts are so, and
  // it costs a fraction of parsing them; false says nothing.
  bool is_plain(std::string_view text) const;
  std::optional<std::string> normalize(std::string_view text) const;
  // Labels of the ids, joined. An id that is no label (blank or padding) is skipped.
  std::string decode(const std::vector<int64_t>& ids) const;
  const std::vector<std::string>& labels() const { return config_.labels; }

 private:
  std::string normalize_base(std::string_view text) const;
  std::optional<std::string> normalize_english(std::string_view text) const;
  bool is_plain_byte(char c) const;
  bool is_plain_character(const std::string& label) const;

  Config config_;
  std::unordered_map<std::string, int64_t> ids_;
  bool has_long_labels_ = false;
  static constexpr int64_t kNoId = std::numeric_limits<int64_t>::min();
  std::array<int64_t, 128> ascii_ids_{};   // of ASCII characters, as in ids_; kNoId: no label
  std::array<bool, 128> plain_{};          // ASCII characters, for is_plain
  std::array<bool, 128> becomes_blank_{};  // ASCII punctuation, for "en"
  std::vector<bool> plain_beyond_;         // other characters, by code point
};

}  // namespace fathom::text
