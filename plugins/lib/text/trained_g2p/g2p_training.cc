#include "plugins/lib/text/trained_g2p/g2p_training.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "fathom/error.h"
#include "plugins/lib/text/edit_distance.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/pronunciation_dictionary.h"
#include "plugins/lib/text/speech_locales.h"
#include "plugins/lib/text/trained_g2p/g2p_alignment.h"
#include "plugins/lib/text/trained_g2p/unit_ngram.h"
#include "plugins/lib/text/unicode.h"
#include "plugins/lib/text/words.h"

namespace fathom::text {
namespace {

// "word(2)" -> "word", which is an alternative then.
bool strip_alternative(std::string& word) {
  const size_t open = word.rfind('(');
  if (open == std::string::npos || open == 0 || word.back() != ')' || open + 2 >= word.size()) return false;
  if (word.find_first_not_of("0123456789", open + 1) != word.size() - 1) return false;
  word.resize(open);
  return true;
}

uint8_t cost_of(double probability) {
  if (!(probability > 0)) return 255;
  return static_cast<uint8_t>(std::clamp(std::lround(-std::log(probability) * G2pModel::kCostsPerNat), 0L, 255L));
}

// "AH0" -> "AH"; marks of stress of their own (IPA) are nothing.
std::string without_stress(const std::string& phoneme) {
  if (phoneme == "ˈ" || phoneme == "ˌ") return "";
  const bool ends_in_digit = phoneme.size() > 1 && phoneme.back() >= '0' && phoneme.back() <= '9';
  return ends_in_digit ? phoneme.substr(0, phoneme.size() - 1) : phoneme;
}

std::vector<std::string> sounds_of(const std::vector<std::string>& phonemes) {
  std::vector<std::string> out;
  for (const auto& phoneme : phonemes) {
    if (std::string sound = without_stress(phoneme); !sound.empty()) out.push_back(std::move(sound));
  }
  return out;
}

}  // namespace

std::vector<G2pEntry> read_g2p_entries(const std::string& path, const G2pDictionaryOptions& options) {
  std::vector<G2pEntry> out;
  std::set<std::string> seen;
  const std::vector<std::string> lines = read_lines(path, FileEncoding::kUtf8);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].starts_with(";;;") || lines[i].starts_with("#")) continue;
    std::vector<std::string> parts = split_words(std::string_view(lines[i]).substr(0, lines[i].find(" #")));
    if (parts.empty()) continue;
    if (parts.size() < 2) {
      throw Error(Code::kBadData, "a word without a pronunciation")
          .at(path + ":" + std::to_string(i + 1))
          .seen(lines[i].substr(0, 80))
          .expected("a word, white space, its phonemes");
    }
    const bool alternative = strip_alternative(parts[0]);
    G2pEntry entry{lower_case(parts[0]), {}};
    for (size_t p = 1; p < parts.size(); ++p) {
      if (!options.phonemes_are_characters) {
        entry.phonemes.push_back(std::move(parts[p]));
        continue;
      }
      for (auto& character : split_characters(to_utf8(to_nfc(code_points(parts[p])))))
        entry.phonemes.push_back(std::move(character));
    }
    const bool is_new = seen.insert(entry.word).second;
    if ((is_new && !alternative) || options.all_pronunciations || is_new) out.push_back(std::move(entry));
  }
  return out;
}

G2pModel train_g2p(const std::vector<G2pEntry>& entries, const G2pTraining& options, size_t* left_out,
                   const G2pProgress& progress) {
  G2pModel::Content content;
  std::map<std::string, uint8_t> numbers;
  std::vector<SpelledWord> words;
  for (const G2pEntry& entry : entries) {
    SpelledWord& word = words.emplace_back();
    word.letters = to_nfc(code_points(entry.word));
    for (const auto& phoneme : entry.phonemes) {
      const auto [found, is_new] = numbers.try_emplace(phoneme, static_cast<uint8_t>(content.phonemes.size()));
      if (is_new) content.phonemes.push_back(phoneme);
      if (content.phonemes.size() > 254) {
        throw Error(Code::kBadData, "more than 254 different phonemes")
            .seen("at the word '" + entry.word + "'")
            .next("are these characters of IPA? Say --symbols characters");
      }
      word.phonemes.push_back(found->second);
    }
  }
  const auto after_round = [&](int round) {
    if (progress.check_stopped) progress.check_stopped();
    if (progress.report)
      progress.report("rounds of alignment", static_cast<uint64_t>(round) + 1,
                      static_cast<uint64_t>(options.alignment_rounds));
  };
  AlignedWords aligned = align_words(words, options.alignment_rounds, after_round);
  const auto empty =
      std::count_if(aligned.words.begin(), aligned.words.end(), [](const auto& word) { return word.empty(); });
  if (left_out != nullptr) *left_out = static_cast<size_t>(empty);
  if (aligned.words.size() - static_cast<size_t>(empty) < 10) {
    throw Error(Code::kBadData, "too few words whose letters and phonemes can be aligned")
        .seen(std::to_string(aligned.words.size() - static_cast<size_t>(empty)) + " of " +
              std::to_string(entries.size()))
        .expected("10 or more, with at most two phonemes a letter");
  }
  if (aligned.graphones.size() > 65000) throw Error(Code::kBadData, "more than 65,000 pairs of letters and phonemes");
  UnitNgram ngram(aligned.words, static_cast<uint32_t>(aligned.graphones.size()), options.order);
  ngram.prune(options.prune);
  content.note = options.note;
  content.order = static_cast<uint8_t>(options.order);
  content.graphones = std::move(aligned.graphones);
  for (const UnitNgram::Node& node : ngram.level_order()) {
    content.nodes.push_back({static_cast<uint16_t>(node.unit), static_cast<uint16_t>(node.child_count),
                             cost_of(node.probability), cost_of(node.backoff)});
  }
  return G2pModel(std::move(content), "the trained model");
}

G2pErrors measure_g2p(const G2pModel& model, const std::vector<G2pEntry>& entries, const G2pProgress& progress) {
  std::map<std::string, std::vector<const G2pEntry*>> words;
  for (const G2pEntry& entry : entries) words[entry.word].push_back(&entry);
  G2pErrors out;
  for (const auto& [word, references] : words) {
    if (progress.check_stopped) progress.check_stopped();
    const auto found = model.pronounce(word);
    const std::vector<std::string> said = found.empty() ? std::vector<std::string>() : found.front().phonemes;
    size_t edits = SIZE_MAX, stressed_edits = SIZE_MAX, length = 0;
    for (const G2pEntry* reference : references) {
      const size_t these = static_cast<size_t>(align(sounds_of(reference->phonemes), sounds_of(said)).errors());
      if (these < edits) {
        edits = these;
        length = sounds_of(reference->phonemes).size();
      }
      stressed_edits = std::min(stressed_edits, static_cast<size_t>(align(reference->phonemes, said).errors()));
    }
    ++out.words;
    out.phonemes += length;
    out.phoneme_edits += edits;
    out.wrong_words += edits > 0 ? 1 : 0;
    out.stressed_phoneme_edits += stressed_edits;
    out.stressed_wrong_words += stressed_edits > 0 ? 1 : 0;
    if (progress.report && out.words % 100 == 0) progress.report("words", out.words, words.size());
  }
  return out;
}

}  // namespace fathom::text
