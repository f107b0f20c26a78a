#include "plugins/nlp/models/text_classification_model.h"

#include <ATen/ATen.h>

#include "fathom/log_level.h"
#include "plugins/lib/option_range.h"
#include "plugins/lib/text/pronunciation_dictionary.h"
#include "plugins/nlp/data/class_weights.h"
#include "plugins/nlp/data/text_section.h"
#include "plugins/nlp/metrics/classification_report.h"

namespace fathom::nlp {
namespace {

constexpr int64_t kMostClasses = 1 << 20, kLongestText = 1 << 20;
constexpr const char* kModelName = "nlp.TextClassificationModel";

}  // namespace

void TextClassificationModel::Options::describe(OptionSet<Options>& o) {
  o("tokenizer", &Options::tokenizer, "from text to pieces of words");
  o("language_model", &Options::language_model, "the encoder");
  o("classifier_head", &Options::classifier_head, "num_output_layers, fc_dropout");
  o("class_labels", &Options::class_labels, "class_labels_file: names of the classes, a line each");
  o("dataset", &Options::dataset, "num_classes, max_seq_length, do_lower_case, class_balancing");
  o("infer_samples", &Options::infer_samples, "texts for whoever reads the config");
  o("nemo_path", &Options::nemo_path, "for others to refer to");
  o("tokenizer_vocab_dict", &Options::tokenizer_vocab_dict, "kept in NeMo's files; the vocabulary is vocab_file");
  o("name", &Options::name, "for others to refer to");
}

void TextClassificationModel::DatasetSection::describe(OptionSet<DatasetSection>& o) {
  using Options = DatasetSection;
  o.required("num_classes", &Options::num_classes, "classes");
  o("max_seq_length", &Options::max_seq_length, "pieces of a text with [CLS] and [SEP]; longer texts lose their end");
  o("do_lower_case", &Options::do_lower_case, "texts in small letters, whatever the tokenizer does");
  o("class_balancing", &Options::class_balancing, "null, or weighted_loss: classes weigh by inverse frequency");
  o("use_cache", &Options::use_cache, "accepted: texts become pieces when the set is opened, which costs little");
}

void TextClassificationModel::HeadSection::describe(OptionSet<HeadSection>& o) {
  using Options = HeadSection;
  o("num_output_layers", &Options::num_output_layers, "linear layers");
  o("fc_dropout", &Options::fc_dropout, "dropout before them");
}

std::string TextClassificationModel::path_of(const char* key) const {
  return context().config_path.empty() ? std::string(key) : context().config_path + "." + key;
}

TextClassificationModel::TextClassificationModel(Json config, ModelContext given)
    : Model(std::move(config), std::move(given)), words_(config_, context()) {
  const auto section = [&](const char* name) {
    return config_.contains(name) && config_[name].is_object() ? config_[name] : Json::object();
  };
  dataset_ = parse_options<DatasetSection>(section("dataset"), path_of("dataset"));
  check_range("num_classes", dataset_.num_classes, 1, kMostClasses);
  check_range("max_seq_length", dataset_.max_seq_length, 3, kLongestText);
  if (dataset_.class_balancing && *dataset_.class_balancing != "weighted_loss") {
    throw Error(Code::kFailed, "classes are balanced in one way")
        .at(path_of("dataset.class_balancing"))
        .seen(*dataset_.class_balancing)
        .expected("null or weighted_loss");
  }
  const auto head = parse_options<HeadSection>(section("classifier_head"), path_of("classifier_head"));
  const Json names = section("class_labels").value("class_labels_file", Json(nullptr));
  if (names.is_string() && !names.get<std::string>().empty()) {
    labels_file_ = context().artifact_path(names.get<std::string>());
    class_names_ = text::read_lines(labels_file_, text::FileEncoding::kUtf8);
    if (static_cast<int64_t>(class_names_.size()) != dataset_.num_classes) {
      throw Error(Code::kBadData, "the classes' names are not as many as the classes")
          .at(labels_file_)
          .seen(std::to_string(class_names_.size()) + " names")
          .expected(std::to_string(dataset_.num_classes) + " (dataset.num_classes)");
    }
  }
  encoder_ = register_module("bert_model", words_.encoder());
  head_ = register_module("classifier", std::make_shared<MlpHead>(HeadOptions{.width = words_.width(),
                                                                              .classes = dataset_.num_classes,
                                                                              .layers = head.num_output_layers,
                                                                              .dropout = head.fc_dropout}));
  // A file of a model with weighted classes holds the weights, which nobody can count again there.
  const bool weighted = dataset_.class_balancing.has_value();
  make_loss(weighted ? std::vector<double>(static_cast<size_t>(dataset_.num_classes), 1.0) : std::vector<double>());
  Json report = {{"_target_", "nlp.ClassificationReport"}, {"num_classes", dataset_.num_classes}, {"mode", "micro"}};
  if (!class_names_.empty()) report["label_ids"] = class_names_;
  report_ = make_metric(report, path_of("classification_report"));
  average_loss_ = make_metric({{"_target_", "asr.GlobalAverageLossMetric"}}, path_of("val_loss"));
  add_child("classification_report", report_);
  add_child("val_loss", average_loss_);
}

void TextClassificationModel::make_loss(const std::vector<double>& weights) {
  Json section = {{"_target_", "nemo.collections.common.losses.cross_entropy.CrossEntropyLoss"}};
  if (!weights.empty()) section["weight"] = weights;
  const bool again = static_cast<bool>(loss_);
  loss_ = make_module(section, path_of("loss"));
  again ? replace_child("loss", loss_) : add_child("loss", loss_);
}

std::vector<std::pair<std::string, std::string>> TextClassificationModel::artifacts() const {
  auto out = words_.artifacts();
  if (!labels_file_.empty()) out.emplace_back("class_labels.class_labels_file", labels_file_);
  return out;
}

Ports TextClassificationModel::inputs() const {
  return {{"input_ids", {"B T", ChannelType{}}},
          {"token_type_ids", {"B T", ChannelType{}}, /*is_optional=*/true},
          {"attention_mask", {"B T", MaskType{}}, /*is_optional=*/true}};
}
Ports TextClassificationModel::outputs() const { return {{"logits", {"B D", LogitsType{}}}}; }

Values TextClassificationModel::input_example() const {
  const int64_t count = std::min<int64_t>(16, words_.longest());
  const at::Tensor ids = at::arange(count, at::kLong).remainder(words_.tokenizer().vocab_size()).unsqueeze(0);
  return {{"input_ids", ids}, {"token_type_ids", at::zeros_like(ids)}, {"attention_mask", at::ones_like(ids)}};
}

at::Tensor TextClassificationModel::logits_of(const at::Tensor& ids, const at::Tensor& mask, const at::Tensor& types) {
  return head_->forward(encoder_->forward(ids, mask, types).select(1, 0));
}
at::Tensor TextClassificationModel::logits_of(const Values& batch) {
  return logits_of(batch.tensor("input_ids"), batch.tensor("input_mask"), batch.tensor("segment_ids"));
}

Values TextClassificationModel::forward(const Values& in) {
  return {{"logits", logits_of(in.tensor("input_ids"), in.tensor_or_undefined("attention_mask"),
                               in.tensor_or_undefined("token_type_ids"))}};
}

at::Tensor TextClassificationModel::training_step(const Values& batch, const Step& step) {
  const at::Tensor loss = loss_({{"logits", logits_of(batch)}, {"labels", batch["labels"]}}).tensor("loss");
  step.log("train_loss", loss.detach());
  step.log("lr", step.learning_rate());
  return loss;
}

void TextClassificationModel::validation_step(const Values& batch, const Step& step) {
  if (step.batch_idx() == 0) {  // one that was broken off leaves nothing behind
    report_.reset();
    average_loss_.reset();
  }
  const at::Tensor logits = logits_of(batch);
  average_loss_.update({{"loss", loss_({{"logits", logits}, {"labels", batch["labels"]}}).tensor("loss")}});
  report_.update({{"preds", logits.argmax(-1)}, {"labels", batch["labels"]}});
}

void TextClassificationModel::eval_epoch_end(const Step& step) {
  const std::string prefix = step.stage() == Stage::kTest ? "test_" : "val_";
  if (average_loss_.sums().at("measurements") > 0) {
    step.log(prefix + "loss", average_loss_.compute().at("loss"));
    for (const auto& [name, value] : report_.compute()) step.log(prefix + name, value);
    log(LogLevel::kInfo, kModelName, prefix + "report:\n" + report_text(report_.sums(), class_names_));
  }
  report_.reset();
  average_loss_.reset();
}

TextClassificationRules TextClassificationModel::rules(int64_t longest) const {
  return {words_.shared_tokenizer(), dataset_.num_classes, std::min(longest, words_.longest()), dataset_.do_lower_case};
}

MadeDataset TextClassificationModel::make_dataset(Stage stage, const Json& section, const std::string& config_path) {
  if (section.is_null() || section.empty()) return nullptr;
  if (stage == Stage::kPredict) {
    const int64_t longest = section.value("max_seq_length", words_.longest());
    return TextClassificationDataset::for_inference(predict_lines(section, config_path), rules(longest));
  }
  const auto options = parse_options<TextClassificationDataset::Options>(
      text_dataset_keys(section, option_names<TextClassificationDataset::Options>(), config_path), config_path);
  if (!options.file_path || options.file_path->empty()) {
    log(LogLevel::kWarning, kModelName, config_path + " has no file_path: no data for it");
    return nullptr;
  }
  const auto data = std::make_shared<TextClassificationDataset>(options, rules(dataset_.max_seq_length));
  if (stage == Stage::kTrain && dataset_.class_balancing)
    make_loss(inverse_frequencies(data->occurrences(), config_path + ".file_path"));
  return data;
}

std::vector<Values> TextClassificationModel::predict_step(const Values& batch, const Json& options) {
  bool with_scores = false;
  for (const auto& [key, value] : options.items()) {
    if (key != "scores" || !value.is_boolean()) {
      throw Error(Code::kUsage, "a text classification has no such option")
          .at(key)
          .seen(json_text(value))
          .expected("scores: true or false");
    }
    with_scores = value.get<bool>();
  }
  const at::NoGradGuard no_grad;
  const at::Tensor ids = batch.tensor("input_ids"), mask = batch.tensor("input_mask");
  const Value* entries = batch.find("entries");
  std::vector<Values> out;
  for (int64_t i = 0; i < ids.size(0); ++i) {
    // By itself, so that no result depends on the texts beside it.
    const int64_t length = mask[i].sum().item<int64_t>();
    const at::Tensor logits = logits_of(ids.narrow(0, i, 1).narrow(1, 0, length), {}, {})[0].to(at::kCPU, at::kDouble);
    const int64_t best = logits.argmax().item<int64_t>();
    Values item;
    const Json entry =
        entries != nullptr ? parse_text(entries->list().at(static_cast<size_t>(i)).text()) : Json::object();
    for (const auto& [key, value] : entry.items()) {
      if (key == "label" || (key == "left_out" && value == Json(0))) continue;
      item.add(key, value_of(value));
    }
    if (class_names_.empty())
      item.add("label", best);
    else
      item.add("label", class_names_[static_cast<size_t>(best)]);
    if (with_scores) {
      const at::Tensor scores = logits.softmax(0).contiguous();
      const double* values = scores.const_data_ptr<double>();
      item.add("scores", std::vector<Value>(values, values + scores.numel()));
    }
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace fathom::nlp
