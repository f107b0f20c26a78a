// Sequences of digits and letters: telephone numbers and the like, serial numbers, addresses of the net.
#include <array>
#include <map>

#include "plugins/lib/text/inverse_normalization/inverse_rules.h"

namespace fathom::text::inverse {
namespace {

using enum NumberWord;

constexpr size_t kMostDigits = 16;
constexpr size_t kLongestSpan = 96;  // words of one address or serial number

// The cheapest ways to read digits from an atom on: for each atom behind them and each count of digits.
struct DigitRuns {
  struct Run {
    std::string digits;
    Cost cost = 0;
    bool known = false;
  };
  std::map<size_t, std::array<Run, kMostDigits + 1>> at;

  void keep(size_t end, const Run& so_far, std::string_view more, Cost cost) {
    const size_t count = so_far.digits.size() + more.size();
    if (count > kMostDigits) return;
    constexpr Cost kJoin = 1;
    Run& run = at[end][count];
    const Cost all = so_far.cost + cost + (so_far.digits.empty() ? 0 : kJoin);
    if (run.known && run.cost <= all) return;
    run = {so_far.digits + std::string(more), all, true};
  }
};

bool spoken_digit(const SpokenReader& in, size_t at, char* digit) {
  if (!in.word_at(at) || !in.ends_word(at + 1)) return false;
  if (in.digit_at(at, in.cased(), digit, true)) return true;
  *digit = '0';
  return in.is_cased(at, "o") || in.is_cased(at, "oh");
}

// How many words from here on may belong to a telephone number.
size_t digit_words(const SpokenReader& in, size_t at) {
  size_t count = 0;
  char digit = 0;
  for (size_t i = at; in.word_at(i) && count < 2 * kMostDigits; ++i) {
    if (!spoken_digit(in, i, &digit) && !in.number_at(i, kTeen, in.cased()) && !in.number_at(i, kTens, in.cased()) &&
        !in.is_cased(i, "double") && !in.is_cased(i, "triple") && !in.is(i, "and"))
      break;
    ++count;
  }
  return count;
}

DigitRuns read_digits(const SpokenReader& in, size_t first, size_t most) {
  DigitRuns runs;
  runs.at[first][0].known = true;
  constexpr Cost kRepeat = -1;
  for (auto here = runs.at.begin(); here != runs.at.end(); ++here) {
    const size_t at = here->first;
    if (!in.word_at(at)) continue;
    Readings items;
    char digit = 0;
    if (spoken_digit(in, at, &digit)) items.push_back({at + 1, std::string(1, digit)});
    // Not with capitals, but for the first word.
    const auto repeats = [&](std::string_view word) {
      return (at == first ? in.is_cased(at, word) : in.is(at, word)) && spoken_digit(in, at + 1, &digit) &&
             in.atom(at + 1).text[0] >= 'a';
    };
    if (repeats("double")) items.push_back({at + 2, std::string(2, digit), kRepeat});
    if (repeats("triple")) items.push_back({at + 2, std::string(3, digit), kRepeat});
    if (in.number_at(at, kTeen, in.cased()) || in.number_at(at, kTens, in.cased())) {
      for (Reading& number : in.cardinals(at)) {
        if (number.written.size() != 2 || !in.ends_word(number.end)) continue;
        number.cost += kRepeat;
        items.push_back(std::move(number));
      }
    }
    for (const auto& run : here->second) {
      if (!run.known) continue;
      for (const Reading& item : items)
        if (run.digits.size() + item.written.size() <= most) runs.keep(item.end, run, item.written, item.cost);
    }
  }
  return runs;
}

std::string grouped(const std::string& digits, std::initializer_list<int> sizes, char between) {
  std::string out;
  size_t at = 0;
  for (const int size : sizes) {
    if (at > 0) out += between;
    out += digits.substr(at, static_cast<size_t>(size));
    at += static_cast<size_t>(size);
  }
  return out;
}

void add_numbers(const DigitRuns& runs, const std::string& country, Cost cost, bool others, Readings& out) {
  for (const auto& [end, by_count] : runs.at) {
    const auto add = [&](size_t count, std::initializer_list<int> sizes, char between) {
      if (by_count[count].known) {
        out.push_back(
            {end, country + grouped(by_count[count].digits, sizes, between), kRuleCost + cost + by_count[count].cost});
      }
    };
    add(10, {3, 3, 4}, '-');
    if (!others) continue;
    add(9, {3, 2, 4}, '-');
    add(14, {4, 6, 4}, ' ');
    add(15, {4, 6, 5}, ' ');
    add(16, {4, 4, 4, 4}, ' ');
  }
}

void add_addresses(const SpokenReader& in, size_t at, const std::string& so_far, int parts, Cost cost, Readings& out) {
  constexpr size_t kPartDigits = 3;
  constexpr int kParts = 4;
  const DigitRuns runs = read_digits(in, at, kPartDigits);
  for (const auto& [end, by_count] : runs.at) {
    const bool last = parts + 1 == kParts;
    if (!last && (!in.is(end, "dot") || !in.word_at(end + 1))) continue;
    for (size_t count = 1; count <= kPartDigits; ++count) {
      if (!by_count[count].known) continue;
      const std::string written = so_far + by_count[count].digits;
      const Cost all = cost + (end - at == count ? 0 : by_count[count].cost);  // single digits have no weight
      if (last)
        out.push_back({end, written, kRuleCost + all});
      else
        add_addresses(in, end + 1, written + ".", parts + 1, all, out);
    }
  }
}

// ---- Automata over words ----

// The cheapest ways to each state behind each word; `kStates` states of which 0 is the beginning.
template <size_t kStates>
class WordAutomaton {
 public:
  struct Node {
    std::string written;
    Cost cost = 0;
    bool known = false;
  };
  explicit WordAutomaton(size_t words) : nodes_(words + 1) { nodes_[0][0].known = true; }
  const std::array<Node, kStates>& behind(size_t words) const { return nodes_[words]; }
  size_t size() const { return nodes_.size() - 1; }
  // From a node at `words` to `state` behind `more` words. The first of equally cheap ways stays.
  void go(size_t words, size_t from, size_t more, size_t state, std::string_view piece, Cost cost) {
    if (words + more >= nodes_.size()) return;
    const Node& source = nodes_[words][from];
    Node& target = nodes_[words + more][state];
    if (target.known && target.cost <= source.cost + cost) return;
    target = {source.written + std::string(piece), source.cost + cost, true};
    reached_ = std::max(reached_, words + more);
  }
  size_t reached() const { return reached_; }

