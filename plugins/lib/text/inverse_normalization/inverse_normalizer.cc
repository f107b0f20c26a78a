#include "plugins/lib/text/inverse_normalization/inverse_normalizer.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <unordered_map>

#include "fathom/error.h"
#include "plugins/lib/text/inverse_normalization/inverse_rules.h"
#include "plugins/lib/text/inverse_normalization/inverse_tables.h"

namespace fathom::text {
namespace {

using inverse::Atom;
using inverse::Cost;
using inverse::kUnitCost;
using inverse::NumberWord;
using inverse::Readings;
using inverse::SpokenPhrase;
using inverse::SpokenReader;
using inverse::SpokenWord;

constexpr Cost kWordCost = 100 * kUnitCost;
constexpr Cost kPunctuationCost = 11000;
constexpr Cost kWhitelistCost = 10100;

char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string capitalized(std::string text) {
  if (!text.empty()) text[0] = to_upper(text[0]);
  return text;
}

std::string all_upper(std::string text) {
  for (char& c : text) c = to_upper(c);
  return text;
}

std::vector<SpokenWhitelistEntry> built_in_whitelist() {
  std::vector<SpokenWhitelistEntry> out;
  inverse::for_each_row(inverse::kSpokenWhitelist, [&](std::string_view written, std::string_view spoken) {
    SpokenWhitelistEntry entry;
    entry.spoken = spoken;
    const size_t sign = written.find('=');
    entry.written = written.substr(0, sign);
    if (sign != std::string_view::npos) entry.weight = std::stod(std::string(written.substr(sign + 1)));
    out.push_back(std::move(entry));
  });
  return out;
}

// What NeMo adds for cased texts: with a capital, all in capitals, and abbreviations without their spaces.
void add_cased_entries(std::vector<SpokenWhitelistEntry>& entries) {
  const size_t count = entries.size();
  for (size_t i = 0; i < count; ++i) {
    const SpokenWhitelistEntry entry = entries[i];
    const std::string written = capitalized(entry.written);
    std::string first = entry.spoken, upper = all_upper(entry.spoken), joined;
    for (char& c : first) c = to_lower(c);
    for (size_t at = 0; (at = upper.find(" AND ", at)) != std::string::npos;) upper.replace(at, 5, " and ");
    for (const char c : entry.spoken)
      if (c != ' ') joined += c;
    entries.push_back({capitalized(first), written, 0});
    entries.push_back({upper, written, 0});
    if (entry.spoken.size() == 2 * joined.size() - 1) {
      entries.push_back({joined, entry.written, entry.weight});
      entries.push_back({all_upper(joined), written, entry.weight});
    }
  }
}

// How an expression begins decides which rules are worth asking.
struct Beginning {
  bool number = false, sequence = false, other = false, net = false;
};

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  for (const auto& known : words)
    if (word == known) return true;
  return false;
}

Beginning beginning(const SpokenPhrase& phrase, size_t word) {
  Beginning out;
  const Atom& atom = phrase.atoms[phrase.words[word].first_atom];
  out.number = atom.number != NumberWord::kNone;
  const bool letter = atom.text.size() == 1;
  out.sequence = letter || out.number;
  char c = atom.text.empty() ? ' ' : to_lower(atom.text[0]);
  std::string lower;
  switch (c) {
    case 'a':
    case 'd':
    case 'f':
    case 'h':
    case 'j':
    case 'm':
    case 'n':
    case 'o':
    case 'p':
    case 'q':
    case 's':
    case 't':
      lower.assign(atom.text);
      lower[0] = c;
      out.other = is_one_of(lower, {"minus", "point",   "half",      "quarter", "the",      "o",       "oh",
                                    "q",     "january", "february",  "march",   "april",    "may",     "june",
                                    "july",  "august",  "september", "october", "november", "december"});
      out.sequence = out.sequence || is_one_of(lower, {"double", "triple", "plus", "oh"});
      break;
    default: break;
  }
  const size_t next = word + 1;
  if (next < phrase.words[word].run_end) {
    const std::string_view text = phrase.atoms[phrase.words[next].first_atom].text;
    out.net = text.size() == 1 || out.sequence ||
              is_one_of(text, {"dot", "at", "dash", "hyphen", "underscore", "slash", "colon", "mail", "vidia"});
  }
  return out;
}

}  // namespace

