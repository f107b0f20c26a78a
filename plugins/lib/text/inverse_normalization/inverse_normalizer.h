// English inverse text normalization: spoken words, as a speech recogniser writes them, as people write them.
// "twenty three dollars and five cents" -> "$23.05". Rules over the words of the text, one for each class of
// expressions, and the cheapest way through the text; classes, weights, tables and results are those of the English
// inverse grammars of nemo_text_processing 1.2.0 (its InverseNormalizer), whose output this was compared with; the code
// is our own. Uses no torch.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

enum class InputCase {
  kLowerCased,  // expressions are looked for in lower case; what has capitals stays
  kCased,       // they may begin with a capital: "Twenty three" -> 23
};

// One expression that stands for itself: "doctor" -> "dr.". The cheapest way is taken, so that a negative weight makes
// one win over others.
struct SpokenWhitelistEntry {
  std::string spoken, written;
  double weight = 0;
};

// NeMo's format: lines of `written<TAB>spoken`, and a weight where a third field gives one. Throws kBadData with
// file:line for other lines, kNoInput without the file.
std::vector<SpokenWhitelistEntry> read_spoken_whitelist(const std::string& path);

// A word that stays as it is, or an expression that is written in another way than it is spoken.
struct WrittenPart {
  std::string spoken, written;  // words with single spaces
  bool changed = false;
};

class InverseNormalizer {
 public:
  // `whitelist` takes the place of the built-in one.
  explicit InverseNormalizer(InputCase input_case = InputCase::kLowerCased,
                             const std::optional<std::vector<SpokenWhitelistEntry>>& whitelist = {});
  ~InverseNormalizer();
  InverseNormalizer(InverseNormalizer&&) noexcept;
  InverseNormalizer& operator=(InverseNormalizer&&) noexcept;

  // Thread-safe. White space becomes single spaces. Words that no rule reads are kept byte for byte, whether they are
  // UTF-8 or not. Time and memory grow with the length of the text alone: no rule reads further than 96 words.
  std::string normalize(std::string_view spoken) const;
  // The same in parts, in order: joined with spaces, what is spoken is the text and what is written normalize()'s.
  std::vector<WrittenPart> parts(std::string_view spoken) const;

 private:
  struct Whitelist;
  InputCase input_case_;
  std::shared_ptr<const Whitelist> whitelist_;
};

}  // namespace fathom::text
