// The collection's metric and tokenizer as components of their own: asr.WER and asr.CharTokenizer.
#pragma once

#include "char_tokenizer.h"
#include "fathom/metric.h"
#include "fathom/tokenizer.h"
#include "wer.h"

namespace fathom::asr {

// Word (or character) error rate over lists of texts: update takes `hypotheses` and `references`, compute gives `wer`.
class WerMetric final : public EpochMetric {
 public:
  struct Options {
    bool use_cer = false;
    static void describe(OptionSet<Options>& o) { o("use_cer", &Options::use_cer, "count characters, not words"); }
  };
  explicit WerMetric(const Options& options) : counter_(options.use_cer) {}
  void update(const Values& values) override;
  std::vector<std::pair<std::string, double>> compute() const override { return {{"wer", counter_.rate()}}; }
  void reset() override { counter_.reset(); }
  std::map<std::string, double> sums() const override;
  void set_sums(const std::map<std::string, double>& sums) override;

 private:
  WerCounter counter_;
};

// One id per character of a vocabulary file, as NeMo's CharTokenizer.
class CharTokenizerComponent final : public Tokenizer {
 public:
  struct Options {
    std::string vocab_file;
    static void describe(OptionSet<Options>& o) {
      o.required("vocab_file", &Options::vocab_file, "file with one quoted character a line");
    }
  };
  explicit CharTokenizerComponent(const Options& options) : tokenizer_(options.vocab_file) {}
  int64_t vocab_size() const override { return tokenizer_.vocab_size(); }
  std::vector<int64_t> encode(std::string_view text) const override { return tokenizer_.text_to_ids(text); }
  std::string decode(const std::vector<int64_t>& ids) const override { return tokenizer_.ids_to_text(ids); }
  std::string piece(int64_t id) const override { return tokenizer_.ids_to_text({id}); }

 private:
  CharTokenizer tokenizer_;
};

}  // namespace fathom::asr
