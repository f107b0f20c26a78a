#include "plugins/asr/data/model_tokenizer.h"

#include <algorithm>
#include <filesystem>

#include "fathom/nearest_names.h"
#include "fathom/support.h"
#include "plugins/lib/text/aggregate_tokenizer.h"
#include "plugins/lib/text/sentencepiece_tokenizer.h"
#include "plugins/lib/text/word_piece_tokenizer.h"

namespace fathom::asr {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kArtifact = "nemo:";

// An artifact is a file of the archive's folder, whatever its name tries.
bool is_plain_name(std::string_view name) {
  const fs::path path(name);
  return !name.empty() && path.is_relative() &&
         std::none_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

}  // namespace

struct ModelTokenizer::Reader {
  const Json& given;
  const std::string& config_path;
  const std::string& restore_dir;

  std::string key_path(const std::string& key) const {
    return config_path.empty() ? "tokenizer." + key : config_path + "." + key;
  }
  std::string text_of(const char* key) const {
    if (!given.contains(key) || given[key].is_null()) return "";
    if (!given[key].is_string()) throw Error(Code::kFailed, "not a text").at(key_path(key)).seen(json_text(given[key]));
    return given[key].get<std::string>();
  }

  std::string type() const {
    std::string type = text_of("type");
    std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
    if (type != "bpe" && type != "wpe" && type != "agg") {
      throw Error(Code::kFailed, "there is no tokenizer of that type")
          .at(key_path("type"))
          .seen(type.empty() ? "nothing" : type)
          .expected("bpe (SentencePiece), wpe (WordPiece) or agg (several, one a language)");
    }
    return type;
  }

  // The last part of custom_tokenizer's class; "" where there is none. `known`: the one that may stand here.
  std::string custom_class(const char* known) const {
    if (!given.contains("custom_tokenizer") || given["custom_tokenizer"].is_null()) return "";
    const Json& custom = given["custom_tokenizer"];
    const Json target = custom.is_object() && custom.contains("_target_") ? custom["_target_"] : Json(nullptr);
    const std::string path = target.is_string() ? target.get<std::string>() : "";
    const std::string name = path.substr(path.rfind('.') + 1);
    if (name == known) return name;
    throw Error(Code::kUnavailable, "there is no such tokenizer")
        .at(key_path("custom_tokenizer") + "._target_")
        .seen(path.empty() ? json_text(custom) : path)
        .expected(std::string("nemo.collections.common.tokenizers.canary_tokenizer.") + known);
  }

  // What the section calls `key`, or `name` in its folder; "" when there is no such file and none is needed.
  std::string find(const char* key, const char* name, bool needed) const {
    const std::string value = text_of(key), folder = text_of("dir");
    // An archive without its file is bad; a folder without it is not there.
    const auto missing = [&](const std::string& path) {
      return Error(restore_dir.empty() ? Code::kNoInput : Code::kBadData, "the tokenizer's file is not there")
          .at(key_path(value.empty() ? "dir" : key))
          .seen(path)
          .expected(std::string(name));
    };
    if (value.starts_with(kArtifact)) {
      const std::string artifact = value.substr(kArtifact.size());
      if (restore_dir.empty() || !is_plain_name(artifact))
        throw Error(Code::kBadData, "not the name of a file in the model's archive").at(key_path(key)).seen(value);
      const std::string path = restore_dir + "/" + artifact;
      if (fs::exists(path)) return path;
      if (needed) throw missing(path);
      return "";
    }
    // Archives of old versions hold a file under its bare name, whatever the config says of where it was.
    if (!restore_dir.empty()) {
      const std::string archived = restore_dir + "/" + (value.empty() ? name : fs::path(value).filename().string());
      if (fs::is_regular_file(archived)) return archived;
    }
    if (value.empty() && folder.empty()) {
      if (!needed) return "";
      throw Error(restore_dir.empty() ? Code::kFailed : Code::kBadData, "the model's tokenizer is missing")
          .at(key_path("dir"))
          .seen("nothing")
          .expected("the folder with " + std::string(name));
    }
    const std::string path = value.empty() ? folder + "/" + name : value;
    if (fs::exists(path)) return path;
    if (needed) throw missing(path);
    return "";
  }