struct InverseNormalizer::Whitelist {
  struct Entry {
    std::string written;
    Cost cost = 0;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries;
  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> words;  // of the longest with this first word

  void add(const SpokenWhitelistEntry& entry) {
    const SpokenPhrase phrase(entry.spoken);  // for its single spaces
    if (phrase.text.empty()) return;
    const Cost cost = std::llround(entry.weight * static_cast<double>(kUnitCost));
    const auto [at, added] = entries.try_emplace(phrase.text, Entry{entry.written, cost});
    if (!added && cost <= at->second.cost)  // of equals the last, as the peer has it
      at->second = {entry.written, cost};
    size_t& longest = words[phrase.text.substr(0, phrase.text.find(' '))];
    longest = std::max(longest, phrase.words.size());
  }
};

std::vector<SpokenWhitelistEntry> read_spoken_whitelist(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(Code::kNoInput, "no such whitelist file").at(path);
  std::vector<SpokenWhitelistEntry> out;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    const auto refuse = [&](const std::string& what, const std::string& seen) {
      throw Error(Code::kBadData, what)
          .at(path + ":" + std::to_string(number))
          .seen(seen)
          .expected("written<TAB>spoken, or written<TAB>spoken<TAB>weight");
    };
    const size_t tab = line.find('\t');
    if (tab == std::string::npos || tab == 0) refuse("a line of a whitelist has two fields", line);
    SpokenWhitelistEntry entry;
    entry.written = line.substr(0, tab);
    const size_t weight = line.find('\t', tab + 1);
    entry.spoken = line.substr(tab + 1, weight == std::string::npos ? weight : weight - tab - 1);
    if (weight != std::string::npos) {
      const std::string text = line.substr(weight + 1);
      size_t read = 0;
      try {
        entry.weight = std::stod(text, &read);
      } catch (const std::exception&) {
        read = 0;
      }
      constexpr double kMostWeight = 1000;
      if (read != text.size() || text.empty() || !(std::abs(entry.weight) <= kMostWeight))
        refuse("a weight is a number of at most 1000", text);
    }
    if (entry.spoken.find_first_not_of(" \t\r") == std::string::npos)
      refuse("an entry of a whitelist needs its spoken words", line);
    out.push_back(std::move(entry));
  }
  return out;
}

InverseNormalizer::InverseNormalizer(InputCase input_case,
                                     const std::optional<std::vector<SpokenWhitelistEntry>>& whitelist)
    : input_case_(input_case) {
  std::vector<SpokenWhitelistEntry> entries = whitelist ? *whitelist : built_in_whitelist();
  if (input_case == InputCase::kCased) add_cased_entries(entries);
  auto all = std::make_shared<Whitelist>();
  for (const auto& entry : entries) all->add(entry);
  whitelist_ = std::move(all);
}

InverseNormalizer::~InverseNormalizer() = default;
InverseNormalizer::InverseNormalizer(InverseNormalizer&&) noexcept = default;
InverseNormalizer& InverseNormalizer::operator=(InverseNormalizer&&) noexcept = default;

