#include "plugins/tts/data/feature_processors.h"

#include <ATen/ATen.h>

#include <cmath>
#include <fstream>

#include "fathom/nearest_names.h"

namespace fathom::tts {
namespace {

struct Statistics {
  double mean = 0, std = 1;
};

at::Tensor& field_of(Fields& item, const std::string& name) {
  const auto found = item.values.find(name);
  if (found != item.values.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [key, value] : item.values) known.push_back(key);
  std::string list;
  for (const auto& key : known) list += (list.empty() ? "" : ", ") + key;
  throw Error(Code::kBadData, "an item has no such field")
      .at(item.where)
      .seen(name)
      .expected("one of: " + list)
      .candidates(nearest_names(name, known))
      .next("add the featurizer that makes it, or leave the feature processor out");
}

void normalize(Fields& item, const std::string& field, const Statistics& by,
               const std::optional<std::string>& mask_field) {
  at::Tensor& values = field_of(item, field);
  at::Tensor out = values.sub(by.mean).div(by.std);
  if (mask_field) {
    const at::Tensor& mask = field_of(item, *mask_field);
    if (mask.size(-1) != values.size(-1)) {
      throw Error(Code::kBadData, "a mask is not as long as what it masks")
          .at(item.where)
          .seen(std::to_string(mask.size(-1)) + " frames of " + *mask_field)
          .expected(std::to_string(values.size(-1)) + ", as " + field);
    }
    out.masked_fill_(mask.eq(0), 0);
  }
  values = out;
}

// {"default" or SPEAKER: {FIELD_mean, FIELD_std}}
std::map<std::string, Statistics> read_feature_statistics(const std::string& file, const std::string& field) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    throw Error(Code::kNoInput, "the statistics of the features cannot be read")
        .at("stats_path")
        .seen(file)
        .next("`fathom tts features MANIFEST --stats-path FILE` writes them");
  }
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto refuse = [&](const std::string& seen) {
    return Error(Code::kBadData, "no statistics of the feature '" + field + "'")
        .at(file)
        .seen(seen)
        .expected("{\"default\": {\"" + field + "_mean\": 212.4, \"" + field + "_std\": 68.5}, \"SPEAKER\": …}")
        .next("`fathom tts features MANIFEST --stats-path FILE` writes them");
  };
  Json all;
  try {
    all = parse_text(text);
  } catch (const nlohmann::json::exception&) {
    throw refuse(text.substr(0, 40));
  }
  if (!all.is_object() || all.empty()) throw refuse(text.substr(0, 40));
  std::map<std::string, Statistics> out;
  for (const auto& [speaker, one] : all.items()) {
    const auto number = [&](const std::string& key) {
      if (!one.is_object() || !one.contains(key) || !one[key].is_number())
        throw refuse(speaker + ": " + json_text(one));
      return one[key].get<double>();
    };
    const Statistics stats{number(field + "_mean"), number(field + "_std")};
    if (!(stats.std > 0) || !std::isfinite(stats.std)) throw refuse(speaker + ": " + json_text(one));
    out[speaker] = stats;
  }
  return out;
}

class FeatureScaler : public FeatureProcessor {
 public:
  struct Options {
    std::string field;
    double add_value = 0, div_value = 1;
    static void describe(OptionSet<Options>& o) {
      o.required("field", &Options::field, "of the item").example("pitch");
      o("add_value", &Options::add_value, "is added");
      o("div_value", &Options::div_value, "the sum is divided by it");
    }
  };
  FeatureScaler(const Json& section, const std::string& path) : options_(parse_options<Options>(section, path)) {
    if (options_.div_value == 0)
      throw Error(Code::kFailed, "nothing is divided by 0").at(path + ".div_value").seen("0");
  }
  void process(Fields& item) const override {
    at::Tensor& values = field_of(item, options_.field);
    values = values.add(options_.add_value).div(options_.div_value);
  }

 private:
  Options options_;
};

class LogCompression : public FeatureProcessor {
 public:
  struct Options {
    std::string field, log_zero_guard_type = "add";
    double log_zero_guard_value = 1;
    static void describe(OptionSet<Options>& o) {
      o.required("field", &Options::field, "of the item").example("energy");
      o("log_zero_guard_type", &Options::log_zero_guard_type, "add or clamp");
      o("log_zero_guard_value", &Options::log_zero_guard_value, "what is added, or the least value");
    }
  };
  LogCompression(const Json& section, const std::string& path) : options_(parse_options<Options>(section, path)) {
    if (options_.log_zero_guard_type == "add" || options_.log_zero_guard_type == "clamp") return;
    throw Error(Code::kFailed, "there is no such guard")
        .at(path + ".log_zero_guard_type")
        .seen(options_.log_zero_guard_type)
        .expected("add or clamp");
  }
  void process(Fields& item) const override {
    at::Tensor& values = field_of(item, options_.field);
    const double guard = options_.log_zero_guard_value;
    values = (options_.log_zero_guard_type == "add" ? values.add(guard) : values.clamp_min(guard)).log();
  }

 private:
  Options options_;
};