  // Notes a file that was found, and says where it lies.
  std::string take(ModelTokenizer& out, const char* key, const char* name, bool needed) const {
    const std::string path = find(key, name, needed);
    if (path.empty()) {
      out.section_.erase(key);
      return path;
    }
    out.files_.emplace_back(key, path);
    const bool from_archive = !restore_dir.empty() && path.starts_with(restore_dir + "/");
    if (from_archive)
      out.section_[key] = std::string(kArtifact) + path.substr(restore_dir.size() + 1);
    else
      out.section_[key] = fs::absolute(path).lexically_normal().string();
    return path;
  }
};

ModelTokenizer ModelTokenizer::read(const Json& section, const std::string& config_path,
                                    const std::string& restore_dir) {
  if (!section.is_object()) {
    throw Error(Code::kFailed, "the model's tokenizer is missing")
        .at(config_path)
        .seen(json_text(section))
        .expected("a section {dir, type}");
  }
  const std::vector<std::string> known = {
      "dir",       "type",           "model_path",       "vocab_path",      "langs", "spe_tokenizer_vocab",
      "hf_kwargs", "special_tokens", "custom_tokenizer", "update_tokenizer"};
  const Reader reader{section, config_path, restore_dir};
  for (const auto& [key, value] : section.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error(Code::kFailed, "unknown option '" + key + "'")
          .at(reader.key_path(key))
          .candidates(nearest_names(key, known));
    }
    const bool is_refused = key == "hf_kwargs" || key == "special_tokens";
    if (is_refused && !value.is_null() && !(value.is_object() && value.empty())) {
      throw Error(Code::kUnavailable, "the tokenizer's special tokens cannot be chosen: they are its file's")
          .at(reader.key_path(key))
          .seen(json_text(value))
          .next("leave it out");
    }
  }
  const std::string type = reader.type();
  if (type == "agg") return read_languages(section, config_path, restore_dir);
  ModelTokenizer out;
  out.section_ = section;
  out.section_["type"] = type;
  if (type == "bpe") {
    const std::string path = reader.take(out, "model_path", "tokenizer.model", true);
    const auto pieces = text::SentencePieceTokenizer::open(path);
    if (reader.custom_class("CanaryBPETokenizer").empty())
      out.tokenizer_ = pieces;
    else
      out.tokenizer_ = std::make_shared<text::CanaryBPETokenizer>(pieces, path);
    if (reader.take(out, "vocab_path", "vocab.txt", false).empty() && restore_dir.empty()) {
      log(LogLevel::kWarning, "asr.tokenizer",
          reader.key_path("dir") + ": the folder has no vocab.txt; it is not needed here, but NeMo cannot restore a " +
              "model saved without it");
    }
    reader.take(out, "spe_tokenizer_vocab", "tokenizer.vocab", false);
  } else {
    out.tokenizer_ = text::WordPieceTokenizer::open(reader.take(out, "vocab_path", "vocab.txt", true));
  }
  return out;
}

ModelTokenizer ModelTokenizer::read_languages(const Json& section, const std::string& config_path,
                                              const std::string& restore_dir) {
  const Reader reader{section, config_path, restore_dir};
  const Json langs = section.value("langs", Json(nullptr));
  if (!langs.is_object() || langs.empty()) {
    throw Error(Code::kFailed, "a tokenizer of several languages has none")
        .at(reader.key_path("langs"))
        .seen(json_text(langs))
        .expected("{LANGUAGE: {dir, type}, …}");
  }
  ModelTokenizer out;
  out.section_ = section;
  out.section_["type"] = "agg";
  std::vector<text::AggregateTokenizer::Part> parts;
  for (const auto& [language, given] : langs.items()) {
    const std::string path = reader.key_path("langs." + language);
    const Json type = given.is_object() ? given.value("type", Json(nullptr)) : Json(nullptr);
    if (type == "agg") throw Error(Code::kFailed, "a language's tokenizer is one").at(path + ".type").seen("agg");
    ModelTokenizer one = read(given, path, restore_dir);
    parts.push_back({language, one.tokenizer_});
    out.section_["langs"][language] = one.section_;
    for (auto& [key, file] : one.files_) out.files_.emplace_back("langs." + language + "." + key, std::move(file));
  }
  try {
    if (reader.custom_class("CanaryTokenizer").empty())
      out.tokenizer_ = std::make_shared<text::AggregateTokenizer>(std::move(parts));
    else
      out.tokenizer_ = std::make_shared<text::CanaryTokenizer>(std::move(parts));
  } catch (Error& error) {
    error.locate(reader.key_path("langs"));
    throw;
  }
  return out;
}

}  // namespace fathom::asr