std::vector<WrittenPart> InverseNormalizer::parts(std::string_view spoken) const {
  const SpokenPhrase phrase(spoken);
  const size_t count = phrase.words.size();
  // The cheapest way to each word's beginning.
  struct Step {
    Cost cost = std::numeric_limits<Cost>::max();
    size_t from = 0;
    bool changed = false;
    std::string written;
  };
  std::vector<Step> best(count + 1);
  best[0].cost = 0;
  const std::string_view text = phrase.text;
  const bool cased = input_case_ == InputCase::kCased;
  Readings readings;
  for (size_t word = 0; word < count; ++word) {
    const SpokenWord& here = phrase.words[word];
    const Cost so_far = best[word].cost;
    // A part from here to before `end`; punctuation at its edges is set apart, as the peer does.
    const auto offer = [&](size_t end, size_t head, size_t tail, Cost cost, std::string_view written, bool longest) {
      cost += so_far + static_cast<Cost>(head + tail) * kPunctuationCost;
      Step& step = best[end];
      // Of equally cheap ways the one whose last part begins first or last, whichever the peer mostly takes.
      if (cost > step.cost || (cost == step.cost && (step.from == word || longest))) return;
      step.cost = cost;
      step.from = word;
      step.changed = true;
      step.written.clear();
      for (size_t i = 0; i < head; ++i) step.written.append({text[here.begin + i], ' '});
      step.written += written;
      const SpokenWord& last = phrase.words[end - 1];
      for (size_t i = tail; i > 0; --i) step.written.append({' ', text[last.end - i]});
    };
    if (so_far + kWordCost < best[word + 1].cost) {
      Step& step = best[word + 1];
      step = {so_far + kWordCost, word, false, std::string(text.substr(here.begin, here.end - here.begin))};
    }
    // The whitelist, whose expressions may begin and end with punctuation.
    constexpr size_t kMostOwn = 4;  // of an expression's own punctuation at an edge
    for (size_t head = here.head() - std::min(here.head(), kMostOwn); head <= here.head(); ++head) {
      const std::string_view first = text.substr(here.begin + head, here.end - here.begin - head);
      // A word's punctuation may be its own or not.
      const size_t core = here.core_end > here.begin + head ? here.core_end - here.begin - head : 0;
      size_t longest = 0;
      for (size_t length = core; length <= std::min(first.size(), core + kMostOwn); ++length) {
        const auto found = whitelist_->words.find(first.substr(0, length));
        if (found != whitelist_->words.end()) longest = std::max(longest, found->second);
      }
      for (size_t end = word + 1; end <= std::min(count, word + longest); ++end) {
        const SpokenWord& last = phrase.words[end - 1];
        for (size_t tail = last.tail() - std::min(last.tail(), kMostOwn); tail <= last.tail(); ++tail) {
          const size_t begin = here.begin + head, stop = last.end - tail;
          if (stop <= begin) break;
          const auto found = whitelist_->entries.find(text.substr(begin, stop - begin));
          if (found != whitelist_->entries.end())
            offer(end, head, tail, kWhitelistCost + found->second.cost, found->second.written, false);
        }
      }
    }
    if (here.core_begin == here.core_end) continue;
    const Beginning begin = beginning(phrase, word);
    if (!begin.number && !begin.sequence && !begin.other && !begin.net) continue;
    const SpokenReader in(phrase, word, cased);
    const size_t at = here.first_atom;
    readings.clear();
    if (begin.number || begin.other) {
      inverse::time_rule(in, at, readings);
      inverse::cardinal_rule(in, at, readings);
    }
    if (begin.sequence) {
      inverse::telephone_rule(in, at, readings);
      inverse::serial_rule(in, at, readings);
    }
    const size_t longest = readings.size();
    if (begin.number || begin.other) {
      inverse::date_rule(in, at, readings);
      inverse::decimal_rule(in, at, readings);
      inverse::measure_rule(in, at, readings);
      inverse::ordinal_rule(in, at, readings);
      inverse::money_rule(in, at, readings);
    }
    if (begin.net) inverse::electronic_rule(in, at, readings);
    for (size_t i = 0; i < readings.size(); ++i) {
      const inverse::Reading& reading = readings[i];
      const size_t end = reading.end < phrase.atoms.size() ? phrase.atoms[reading.end].word : count;
      offer(end, here.head(), phrase.words[end - 1].tail(), reading.cost, reading.written, i < longest);
    }
  }
  std::vector<WrittenPart> out;
  for (size_t end = count; end > 0; end = best[end].from) {
    Step& step = best[end];
    const size_t begin = phrase.words[step.from].begin;
    out.push_back(
        {std::string(text.substr(begin, phrase.words[end - 1].end - begin)), std::move(step.written), step.changed});
  }
  return {std::make_move_iterator(out.rbegin()), std::make_move_iterator(out.rend())};
}

std::string InverseNormalizer::normalize(std::string_view spoken) const {
  std::string out;
  out.reserve(spoken.size());
  for (const WrittenPart& part : parts(spoken)) {
    if (!out.empty()) out += ' ';
    out += part.written;
  }
  return out;
}

}  // namespace fathom::text
