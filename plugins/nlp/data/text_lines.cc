#include "plugins/nlp/data/text_lines.h"

#include <algorithm>
#include <array>
#include <fstream>

#include "fathom/error.h"
#include "fathom/nearest_names.h"
#include "fathom/utf8.h"

namespace fathom::nlp {
namespace {

constexpr std::array kLoaderKeys = {
    "batch_size",         "shuffle",     "num_workers", "pin_memory", "drop_last",     "prefetch_factor",
    "persistent_workers", "name",        "_target_",    "ds_item",    "use_bucketing", "num_buckets",
    "max_tokens",         "on_too_long", "on_error"};

}  // namespace

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::kNoInput, "a text file cannot be read").at(path);
  std::vector<std::string> out;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!utf8::is_valid(line)) {
      throw Error(Code::kBadData, "a line is no UTF-8").at(path + ":" + std::to_string(out.size() + 1));
    }
    out.push_back(std::move(line));
  }
  if (file.bad()) throw Error(Code::kNoInput, "reading a text file failed").at(path);
  if (!out.empty() && out.back().empty()) out.pop_back();
  return out;
}

Json text_dataset_keys(const Json& section, const std::vector<std::string>& options, const std::string& config_path) {
  Json own = Json::object();
  for (const auto& [key, value] : section.items()) {
    if (std::find(options.begin(), options.end(), key) != options.end()) {
      own[key] = value;
      continue;
    }
    if (std::find(kLoaderKeys.begin(), kLoaderKeys.end(), key) != kLoaderKeys.end()) continue;
    std::vector<std::string> known = options;
    known.insert(known.end(), kLoaderKeys.begin(), kLoaderKeys.end());
    throw Error(Code::kFailed, "unknown option '" + key + "'")
        .at(config_path + "." + key)
        .candidates(nearest_names(key, known));
  }
  return own;
}

std::vector<Json> predict_lines(const Json& section, const std::string& config_path) {
  std::vector<Json> out;
  const Json texts = section.value("texts", Json(nullptr)), file = section.value("manifest_filepath", Json(nullptr));
  if (texts.is_array()) {
    for (const Json& text : texts) {
      if (!text.is_string())
        throw Error(Code::kFailed, "a text is none").at(config_path + ".texts").seen(json_text(text));
      out.push_back({{"text", text}});
    }
    return out;
  }
  const Json lines_given = section.value("lines", Json(nullptr));
  if (lines_given.is_array()) {
    for (size_t i = 0; i < lines_given.size(); ++i) {
      const Json& line = lines_given[i];
      if (!line.is_object() || !line.contains("text") || !line["text"].is_string()) {
        throw Error(Code::kBadData, "a line has no text")
            .at("line " + std::to_string(i + 1))
            .seen(json_text(line).substr(0, 80))
            .expected("{\"text\": \"…\"}");
      }
      out.push_back(line);
    }
    return out;
  }
  if (!file.is_string()) {
    throw Error(Code::kFailed, "no texts to work on")
        .at(config_path + ".manifest_filepath")
        .seen(json_text(file))
        .expected("a file of JSON lines with a text each");
  }
  const auto path = file.get<std::string>();
  const std::vector<std::string> lines = read_lines(path);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].find_first_not_of(" \t") == std::string::npos) continue;
    Json line = Json::parse(lines[i], nullptr, false);
    if (!line.is_object() || !line.contains("text") || !line["text"].is_string()) {
      throw Error(Code::kBadData, "a line has no text")
          .at(path + ":" + std::to_string(i + 1))
          .seen(lines[i].substr(0, 80))
          .expected("{\"text\": \"…\"}");
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace fathom::nlp
