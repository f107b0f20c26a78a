// Of a speech model: where its labels come from, and how they are changed.
#include <torch/nn/module.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "plugins/asr/models/speech_model.h"

namespace fathom::asr {
namespace {

bool is_list(const Json& section, const char* key) {
  return section.contains(key) && section[key].is_array() && !section[key].empty();
}

// Some writers sort a vocabulary otherwise.
bool is_permutation_of(const Json& list, const std::vector<std::string>& tokens) {
  std::multiset<std::string> left(tokens.begin(), tokens.end());
  if (list.size() != tokens.size()) return false;
  return std::all_of(list.begin(), list.end(), [&](const Json& item) {
    const auto found = item.is_string() ? left.find(item.get_ref<const std::string&>()) : left.end();
    if (found == left.end()) return false;
    left.erase(found);
    return true;
  });
}

}  // namespace

void CharLabelsOptions::describe(OptionSet<CharLabelsOptions>& o) {
  o("update_labels", &CharLabelsOptions::update_labels, "whether fine-tuning changes the labels");
  o("labels", &CharLabelsOptions::labels, "the new ones");
}

void SpeechModel::read_tokenizer() {
  const bool given = config_.contains("tokenizer") && config_["tokenizer"].is_object();
  Json section = given ? config_["tokenizer"] : Json(nullptr);
  const bool asks = given && section.contains("update_tokenizer");  // a config of fine-tuning, above that of the file
  const bool updates = asks && section["update_tokenizer"] == Json(true);
  if (asks && !section["update_tokenizer"].is_boolean() && !section["update_tokenizer"].is_null()) {
    throw Error(Code::kFailed, "update_tokenizer must be true or false")
        .at(path_of("tokenizer") + ".update_tokenizer")
        .seen(json_text(section["update_tokenizer"]));
  }
  if (!kind_.subwords) {
    const bool names_one = given && section.contains("dir") && !section["dir"].is_null();
    if (updates || (names_one && !asks && !context().restoring)) {
      throw Error(Code::kFailed, std::string(kind_.name) + " reads characters, and has no tokenizer")
          .at(path_of("tokenizer"))
          .seen(json_text(section))
          .next("use the class of models on subwords (EncDecCTCModelBPE), or labels in place of the tokenizer");
    }
    return;
  }
  if (!given) {
    throw Error(Code::kFailed, "the model's config has no section 'tokenizer'")
        .at(path_of("tokenizer"))
        .expected("{dir: FOLDER, type: bpe or wpe}");
  }
  if (asks && context().restoring) {
    // The file's own are its artifacts; folder and type are those to change to.
    if (updates) {
      next_tokenizer_ = Json::object();
      for (const char* key : {"dir", "type"})
        next_tokenizer_[key] = section.contains(key) ? section[key] : Json(nullptr);
    }
    const bool has_model = (section.contains("model_path") && section["model_path"].is_string()) ||
                           std::filesystem::exists(context().restore_dir + "/tokenizer.model");
    section["type"] = has_model ? "bpe" : "wpe";
    section.erase("dir");
  } else if (updates) {
    log_warning(path_of("tokenizer") +
                ".update_tokenizer is for fine-tuning: init_from_nemo_model, and no class in the section");
  }
  section.erase("update_tokenizer");
  tokenizer_ = ModelTokenizer::read(section, path_of("tokenizer"), context().restoring ? context().restore_dir : "");
  config_["tokenizer"] = tokenizer_.section();
  const auto tokens = tokenizer_.tokenizer()->vocabulary();
  if (kind_.labelled == nullptr) return;
  Json& labelled = config_[kind_.labelled];
  const auto size = static_cast<int64_t>(tokens.size());
  const bool has_count = labelled.contains("num_classes") && labelled["num_classes"].is_number_integer();
  if (has_count && labelled["num_classes"].get<int64_t>() > 0 && labelled["num_classes"].get<int64_t>() != size) {
    throw Error(context().restoring ? Code::kBadData : Code::kFailed,
                "the tokenizer has another number of tokens than " + std::string(kind_.labelled) + ".num_classes")
        .at(path_of(kind_.labelled) + ".num_classes")
        .seen(json_text(labelled["num_classes"]) + ", and a tokenizer of " + std::to_string(size))
        .next("set num_classes to -1, or use the tokenizer that the weights were trained with");
  }
  if (!context().restoring && is_list(config_, "labels"))
    log_warning(path_of("labels") + " is not used: the labels of " + kind_.name + " are the tokens of its tokenizer");
  if (is_list(labelled, "vocabulary") && !is_permutation_of(labelled["vocabulary"], tokens)) {
    log_warning(path_of(kind_.labelled) + ".vocabulary has other tokens than the tokenizer, which is what counts" +
                (context().restoring ? ": if the weights were trained with another one, texts come out garbled" : ""));
  }
  labelled["vocabulary"] = tokens;
}

text::Vocabulary SpeechModel::make_vocabulary() const {
  if (tokenizer_) return text::Vocabulary(tokenizer_.tokenizer());
  return {labels_, text::Vocabulary::Kind::kCharacters};
}

std::vector<std::pair<std::string, std::string>> SpeechModel::artifacts() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [key, path] : tokenizer_.files()) out.emplace_back("tokenizer." + key, path);
  return out;
}

