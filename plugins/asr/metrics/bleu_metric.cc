#include "plugins/asr/metrics/bleu_metric.h"

#include <algorithm>
#include <cmath>

#include "fathom/utf8.h"
#include "plugins/asr/decoding/confidence.h"
#include "plugins/asr/option_range.h"
#include "plugins/lib/text/latin_text.h"
#include "plugins/lib/text/words.h"

namespace fathom::asr {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Symbols of ASCII that always stand alone; '.', ',', '-' and ''' have rules of their own.
bool stands_alone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
         (c >= ':' && c <= '@') || c == '/';
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// Where two neighbours match, blanks go around one of them; a character belongs to one pair at most.
template <typename Matches>
std::string spaced_pairs(const std::string& text, Matches matches, const char* before, const char* between,
                         const char* after) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (i + 1 < text.size() && matches(text[i], text[i + 1])) {
      ((((out += before) += text[i]) += between) += text[i + 1]) += after;
      i += 2;
    } else {
      out += text[i++];
    }
  }
  return out;
}

std::string separated_13a(std::string text) {
  replace_all(text, "<skipped>", "");
  replace_all(text, "-\n", "");
  replace_all(text, "\n", " ");
  if (text.find('&') != std::string::npos) {
    for (const auto& [from, to] : {std::pair{"&quot;", "\""}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}})
      replace_all(text, from, to);
  }
  std::string out;
  for (const char c : " " + text + " ") {
    if (stands_alone(c))
      ((out += ' ') += c) += ' ';
    else
      out += c;
  }
  const auto mark = [](char c) { return c == '.' || c == ','; };
  out = spaced_pairs(out, [&](char a, char b) { return !is_digit(a) && mark(b); }, "", " ", " ");
  out = spaced_pairs(out, [&](char a, char b) { return mark(a) && !is_digit(b); }, " ", " ", "");
  return spaced_pairs(out, [&](char a, char b) { return is_digit(a) && b == '-'; }, "", " ", " ");
}

std::map<std::vector<std::string>, int64_t> grams_of(const std::vector<std::string>& words, int64_t longest) {
  std::map<std::vector<std::string>, int64_t> out;
  for (size_t i = 0; i < words.size(); ++i) {
    for (size_t n = 1; n <= static_cast<size_t>(longest) && i + n <= words.size(); ++n)
      ++out[{words.begin() + static_cast<std::ptrdiff_t>(i), words.begin() + static_cast<std::ptrdiff_t>(i + n)}];
  }
  return out;
}

}  // namespace

std::vector<std::string> bleu_words(const std::string& text, const std::string& tokenizer) {
  if (tokenizer == "13a") return text::split_words(separated_13a(text));
  if (tokenizer == "none") return text::split_words(text);
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const size_t length = std::max<size_t>(utf8::decode(text, at, &c), 1);
    if (!utf8::is_white_space(c)) out.push_back(text.substr(at, length));
    at += length;
  }
  return out;
}

void BleuMetric::Options::describe(OptionSet<Options>& o) {
  o("bleu_tokenizer", &Options::bleu_tokenizer, "how texts become words: 13a, char or none (white space)");
  o("n_gram", &Options::n_gram, "longest n-grams that count", "words");
  o("lowercase", &Options::lowercase, "upper and lower case are one");
  o("smooth", &Options::smooth, "one more of every n-gram from pairs on, so that few items are not 0");
  o("weights", &Options::weights, "of each length of n-grams; null: alike");
}

BleuMetric::BleuMetric(const Options& options) : options_(options) {
  if (options.bleu_tokenizer == "zh" || options.bleu_tokenizer == "intl" ||
      options.bleu_tokenizer.find('-') != std::string::npos || options.bleu_tokenizer.starts_with("flores")) {
    throw Error(Code::kUnavailable, "this way to cut texts into words for BLEU is not available")
        .at("bleu_tokenizer")
        .seen(options.bleu_tokenizer)
        .next("use 13a, or char for languages that write no blanks");
  }
  expect_one_of(options.bleu_tokenizer, {"13a", "char", "none"}, "bleu_tokenizer");
  check_range("n_gram", options.n_gram, 1, kLongestGram);
  if (options.weights && static_cast<int64_t>(options.weights->size()) != options.n_gram) {
    throw Error(Code::kFailed, "BLEU needs a weight for each length of n-grams")
        .at("weights")
        .seen(std::to_string(options.weights->size()))
        .expected(std::to_string(options.n_gram) + ", as n_gram says");
  }
}

void BleuMetric::add(const std::string& hypothesis, const std::string& reference) {
  const auto words_of = [&](const std::string& text) {
    return bleu_words(options_.lowercase ? text::lower_case(text) : text, options_.bleu_tokenizer);
  };
  const auto heard = words_of(hypothesis), meant = words_of(reference);
  hypothesis_words_ += static_cast<double>(heard.size());
  reference_words_ += static_cast<double>(meant.size());
  const auto known = grams_of(meant, options_.n_gram);
  for (const auto& [gram, count] : grams_of(heard, options_.n_gram)) {
    const auto found = known.find(gram);
    grams_[gram.size() - 1] += static_cast<double>(count);
    if (found != known.end()) matches_[gram.size() - 1] += static_cast<double>(std::min(count, found->second));
  }
}

void BleuMetric::update(const Values& values) {
  const auto& hypotheses = values["hypotheses"].list();
  const auto& references = values["references"].list();
  if (hypotheses.size() != references.size()) {
    throw Error(Code::kFailed, "BLEU needs as many hypotheses as references")
        .seen(std::to_string(hypotheses.size()) + " and " + std::to_string(references.size()));
  }
  for (size_t i = 0; i < hypotheses.size(); ++i) add(hypotheses[i].text(), references[i].text());
}

std::vector<std::pair<std::string, double>> BleuMetric::compute() const {
  double log_precision = 0;
  for (int64_t n = 0; n < options_.n_gram; ++n) {
    const auto i = static_cast<size_t>(n);
    if (matches_[i] == 0) return {{"bleu", 0.0}};
    const double more = options_.smooth && n > 0 ? 1 : 0;
    const double weight = options_.weights ? (*options_.weights)[i] : 1 / static_cast<double>(options_.n_gram);
    log_precision += weight * std::log((matches_[i] + more) / (grams_[i] + more));
  }
  const double brevity = hypothesis_words_ > reference_words_ ? 0 : 1 - reference_words_ / hypothesis_words_;
  return {{"bleu", std::exp(log_precision + brevity)}};
}

void BleuMetric::reset() {
  matches_.fill(0);
  grams_.fill(0);
  hypothesis_words_ = reference_words_ = 0;
}

std::map<std::string, double> BleuMetric::sums() const {
  std::map<std::string, double> out = {{"hypothesis_words", hypothesis_words_}, {"reference_words", reference_words_}};
  for (size_t i = 0; i < matches_.size(); ++i) {
    out["matches_" + std::to_string(i + 1)] = matches_[i];
    out["grams_" + std::to_string(i + 1)] = grams_[i];
  }
  return out;
}

void BleuMetric::set_sums(const std::map<std::string, double>& sums) {
  hypothesis_words_ = sums.at("hypothesis_words");
  reference_words_ = sums.at("reference_words");
  for (size_t i = 0; i < matches_.size(); ++i) {
    matches_[i] = sums.at("matches_" + std::to_string(i + 1));
    grams_[i] = sums.at("grams_" + std::to_string(i + 1));
  }
}

}  // namespace fathom::asr
