// Texts and the class of each, for TextClassificationModel.
#pragma once

#include <memory>

#include "fathom/dataset.h"
#include "fathom/lengths.h"
#include "plugins/lib/text/subword_tokenizer.h"

namespace fathom::nlp {

struct ClassifiedText {
  std::vector<int64_t> ids;  // [CLS] pieces [SEP]
  int64_t label = 0;
  int64_t left_out = 0;  // pieces beyond the longest sequence
  std::string entry;     // in inference: the line, as JSON
};

// What the model says of all its sets.
struct TextClassificationRules {
  std::shared_ptr<const text::SubwordTokenizer> tokenizer;
  int64_t classes = 0;
  int64_t longest = 0;  // ids of a text; longer texts lose their end
  bool do_lower_case = false;
};

// A batch: input_ids, segment_ids and input_mask (B,T) int64, labels (B) int64; padding is [PAD] in the ids and 0
// elsewhere.
//
// A line of file_path holds words and, after the last white space, the number of the class. A first line without a
// number is a header. Texts whose end is left out are counted in the log, once a set.
// Errors (kBadData, file:line): a line without words or without a number, a number that is no class.
class TextClassificationDataset : public DatasetOf<ClassifiedText>, public HasLengths {
 public:
  struct Options {
    std::optional<std::string> file_path;
    int64_t num_samples = -1;
    static void describe(OptionSet<Options>& o);
  };
  TextClassificationDataset(const Options& options, TextClassificationRules rules);
  // Of texts to be classified: batches hold `entries`, a list of the lines, in place of labels.
  static std::shared_ptr<TextClassificationDataset> for_inference(const std::vector<Json>& lines,
                                                                  TextClassificationRules rules);

  int64_t size() const override { return static_cast<int64_t>(texts_.size()); }
  std::vector<std::string> length_units() const override { return {"tokens"}; }
  double length(int64_t index, std::string_view unit) const override;
  double length_hint(int64_t index) const override { return length(index, "tokens"); }
  Ports outputs() const override;
  ClassifiedText get(int64_t index, uint64_t seed) const override;
  Values collate(const std::vector<const ClassifiedText*>& samples) const override;
  // Texts of each class.
  std::vector<int64_t> occurrences() const;

 private:
  explicit TextClassificationDataset(TextClassificationRules rules) : rules_(std::move(rules)) {}
  ClassifiedText encoded(std::string_view text) const;
  void tell_left_out(const std::string& where) const;

  TextClassificationRules rules_;
  bool inference_ = false;
  std::vector<ClassifiedText> texts_;
};

}  // namespace fathom::nlp
