// Trains a G2P model (g2p_model.h) from a dictionary, and measures one. Uses no torch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plugins/lib/text/trained_g2p/g2p_model.h"

namespace fathom::text {

struct G2pEntry {
  std::string word;
  std::vector<std::string> phonemes;
};

struct G2pDictionaryOptions {
  bool all_pronunciations = false;       // not the first of a word alone
  bool phonemes_are_characters = false;  // IPA: each character of the pronunciation is one
};
// A line a word: the word, white space, its phonemes; alternatives repeat the word, or as word(2). Lines that begin
// with
// ;;; or #, and what follows # , are comments. Words become small. Errors: kNoInput; kBadData with file:line for a word
// without phonemes and for text that is not UTF-8.
std::vector<G2pEntry> read_g2p_entries(const std::string& path, const G2pDictionaryOptions& options = {});

struct G2pTraining {
  int order = 7;
  int alignment_rounds = 12;  // of expectation-maximisation
  // N-grams of three and more are left out where their probability differs from the shorter ones' by less than this,
  // in counts times log-probability; 0: none are.
  double prune = 0;
  std::string note;
};
struct G2pProgress {
  std::function<void(const std::string& what, uint64_t done, uint64_t total)> report;  // may be empty
  std::function<void()> check_stopped;                                                 // throws to end; may be empty
};
// Entries that cannot be aligned (more than two phonemes a letter) are left out and counted in `left_out`. Throws
// kBadData where fewer than 10 remain, or there are too many phonemes.
G2pModel train_g2p(const std::vector<G2pEntry>& entries, const G2pTraining& options, size_t* left_out,
                   const G2pProgress& progress = {});

struct G2pErrors {
  size_t words = 0, phonemes = 0;
  size_t phoneme_edits = 0, wrong_words = 0;                    // stress aside
  size_t stressed_phoneme_edits = 0, stressed_wrong_words = 0;  // stress counts
  double phoneme_error() const {
    return phonemes == 0 ? 0 : static_cast<double>(phoneme_edits) / static_cast<double>(phonemes);
  }
  double word_error() const { return words == 0 ? 0 : static_cast<double>(wrong_words) / static_cast<double>(words); }
};
// A word with several entries counts once, with the nearest of its pronunciations.
G2pErrors measure_g2p(const G2pModel& model, const std::vector<G2pEntry>& entries, const G2pProgress& progress = {});

}  // namespace fathom::text