// labels and the labelled section's vocabulary and num_classes stand for each other where one is left out.
void SpeechModel::complete_labels() {
  if (kind_.labelled == nullptr) {
    labels_ = tokenizer_.tokenizer()->vocabulary();
    return;
  }
  const std::string name = kind_.labelled;
  Json& section = config_[name];
  if (!is_list(section, "vocabulary")) {
    if (!is_list(config_, "labels")) {
      throw Error(Code::kFailed, "the model has no labels")
          .at(path_of("labels"))
          .expected("a list of characters in labels or " + name + ".vocabulary");
    }
    section["vocabulary"] = config_["labels"];
  }
  for (const auto& label : section["vocabulary"]) {
    if (!label.is_string())
      throw Error(Code::kFailed, "a label is not a text").at(name + ".vocabulary").seen(json_text(label));
    labels_.push_back(label.get<std::string>());
  }
  const auto count = static_cast<int64_t>(labels_.size());
  const bool has_count = section.contains("num_classes") && section["num_classes"].is_number_integer();
  if (!has_count || section["num_classes"].get<int64_t>() < 1) {
    section["num_classes"] = count;
  } else if (section["num_classes"].get<int64_t>() != count) {
    throw Error(Code::kFailed, name + ".num_classes and the vocabulary disagree")
        .at(name + ".num_classes")
        .seen(json_text(section["num_classes"]) + ", and " + std::to_string(count) + " labels")
        .next("leave num_classes out, or set it to -1");
  }
}

bool SpeechModel::are_new_labels(const std::vector<std::string>& labels) const {
  if (labels.empty()) throw Error(Code::kFailed, "the new vocabulary is empty").expected("a list of labels");
  if (labels == labels_) log_warning("the new vocabulary is the old one: nothing changes");
  return labels != labels_;
}

ModuleHandle SpeechModel::make_relabelled(const ModuleHandle& old, Json section, const std::string& name,
                                          const std::vector<std::string>& labels) const {
  section["vocabulary"] = labels;
  section["num_classes"] = static_cast<int64_t>(labels.size());
  return make_like(old, section, name);
}

ModuleHandle SpeechModel::make_like(const ModuleHandle& old, const Json& section, const std::string& name) const {
  ModuleHandle made = make_module(section, path_of(name.c_str()));
  const auto parameters = old.torch_module()->parameters();
  made.torch_module()->to(parameters.front().device(), parameters.front().scalar_type());
  made.torch_module()->train(old.torch_module()->is_training());
  return made;
}

void SpeechModel::set_labels(const std::vector<std::string>& labels) {
  labels_ = labels;
  vocabulary_ = make_vocabulary();
  Json& section = config_[kind_.labelled];
  section["vocabulary"] = labels;
  section["num_classes"] = static_cast<int64_t>(labels.size());
  if (tokenizer_) return;
  if (config_.contains("labels")) config_["labels"] = labels;
  for (const char* data : {"train_ds", "validation_ds", "test_ds"}) {
    if (config_.contains(data) && config_[data].is_object()) config_[data]["labels"] = labels;
  }
}

void SpeechModel::relabel(const std::vector<std::string>& labels, bool /*keep_weights*/) {
  throw Error(Code::kUnavailable, std::string("the vocabulary of ") + kind_.name + " cannot be changed")
      .seen(std::to_string(labels.size()) + " labels");
}

void SpeechModel::change_vocabulary(const std::vector<std::string>& vocabulary) {
  if (tokenizer_) {
    throw Error(Code::kUnavailable, "this model's labels are its tokenizer's")
        .seen(std::to_string(vocabulary.size()) + " labels")
        .next("give it another tokenizer: tokenizer.update_tokenizer");
  }
  if (!are_new_labels(vocabulary)) return;
  relabel(vocabulary, false);
  log_info("changed the vocabulary: " + std::to_string(vocabulary.size()) + " labels");
}

void SpeechModel::replace_tokenizer(const Json& section) {
  if (!tokenizer_) return HasVocabulary::replace_tokenizer(section);
  adopt_tokenizer(ModelTokenizer::read(section, path_of("tokenizer")), false);
}

void SpeechModel::adopt_tokenizer(ModelTokenizer tokenizer, bool keep_weights) {
  const auto tokens = tokenizer.tokenizer()->vocabulary();
  ModelTokenizer old = std::exchange(tokenizer_, std::move(tokenizer));
  try {
    relabel(tokens, keep_weights && tokens.size() == labels_.size());
  } catch (...) {
    tokenizer_ = std::move(old);
    throw;
  }
  config_["tokenizer"] = tokenizer_.section();
  log_info("changed the tokenizer: " + std::to_string(tokens.size()) + " tokens");
}

void SpeechModel::start_fine_tuning(const std::string& config_path) {
  const Json section = config_.value("char_labels", Json(nullptr));
  config_.erase("char_labels");
  const std::string path = config_path + ".char_labels";
  const auto options = section.is_null() ? CharLabelsOptions{} : parse_options<CharLabelsOptions>(section, path);
  if (!next_tokenizer_.is_null()) {
    if (options.update_labels) {
      throw Error(Code::kFailed, "other labels and another tokenizer are asked for at once")
          .at(path + ".update_labels")
          .expected("one of char_labels.update_labels and tokenizer.update_tokenizer");
    }
    auto next = ModelTokenizer::read(std::exchange(next_tokenizer_, nullptr), config_path + ".tokenizer");
    adopt_tokenizer(std::move(next), /*keep_weights=*/true);
    return;
  }
  if (!options.update_labels) return;
  if (!options.labels) {
    throw Error(Code::kFailed, "there are no labels to change to")
        .at(path + ".labels")
        .seen("null")
        .expected("a list of characters")
        .next("give the list, or set update_labels=false to keep the labels of the file");
  }
  change_vocabulary(*options.labels);
}

}  // namespace fathom::asr
