// TextClassificationModel: one class a text, by an encoder of the BERT family.
#pragma once

#include "fathom/model.h"
#include "plugins/nlp/data/text_classification_dataset.h"
#include "plugins/nlp/models/word_encoder.h"
#include "plugins/nlp/modules/mlp_head.h"

namespace fathom::nlp {

// Sections: tokenizer, language_model, classifier_head, dataset, class_labels, train_ds, validation_ds, test_ds, optim,
// as in NeMo 1.23 (before it dropped its NLP collection). State dict: bert_model.…, classifier.mlp.layerN.…, and
// loss.weight where dataset.class_balancing is weighted_loss (inverse frequency in the training data).
//
// A batch of a step holds input_ids, segment_ids and input_mask (B,T), labels (B). forward takes input_ids,
// token_type_ids (optional) and attention_mask (optional), and gives logits (B,C).
class TextClassificationModel final : public Model {
 public:
  struct Options {
    Json tokenizer, language_model, classifier_head, class_labels, dataset, infer_samples, nemo_path,
        tokenizer_vocab_dict, name;
    static void describe(OptionSet<Options>& o);
  };
  TextClassificationModel(Json config, ModelContext context);

  Ports inputs() const override;
  Ports outputs() const override;
  Values forward(const Values& in) override;
  Values input_example() const override;
  // Null for a section without file_path. Stage kPredict: `texts` or `manifest_filepath`.
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) override;
  // Logs train_loss and lr.
  at::Tensor training_step(const Values& batch, const Step& step) override;
  void validation_step(const Values& batch, const Step& step) override;
  // Logs val_loss (mean over batches), val_precision, val_recall and val_f1 (micro, percent), or test_…; the table of
  // all classes goes to the log.
  void eval_epoch_end(const Step& step) override;
  // {text, label, scores?, left_out?} an item, with what else its line holds: `label` is the class's name, where
  // class_labels_file has names, else its number; with the option `scores` the probability of every class. left_out:
  // pieces of the text beyond max_seq_length, which did not count. Each text is computed by itself.
  std::vector<Values> predict_step(const Values& batch, const Json& options) override;
  std::vector<std::pair<std::string, std::string>> artifacts() const override;

 private:
  struct DatasetSection {
    int64_t num_classes = 0, max_seq_length = 256;
    bool do_lower_case = false, use_cache = false;
    std::optional<std::string> class_balancing;
    static void describe(OptionSet<DatasetSection>& o);
  };
  struct HeadSection {
    int64_t num_output_layers = 2;
    double fc_dropout = 0.1;
    static void describe(OptionSet<HeadSection>& o);
  };

  at::Tensor logits_of(const at::Tensor& ids, const at::Tensor& mask, const at::Tensor& types);
  at::Tensor logits_of(const Values& batch);
  void make_loss(const std::vector<double>& weights);
  TextClassificationRules rules(int64_t longest) const;
  std::string path_of(const char* key) const;

  WordEncoder words_;
  DatasetSection dataset_;
  std::shared_ptr<nn::BertEncoder> encoder_;
  std::shared_ptr<MlpHead> head_;
  ModuleHandle loss_;
  MetricHandle report_, average_loss_;
  std::vector<std::string> class_names_;
  std::string labels_file_;
};

}  // namespace fathom::nlp