 private:
  std::vector<std::array<Node, kStates>> nodes_;
  size_t reached_ = 0;
};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool all_letters(std::string_view text) {
  for (const char c : text)
    if (!is_letter(c)) return false;
  return !text.empty();
}

size_t words_left(const SpokenReader& in, size_t at) {
  const size_t first = in.atom(at).word;
  return std::min(in.phrase().words[first].run_end - first, kLongestSpan);
}

size_t atom_of(const SpokenReader& in, size_t at, size_t words) {
  return in.phrase().first_atom(in.atom(at).word + words);
}

// ---- Serial numbers ----

// What a word may be in a serial number.
struct SerialItem {
  char single = 0;  // a letter or digit
  bool digit = false;
  Cost cost = 0;
  std::array<std::pair<std::string, size_t>, 2> pairs;  // two digits, and their words
};

SerialItem serial_item(const SpokenReader& in, size_t at) {
  SerialItem item;
  if (!in.word_at(at)) return item;
  const Atom& atom = in.atom(at);
  constexpr Cost kDigitCost = 7000;
  if (atom.text.size() == 1 && is_letter(atom.text[0])) item.single = atom.text[0];
  char digit = 0;
  if (in.ends_word(at + 1) && in.digit_at(at, in.cased(), &digit, true)) {
    item.single = digit;
    item.digit = true;
    item.cost = item.single == '0' ? 0 : kDigitCost;
  }
  Readings pairs;
  in.teens(at, false, pairs);
  in.tens(at, false, pairs);
  size_t n = 0;
  for (Reading& pair : pairs) {
    if (!in.ends_word(pair.end)) continue;
    const size_t behind = pair.end < in.limit() ? in.atom(pair.end).word : in.atom(in.limit() - 1).word + 1;
    item.pairs[n++] = {std::move(pair.written), behind - atom.word};
  }
  return item;
}

// States of three shapes: a beginning and two or more of what follows; with `kNoDigit` where no digit was read yet.
enum SerialState : size_t {
  kBegin,
  kAny1,
  kAny2,
  kAny3,  // begins with a digit or a letter but "a"; then anything
  kSingle1,
  kSingle2,
  kSingle3,  // begins with anything; then digits and letters
  kNoDigitAny1,
  kNoDigitAny2,
  kNoDigitAny3,
  kNoDigitSingle1,
  kNoDigitSingle2,
  kNoDigitSingle3,
  kLetters1,
  kLetters2,
  kLettersPairs,  // letters, two or more, then pairs
  kLetter,
  kLetterPairs,  // a letter but "a", then pairs
  kPairs1,
  kPairs2,
  kPairsLetters,  // pairs, two or more, then letters
  kSerialStates
};

void step_serial(const SerialItem& item, WordAutomaton<kSerialStates>& automaton, size_t words, size_t from) {
  constexpr Cost kPairCost = 20;
  const bool letter = item.single != 0 && !item.digit;
  const bool not_a = letter && item.single >= 'b' && item.single <= 'z';
  const std::string_view single(&item.single, item.single == 0 ? 0 : 1);
  const auto on_single = [&](size_t state) { automaton.go(words, from, 1, state, single, item.cost); };
  const auto on_pairs = [&](size_t state) {
    for (const auto& [digits, length] : item.pairs)
      if (length > 0) automaton.go(words, from, length, state, digits, kPairCost);
  };
  constexpr size_t kWithout = kNoDigitAny1 - kAny1;
  switch (from) {
    case kBegin:
      if (item.digit || not_a) on_single(item.digit ? kAny1 : kNoDigitAny1);
      if (item.single != 0) on_single(item.digit ? kSingle1 : kNoDigitSingle1);
      on_pairs(kSingle1);
      if (letter) on_single(kLetters1);
      if (not_a) on_single(kLetter);
      on_pairs(kPairs1);
      return;
    case kAny1:
    case kAny2:
    case kAny3:
    case kNoDigitAny1:
    case kNoDigitAny2:
    case kNoDigitAny3: {
      const size_t base = from >= kNoDigitAny1 ? from - kWithout : from;
      const size_t next = std::min<size_t>(base + 1, kAny3);
      if (item.single != 0) on_single(base == from || item.digit ? next : next + kWithout);
      on_pairs(next);
      return;
    }
    case kSingle1:
    case kSingle2:
    case kSingle3:
    case kNoDigitSingle1:
    case kNoDigitSingle2:
    case kNoDigitSingle3: {
      const size_t base = from >= kNoDigitSingle1 ? from - kWithout : from;
      const size_t next = std::min<size_t>(base + 1, kSingle3);
      if (item.single != 0) on_single(base == from || item.digit ? next : next + kWithout);
      return;
    }
    case kLetters1:
      if (letter) on_single(kLetters2);
      return;
    case kLetters2:
      if (letter) on_single(kLetters2);
      on_pairs(kLettersPairs);
      return;
    case kLettersPairs: on_pairs(kLettersPairs); return;
    case kLetter:
    case kLetterPairs: on_pairs(kLetterPairs); return;
    case kPairs1: on_pairs(kPairs2); return;
    case kPairs2: on_pairs(kPairs2); [[fallthrough]];
    case kPairsLetters:
      if (letter) on_single(kPairsLetters);
      return;
    default: return;
  }
}

// ---- Addresses of the net ----

char symbol_at(const SpokenReader& in, size_t at) {
  if (in.is(at, "dot")) return '.';
  if (in.is(at, "dash") || in.is(at, "hyphen")) return '-';
  if (in.is(at, "underscore")) return '_';
  if (in.is(at, "slash")) return '/';
  return 0;
}

enum NetState : size_t {
  kNetBegin,
  kScheme,      // behind "h t t p colon slash slash"
  kWord,        // a server's or user's name in a word; before kSpelled, so that "one dot" is "one."
  kSpelled,     // letters and digits: a user or a server
  kSymbol,      // behind a symbol
  kWordEnd,     // a word behind a symbol
  kSpelledEnd,  // letters, digits and symbols behind a symbol
  kUser,        // spelled letters, digits and symbols of a user, with a symbol
  kAt,          // behind "at"
  kServer,
  kServerWord,
  kServerDot,
  kDomain,
  kDomainWord,
  kNetStates
};

constexpr Cost kPlainWordCost = 1;

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kSchemes = {{{"h t t p", "http://"},
                                                                                    {"h t t p s", "https://"},
                                                                                    {"http", "http://"},
                                                                                    {"https", "https://"},
                                                                                    {"w w w", "www."},
                                                                                    {"www", "www."}}};

// The atom behind a scheme or "www" and what comes before the server: "h t t p colon slash slash", "w w w dot".
size_t after_scheme(const SpokenReader& in, size_t at, std::string_view scheme) {
  const bool www = scheme[0] == 'w';
  size_t end = in.after_words(at, scheme);
  if (end == 0 && in.cased()) {
    std::string said(scheme);
    said[0] = static_cast<char>(said[0] - 'a' + 'A');
    end = in.after_words(at, said);
    for (char& c : said) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (end == 0) end = in.after_words(at, said);
  }
  return end == 0 ? 0 : in.after_words(end, www ? "dot" : "colon slash slash");
}

}  // namespace

void telephone_rule(const SpokenReader& in, size_t at, Readings& out) {
  const bool plus = in.is_cased(at, "plus");
  const size_t first = plus ? at + 1 : at;
  constexpr size_t kFewestWords = 5;
  const size_t words = digit_words(in, first);
  if (words == 0) return;
  if (!plus && in.phrase().has_dot) {
    constexpr Cost kAddressReward = -1;
    add_addresses(in, at, "", 0, kAddressReward, out);
  }
  if (words < kFewestWords) return;
  const DigitRuns runs = read_digits(in, first, kMostDigits);
  constexpr size_t kCountryDigits = 3, kNumberDigits = 10;
  for (const auto& [end, by_count] : runs.at) {
    if (!in.word_at(end) || end - first > 2 * kCountryDigits) continue;
    for (size_t count = 1; count <= kCountryDigits; ++count) {
      if (!by_count[count].known) continue;
      // Single digits of a country have no weight.
      const Cost cost = end - first == count ? 0 : by_count[count].cost;
      add_numbers(read_digits(in, end, kNumberDigits), (plus ? "+" : "") + by_count[count].digits + " ", cost, false,
                  out);
    }
  }
  // Behind those with a country: of equally cheap ones the first is taken, as the peer does.
  if (!plus) add_numbers(runs, "", 0, true, out);
}

void serial_rule(const SpokenReader& in, size_t at, Readings& out) {
  WordAutomaton<kSerialStates> automaton(words_left(in, at));
  for (size_t words = 0; words <= automaton.reached(); ++words) {
    const auto& nodes = automaton.behind(words);
    constexpr Cost kSerialCost = 1;
    const Reading* best = nullptr;
    Reading found;
    for (const size_t state : {kAny3, kSingle3, kLettersPairs, kLetterPairs, kPairsLetters}) {
      if (!nodes[state].known || (best != nullptr && best->cost <= kRuleCost + kSerialCost + nodes[state].cost))
        continue;
      found = {atom_of(in, at, words), nodes[state].written, kRuleCost + kSerialCost + nodes[state].cost};
      best = &found;
    }
    if (best != nullptr) out.push_back(found);
    if (words == automaton.size()) break;
    const SerialItem item = serial_item(in, atom_of(in, at, words));
    if (item.single == 0 && item.pairs[0].second == 0) continue;
    for (size_t state = 0; state < kSerialStates; ++state)
      if (nodes[state].known) step_serial(item, automaton, words, state);
  }
}

void electronic_rule(const SpokenReader& in, size_t at, Readings& out) {
  WordAutomaton<kNetStates> net(words_left(in, at));
  for (size_t words = 0; words <= net.reached(); ++words) {
    const auto& nodes = net.behind(words);
    const Reading* best = nullptr;
    Reading found;
    for (const size_t state : {kWordEnd, kSpelledEnd, kDomainWord, kDomain}) {
      if (!nodes[state].known || (best != nullptr && best->cost <= kRuleCost + nodes[state].cost)) continue;
      found = {atom_of(in, at, words), nodes[state].written, kRuleCost + nodes[state].cost};
      best = &found;
    }
    if (best != nullptr) out.push_back(found);
    if (words == net.size()) break;
    const size_t i = atom_of(in, at, words);
    const std::string_view text = in.atom(i).text;
    const bool one_atom = in.ends_word(i + 1);
    char digit = 0;
    const bool is_digit = one_atom && in.digit_at(i, in.cased(), &digit, true);
    const bool letter = text.size() == 1 && is_letter(text[0]);
    const std::string_view single = is_digit ? std::string_view(&digit, 1) : letter ? text : std::string_view();
    const size_t word_index = in.atom(i).word;
    const std::string_view whole = in.phrase().between(word_index, word_index);
    const std::string_view word = all_letters(whole) && whole.size() > 1 ? whole : std::string_view();
    const char symbol = symbol_at(in, i);
    const std::string_view mark(&symbol, symbol == 0 ? 0 : 1);
    const auto first_is = [&](std::string_view name) { return words == 0 ? in.is_cased(i, name) : in.is(i, name); };
    const bool mail = first_is("g") && in.is(i + 1, "mail"), nvidia = first_is("n") && in.is(i + 1, "vidia");
    // A server's or domain's beginning; words before what is spelled, as "dot one" is ".one".
    const auto name = [&](size_t from, size_t as_word, size_t as_spelled) {
      if (!word.empty()) net.go(words, from, 1, as_word, word, 0);
      if (!single.empty()) net.go(words, from, 1, as_spelled, single, 0);
    };
    const auto server = [&](size_t from, size_t as_word, size_t as_spelled) {
      name(from, as_word, as_spelled);
      if (mail || nvidia) net.go(words, from, 2, as_word, mail ? "gmail" : "nvidia", 0);
    };
    for (size_t state = 0; state < kNetStates; ++state) {
      if (!nodes[state].known) continue;
      switch (state) {
        case kNetBegin:
          for (const auto& [spoken, scheme] : kSchemes) {
            if (const size_t end = after_scheme(in, i, spoken); end > 0 && in.word_at(end))
              net.go(words, state, in.atom(end).word - word_index, kScheme, scheme, 0);
          }
          server(state, kWord, kSpelled);
          break;
        case kScheme:
          if (const size_t end = after_scheme(in, i, kSchemes.back().first); end > 0 && in.word_at(end))
            net.go(words, state, in.atom(end).word - word_index, kScheme, "www.", 0);
          if (const size_t end = after_scheme(in, i, kSchemes[4].first); end > 0 && in.word_at(end))
            net.go(words, state, in.atom(end).word - word_index, kScheme, "www.", 0);
          server(state, kWord, kSpelled);
          break;
        case kSpelled:
        case kWord:
        case kUser:
          if (state != kWord && !single.empty()) net.go(words, state, 1, state, single, 0);
          if (symbol != 0 && state != kUser) net.go(words, state, 1, kSymbol, mark, 0);
          if (symbol != 0 && state != kWord) net.go(words, state, 1, kUser, mark, 0);
          if (in.is(i, "at")) net.go(words, state, 1, kAt, "@", state == kWord ? kPlainWordCost : 0);
          break;
        case kSymbol:
          name(state, kWordEnd, kSpelledEnd);
          if (symbol != 0) net.go(words, state, 1, kSpelledEnd, mark, 0);
          break;
        case kSpelledEnd:
        case kWordEnd:
          if (symbol != 0) net.go(words, state, 1, kSymbol, mark, 0);
          if (in.is(i, "at")) net.go(words, state, 1, kAt, "@", kPlainWordCost);
          if (state == kSpelledEnd && !single.empty()) net.go(words, state, 1, state, single, 0);
          if (state == kSpelledEnd && symbol != 0) net.go(words, state, 1, state, mark, 0);
          break;
        case kAt: server(state, kServerWord, kServer); break;
        case kServer:
        case kServerWord:
          if (state == kServer && !single.empty()) net.go(words, state, 1, state, single, 0);
          if (symbol == '.') net.go(words, state, 1, kServerDot, mark, 0);
          break;
        case kServerDot: name(state, kDomainWord, kDomain); break;
        case kDomain:
        case kDomainWord:
          if (state == kDomain && !single.empty()) net.go(words, state, 1, state, single, 0);
          if (symbol == '.') net.go(words, state, 1, kServerDot, mark, 0);
          break;
        default: break;
      }
    }
  }
}

}  // namespace fathom::text::inverse