class MeanVarianceNormalization : public FeatureProcessor {
 public:
  struct Options {
    std::string field, stats_path;
    std::optional<std::string> mask_field = "voiced_mask";
    static void describe(OptionSet<Options>& o) {
      o.required("field", &Options::field, "of the item").example("pitch");
      o.required("stats_path", &Options::stats_path, "JSON file {default: {FIELD_mean, FIELD_std}}")
          .example("feature_stats.json");
      o("mask_field", &Options::mask_field, "where this mask is not set the field becomes 0; null: nowhere");
    }
  };
  MeanVarianceNormalization(const Json& section, const std::string& path)
      : options_(parse_options<Options>(section, path)) {
    const auto all = read_feature_statistics(options_.stats_path, options_.field);
    const auto found = all.find("default");
    if (found == all.end())
      throw Error(Code::kBadData, "the statistics know no default").at(options_.stats_path).expected("default");
    by_ = found->second;
  }
  void process(Fields& item) const override { normalize(item, options_.field, by_, options_.mask_field); }

 private:
  Options options_;
  Statistics by_;
};

class MeanVarianceSpeakerNormalization : public FeatureProcessor {
 public:
  struct Options {
    std::string field, stats_path, speaker_field = "speaker";
    std::optional<std::string> mask_field = "voiced_mask";
    bool fallback_to_default = false;
    static void describe(OptionSet<Options>& o) {
      o.required("field", &Options::field, "of the item").example("pitch");
      o.required("stats_path", &Options::stats_path, "JSON file {SPEAKER: {FIELD_mean, FIELD_std}}")
          .example("feature_stats.json");
      o("speaker_field", &Options::speaker_field, "speaker or dataset_name: by whose statistics");
      o("mask_field", &Options::mask_field, "where this mask is not set the field becomes 0; null: nowhere");
      o("fallback_to_default", &Options::fallback_to_default, "speakers without statistics by those of default");
    }
  };
  MeanVarianceSpeakerNormalization(const Json& section, const std::string& path)
      : options_(parse_options<Options>(section, path)),
        by_(read_feature_statistics(options_.stats_path, options_.field)) {
    if (options_.speaker_field == "speaker" || options_.speaker_field == "dataset_name") return;
    throw Error(Code::kFailed, "an item has no such text")
        .at(path + ".speaker_field")
        .seen(options_.speaker_field)
        .expected("speaker or dataset_name");
  }
  void process(Fields& item) const override {
    const std::string& speaker = options_.speaker_field == "speaker" ? item.speaker : item.dataset_name;
    auto found = by_.find(speaker);
    if (found == by_.end() && options_.fallback_to_default) found = by_.find("default");
    if (found == by_.end()) {
      std::vector<std::string> known;
      for (const auto& [name, stats] : by_) known.push_back(name);
      throw Error(Code::kBadData, "the statistics know no such speaker")
          .at(item.where)
          .seen(speaker.empty() ? "a line without a speaker" : speaker)
          .candidates(nearest_names(speaker, known))
          .next("are they those of another set? " + options_.stats_path +
                "; fallback_to_default: true takes default's");
    }
    normalize(item, options_.field, found->second, options_.mask_field);
  }

 private:
  Options options_;
  std::map<std::string, Statistics> by_;
};

}  // namespace

std::vector<std::unique_ptr<FeatureProcessor>> make_feature_processors(const Json& section, const std::string& path) {
  std::vector<std::unique_ptr<FeatureProcessor>> out;
  if (section.is_null()) return out;
  if (!section.is_object()) {
    throw Error(Code::kFailed, "feature processors stand in a section, by name")
        .at(path)
        .seen(json_text(section))
        .expected("{pitch: {_target_: …MeanVarianceNormalization, …}, …}");
  }
  const std::vector<std::string> known = {"FeatureScaler", "LogCompression", "MeanVarianceNormalization",
                                          "MeanVarianceSpeakerNormalization"};
  for (const auto& [name, given] : section.items()) {
    const std::string where = path + "." + name;
    if (given.is_null()) continue;
    const std::string target =
        given.is_object() && given.contains("_target_") && given["_target_"].is_string() ? given["_target_"] : Json("");
    const std::string type = target.substr(target.rfind('.') + 1);
    Json options = given;
    if (options.is_object()) options.erase("_target_");
    if (type == known[0]) {
      out.push_back(std::make_unique<FeatureScaler>(options, where));
    } else if (type == known[1]) {
      out.push_back(std::make_unique<LogCompression>(options, where));
    } else if (type == known[2]) {
      out.push_back(std::make_unique<MeanVarianceNormalization>(options, where));
    } else if (type == known[3]) {
      out.push_back(std::make_unique<MeanVarianceSpeakerNormalization>(options, where));
    } else {
      throw Error(Code::kFailed, "there is no feature processor of that name")
          .at(where + "._target_")
          .seen(target.empty() ? json_text(given).substr(0, 80) : target)
          .expected("FeatureScaler, LogCompression, MeanVarianceNormalization or MeanVarianceSpeakerNormalization")
          .candidates(nearest_names(type, known));
    }
  }
  return out;
}

}  // namespace fathom::tts
