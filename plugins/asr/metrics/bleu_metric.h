// The component asr.BLEU.
#pragma once

#include <array>

#include "fathom/metric.h"

namespace fathom::asr {

// The words of a text for BLEU, in the way of `tokenizer`: 13a (punctuation apart, as mteval-v13a and sacreBLEU), char
// or none (white space alone).
std::vector<std::string> bleu_words(const std::string& text, const std::string& tokenizer);

// BLEU of a corpus with one reference an item (Papineni et al. 2002, ACL), as NeMo's BLEU: update takes `hypotheses`
// and `references`, lists of texts of one length; compute gives bleu from 0 to 1: 0 where any order of n-grams has no
// match, and before the first item.
class BleuMetric final : public EpochMetric {
 public:
  static constexpr int64_t kLongestGram = 8;
  struct Options {
    std::string bleu_tokenizer = "13a";
    int64_t n_gram = 4;
    bool lowercase = false, smooth = false;
    std::optional<std::vector<double>> weights;
    static void describe(OptionSet<Options>& o);
  };
  explicit BleuMetric(const Options& options);
  void update(const Values& values) override;
  std::vector<std::pair<std::string, double>> compute() const override;
  void reset() override;
  std::map<std::string, double> sums() const override;
  void set_sums(const std::map<std::string, double>& sums) override;

 private:
  void add(const std::string& hypothesis, const std::string& reference);

  Options options_;
  std::array<double, kLongestGram> matches_{}, grams_{};  // by length
  double hypothesis_words_ = 0, reference_words_ = 0;
};

}  // namespace fathom::asr
