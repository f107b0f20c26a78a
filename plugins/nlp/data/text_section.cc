#include "plugins/nlp/data/text_section.h"

#include <algorithm>

#include "fathom/error.h"
#include "fathom/nearest_names.h"
#include "plugins/lib/loader_keys.h"
#include "plugins/lib/text/pronunciation_dictionary.h"

namespace fathom::nlp {
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
  const std::vector<std::string> lines = text::read_lines(path, text::FileEncoding::kUtf8);
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
