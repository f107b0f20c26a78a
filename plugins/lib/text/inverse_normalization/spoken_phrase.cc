#include "plugins/lib/text/inverse_normalization/spoken_phrase.h"

#include <array>
#include <unordered_map>

namespace fathom::text::inverse {
namespace {

constexpr std::string_view kEdgePunctuation = "!#$%&'()*+,-./:;<=>?@^_`{|}~";

using NumberWords = std::unordered_map<std::string_view, Atom>;

const NumberWords& number_words() {
  static const NumberWords words = [] {
    NumberWords out;
    const auto add = [&](NumberWord kind, int value, std::string_view word, bool ordinal = false) {
      Atom atom;
      atom.number = kind;
      atom.value = static_cast<uint8_t>(value);
      atom.ordinal = ordinal;
      out.emplace(word, atom);
    };
    using enum NumberWord;
    add(kZero, 0, "zero");
    int value = 1;
    for (const char* word : {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine"})
      add(kUnit, value++, word);
    for (const char* word :
         {"ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"})
      add(kTeen, value++, word);
    for (const char* word : {"twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"}) {
      add(kTens, value, word);
      value += 10;
    }
    add(kTens, 40, "fourty");
    add(kHundred, 100, "hundred");
    value = 0;
    for (const char* word : {"sextillion", "quintillion", "quadrillion", "trillion", "billion", "million", "thousand"})
      add(kGroup, value++, word);
    for (const char* word : {"septillion", "octillion", "nonillion", "decillion", "undecillion", "duodecillion",
                             "tredecillion", "quattuordecillion", "quindecillion", "sexdecillion", "septendecillion",
                             "octodecillion", "novemdecillion", "vigintillion", "centillion"})
      add(kQuantity, 0, word);
    value = 0;
    for (const char* word : {"shankh", "padma", "nil", "kharab", "arab", "crore", "lakh"}) add(kIndian, value++, word);
    value = 0;
    for (const char* word : {"shankhs", "padmas", "nils", "kharabs", "arabs", "crores", "lakhs"})
      add(kIndian, value++, word);
    value = 1;
    for (const char* word : {"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"})
      add(kUnit, value++, word, true);
    add(kTeen, 12, "twelfth", true);
    return out;
  }();
  return words;
}

std::optional<Atom> cardinal_word(std::string_view word) {
  const auto found = number_words().find(word);
  if (found == number_words().end() || found->second.ordinal) return std::nullopt;
  return found->second;
}

// Number words and their ordinals begin with one of these.
bool may_be_number(std::string_view word) {
  if (word.size() < 3 || word.size() > 64) return false;
  switch (word[0]) {
    case 'a':
    case 'b':
    case 'c':
    case 'd':
    case 'e':
    case 'f':
    case 'h':
    case 'k':
    case 'l':
    case 'm':
    case 'n':
    case 'o':
    case 'p':
    case 'q':
    case 's':
    case 't':
    case 'u':
    case 'v':
    case 'z': return true;
    default: return false;
  }
}

// "twentythree" -> its number words, each the longest that fits; none where something is left over. The last may be an
// ordinal.
bool split_numbers(std::string_view word, std::vector<Atom>& out) {
  const size_t before = out.size();
  constexpr size_t kShortest = 3, kLongest = 18;
  while (!word.empty()) {
    std::optional<Atom> found;
    if ((found = number_word(word)))
      found->text = word;
    else
      for (size_t length = std::min(word.size(), kLongest); length >= kShortest && !found; --length) {
        if ((found = cardinal_word(word.substr(0, length)))) found->text = word.substr(0, length);
      }
    if (!found) {
      out.resize(before);
      return false;
    }
    word.remove_prefix(found->text.size());
    out.push_back(*found);
  }
  return out.size() > before;
}

// Only words that begin as number words do are worth splitting.
bool may_be_glued(std::string_view word) {
  static constexpr std::array<std::string_view, 23> kBeginnings = {
      "one", "two", "thr", "fou", "fiv", "six", "sev", "eig", "nin", "ten", "ele", "twe",
      "thi", "for", "fif", "zer", "hun", "tho", "mil", "bil", "tri", "lak", "cro"};
  if (word.size() < 6 || word.size() > 64) return false;
  const std::string_view beginning = word.substr(0, 3);
  for (const auto& known : kBeginnings)
    if (beginning == known) return true;
  return false;
}

bool is_punctuation(char c) { return kEdgePunctuation.find(c) != std::string_view::npos; }

// White space of the peer's grammars; the no-break space is two bytes.
size_t space_at(std::string_view text, size_t at) {
  const char c = text[at];
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return 1;
  if (c == '\xC2' && at + 1 < text.size() && text[at + 1] == '\xA0') return 2;
  return 0;
}

}  // namespace

std::optional<Atom> number_word(std::string_view word) {
  if (!may_be_number(word)) return std::nullopt;
  const auto found = number_words().find(word);
  if (found != number_words().end()) return found->second;
  if (word.size() < 5 || !word.ends_with("th")) return std::nullopt;
  std::optional<Atom> base;
  if (word.ends_with("tieth")) base = cardinal_word(std::string(word.substr(0, word.size() - 5)) + "ty");
  if (!base) base = cardinal_word(word.substr(0, word.size() - 2));
  if (base) base->ordinal = true;
  return base;
}

SpokenPhrase::SpokenPhrase(std::string_view spoken) {
  text.reserve(spoken.size());
  for (size_t at = 0; at < spoken.size();) {
    if (const size_t blank = space_at(spoken, at)) {
      if (!text.empty() && text.back() != ' ') text += ' ';
      at += blank;
    } else {
      text += spoken[at++];
    }
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  const std::string_view all = text;
  words.reserve(all.size() / 5 + 1);
  atoms.reserve(all.size() / 5 + 1);
  for (size_t begin = 0; begin < all.size();) {
    SpokenWord word;
    word.begin = begin;
    word.end = std::min(all.find(' ', begin), all.size());
    word.core_begin = word.begin;
    word.core_end = word.end;
    while (word.core_begin < word.end && is_punctuation(all[word.core_begin])) ++word.core_begin;
    while (word.core_end > word.core_begin && is_punctuation(all[word.core_end - 1])) --word.core_end;
    const std::string_view core = all.substr(word.core_begin, word.core_end - word.core_begin);
    // Punctuation that belongs to the word: "p.m." and "o' clock".
    if (word.tail() > 0) {
      if (all[word.core_end] == '.' && (core == "p.m" || core == "a.m" || core == "P.M" || core == "A.M"))
        ++word.core_end;
      if (word.tail() == 1 && all[word.core_end] == '\'' && (core == "o" || core == "O") &&
          all.substr(word.end).starts_with(" clock"))
        ++word.core_end;
    }
    has_dot |= core == "dot";
    word.first_atom = atoms.size();
    Atom atom;
    atom.text = all.substr(word.core_begin, word.core_end - word.core_begin);
    const size_t count = atoms.size();
    if (!atom.text.empty() && atom.text[0] >= 'A' && atom.text[0] <= 'Z') {
      std::string lower(atom.text);
      lower[0] = static_cast<char>(lower[0] - 'A' + 'a');
      if (const auto number = number_word(lower)) {
        const std::string_view written = atom.text;
        atom = *number;
        atom.text = written;
        atom.capital = true;
      }
    } else if (const auto number = number_word(atom.text)) {
      const std::string_view written = atom.text;
      atom = *number;
      atom.text = written;
    } else if (may_be_glued(atom.text)) {
      split_numbers(atom.text, atoms);
    }
    if (atoms.size() == count) atoms.push_back(atom);
    atoms[count].first = true;
    for (size_t i = count; i < atoms.size(); ++i) {
      atoms[i].word = static_cast<uint32_t>(words.size());
      has_indian |= atoms[i].number == NumberWord::kIndian;
    }
    words.push_back(word);
    begin = word.end + 1;
  }
  size_t run_end = words.size();
  for (size_t i = words.size(); i-- > 0;) {
    if (words[i].tail() > 0 || words[i].core_begin == words[i].core_end) run_end = i + 1;
    words[i].run_end = run_end;
    if (words[i].head() > 0) run_end = i;
  }
}

}  // namespace fathom::text::inverse
