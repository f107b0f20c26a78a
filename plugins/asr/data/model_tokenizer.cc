#include "plugins/asr/data/model_tokenizer.h"

#include <algorithm>
#include <filesystem>

#include "fathom/nearest_names.h"
#include "fathom/support.h"
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
    if (type == "agg") {
      throw Error(Code::kUnavailable, "tokenizers of several languages (agg) are not available")
          .at(key_path("type"))
          .next("use one tokenizer of all languages: bpe or wpe");
    }
    if (type != "bpe" && type != "wpe") {
      throw Error(Code::kFailed, "there is no tokenizer of that type")
          .at(key_path("type"))
          .seen(type.empty() ? "nothing" : type)
          .expected("bpe (SentencePiece) or wpe (WordPiece)");
    }
    return type;
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
      "dir",       "type",           "model_path",      "vocab_path", "spe_tokenizer_vocab",
      "hf_kwargs", "special_tokens", "update_tokenizer"};
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
  ModelTokenizer out;
  out.section_ = section;
  const std::string type = reader.type();
  out.section_["type"] = type;
  if (type == "bpe") {
    out.tokenizer_ = text::SentencePieceTokenizer::open(reader.take(out, "model_path", "tokenizer.model", true));
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

}  // namespace fathom::asr
