// A trained G2P: how words sound that no dictionary has. A model over graphones, each a few letters with the phonemes
// they make (Bisani and Ney, "Joint-sequence models for grapheme-to-phoneme conversion", 2008): their n-grams with
// modified Kneser-Ney smoothing, decoded with a beam. Uses no torch; thread-safe once made.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

struct Graphone {
  std::vector<char32_t> letters;
  std::vector<uint8_t> phonemes;
  auto operator<=>(const Graphone&) const = default;
};

class G2pModel {
 public:
  // An n-gram in the tree of all: the last unit of it, and how many n-grams go on from it. Costs are -log of a
  // probability in twelfths: of the unit after the n-gram's beginning, and of going on with a shorter context.
  struct Node {
    uint16_t unit = 0, child_count = 0;
    uint8_t cost = 0, backoff = 0;
  };
  struct Content {
    std::string note;  // what it was trained on, in words
    uint8_t order = 1;
    std::vector<std::string> phonemes;
    std::vector<Graphone> graphones;  // unit graphones.size() begins a word, the next one ends it
    std::vector<Node> nodes;          // level by level, children in the order of their units; the first is the root
  };
  static constexpr double kCostsPerNat = 12;
  static constexpr size_t kLongestWord = 200;  // letters

  // Throws Error (kBadData, at `source`) for content that does not fit together.
  G2pModel(Content content, const std::string& source);
  // A file of save()'s. Throws kNoInput, and kBadData for a file that is damaged or none.
  static G2pModel open(const std::string& path);
  // The body of such a file, behind its head; errors name `source`.
  static G2pModel parse_body(std::string_view body, const std::string& source);
  // In place of what is there, in one step. Throws kIo.
  void save(const std::string& path) const;

  struct Pronunciation {
    std::vector<std::string> phonemes;
    double log_probability = 0;  // of the phonemes with the word, over all their alignments that the beam kept
  };
  // The likeliest ways to say a word, best first; none for a word with letters that no word of the training had, or of
  // more than kLongestWord letters. Letters count whatever their case.
  std::vector<Pronunciation> pronounce(std::string_view word, size_t most = 1, size_t beam = 100) const;

  const std::string& note() const { return content_.note; }
  const std::vector<std::string>& phonemes() const { return content_.phonemes; }
  size_t ngrams() const { return content_.nodes.size() - 1; }

 private:
  uint32_t child(uint32_t node, uint32_t unit) const;  // 0: none
  // The cost of `unit` in a context, and the context after it.
  struct Step {
    uint32_t cost = 0, context = 0;
    bool possible = false;
  };
  Step step(uint32_t context, uint32_t unit) const;

  Content content_;
  std::vector<uint32_t> first_child_, suffix_;
  std::vector<uint8_t> depth_;
  std::map<std::vector<char32_t>, std::vector<uint32_t>> by_letters_;
};

}  // namespace fathom::text
