#include "plugins/lib/audio/manifest_line.h"

#include <simdjson.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "fathom/error.h"
#include "plugins/lib/audio/python_json.h"

namespace fathom::audio {
namespace {

namespace dom = simdjson::dom;

constexpr off_t kLongestText = 16 << 20;  // bytes of the file at text_filepath

bool is_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string read_text_file(const std::string& path, const std::string& where) {
  struct stat info {};
  const auto refuse = [&](const std::string& why) {
    throw Error(Code::kNoInput, "text_filepath cannot be read: " + why).at(where).seen(path);
  };
  if (::stat(path.c_str(), &info) != 0) refuse(std::strerror(errno));
  if (!S_ISREG(info.st_mode)) refuse(S_ISDIR(info.st_mode) ? "it is a folder" : "it is no regular file");
  if (info.st_size > kLongestText) {
    throw Error(Code::kBadData, "the text of a clip is too long")
        .at(where)
        .seen(path + ": " + std::to_string(info.st_size) + " bytes")
        .expected("at most " + std::to_string(kLongestText));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) refuse(std::strerror(errno != 0 ? errno : ENOENT));
  std::string out(static_cast<size_t>(info.st_size), '\0');
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  if (in.bad() || in.gcount() != static_cast<std::streamsize>(out.size()))
    throw Error(Code::kIo, "text_filepath could not be read to its end").at(where).seen(path);
  return out;
}

// Reads the values of one line, with errors that name the key.
class LineReader {
 public:
  LineReader(const dom::object& object, const std::string& file, int64_t line)
      : object_(object), file_(file), line_(line) {}

  std::optional<std::string> text(const char* key) const {
    dom::element value;
    if (!find(key, value)) return std::nullopt;
    std::string_view out;
    if (value.get(out) != simdjson::SUCCESS) wrong(key, value, "a text");
    return std::string(out);
  }
  std::optional<std::string> text_or_number(const char* key) const {
    dom::element value;
    int64_t number = 0;
    if (find(key, value) && value.get(number) == simdjson::SUCCESS) return std::to_string(number);
    return text(key);
  }
  // The first of the keys that is there and holds a text: what is made of `text` by some other program must not stand
  // in the way of those who have no use for it.
  std::optional<std::string> normalized_text() const {
    for (const char* key : {"normalized_text", "text_normalized"}) {
      dom::element value;
      std::string_view out;
      if (find(key, value) && value.get(out) == simdjson::SUCCESS) return std::string(out);
    }
    return std::nullopt;
  }
  // Of the first of the keys that is there. One that is no text is for whoever needs a label to refuse.
  std::optional<std::string> label() const {
    dom::element value;
    for (const char* key : {"command", "target", "label"}) {
      if (object_[key].get(value) != simdjson::SUCCESS) continue;
      std::string_view out;
      if (value.get(out) != simdjson::SUCCESS) return std::nullopt;
      return std::string(out);
    }
    return std::nullopt;
  }
  std::optional<double> number(const char* key) const {
    dom::element value;
    if (!find(key, value)) return std::nullopt;
    double out = 0;
    if (value.get(out) != simdjson::SUCCESS) wrong(key, value, "a number");
    return out;
  }

 private:
  // The last of that name, unless it is null.
  bool find(std::string_view key, dom::element& value) const {
    bool found = false;
    for (const auto& field : object_) {
      if (field.key != key) continue;
      value = field.value;
      found = true;
    }
    return found && !value.is_null();
  }
  [[noreturn]] void wrong(const char* key, const dom::element& value, const char* expected) const {
    throw Error(Code::kBadData, std::string("manifest key '") + key + "' has the wrong type")
        .at(file_, line_)
        .seen(simdjson::minify(value))
        .expected(expected);
  }
  const dom::object& object_;
  const std::string& file_;
  int64_t line_;
};

// Of the keys that an entry has no place of its own for; of one that stands twice the last value counts.
std::map<std::string, std::string, std::less<>> extras_of(const dom::object& object) {
  constexpr std::array<std::string_view, 15> kOwn = {
      "audio_filepath",  "audio_filename", "duration", "offset", "text",    "text_filepath", "normalized_text",
      "text_normalized", "command",        "target",   "label",  "speaker", "lang",          "orig_sample_rate",
      "shard_id"};
  std::map<std::string, std::string, std::less<>> out;
  for (const auto& field : object) {
    if (std::find(kOwn.begin(), kOwn.end(), field.key) != kOwn.end()) continue;
    std::string_view text;
    bool truth = false;
    int64_t number = 0;
    if (field.value.get(text) == simdjson::SUCCESS)
      out[std::string(field.key)] = text;
    else if (field.value.get(truth) == simdjson::SUCCESS)
      out[std::string(field.key)] = truth ? "true" : "false";
    else if (field.value.get(number) == simdjson::SUCCESS)
      out[std::string(field.key)] = std::to_string(number);
    else
      out.erase(std::string(field.key));
  }
  return out;
}

ManifestEntry read_entry(const dom::object& object, const std::string& file, int64_t line, bool needs_duration) {
  const LineReader read(object, file, line);
  ManifestEntry entry;
  entry.manifest = file;
  entry.line = line;

  std::optional<std::string> audio = read.text("audio_filepath");
  if (!audio) audio = read.text("audio_filename");
  if (!audio || audio->empty()) {
    throw Error(Code::kBadData, "manifest line names no audio").at(file, line).expected("the key audio_filepath");
  }
  entry.named_as = entry.audio_file = std::move(*audio);

  const std::optional<double> duration = read.number("duration");
  if (!duration && needs_duration) {
    throw Error(Code::kBadData, "manifest line has no duration")
        .at(file, line)
        .expected("the key duration, in seconds");
  }
  if (duration && !(*duration >= 0)) {
    throw Error(Code::kBadData, "manifest line has a negative duration").at(file, line).seen(std::to_string(*duration));
  }
  entry.duration = duration.value_or(-1);
  entry.offset = read.number("offset").value_or(0);
  if (!(entry.offset >= 0)) {
    throw Error(Code::kBadData, "manifest line has a negative offset")
        .at(file, line)
        .seen(std::to_string(entry.offset));
  }

  if (auto text = read.text("text")) {
    entry.text = std::move(*text);
    entry.has_text = true;
  } else if (auto path = read.text("text_filepath")) {
    entry.text = read_text_file(resolve_manifest_path(*path, file), entry.where());
    entry.has_text = true;
  } else if (auto normalized = read.text("normalized_text")) {
    entry.text = std::move(*normalized);
    entry.has_text = true;
  }
  entry.label = read.label();
  entry.normalized_text = read.normalized_text();
  entry.speaker = read.text_or_number("speaker").value_or("");
  entry.lang = read.text("lang").value_or("");
  entry.extras = extras_of(object);
  if (auto rate = read.number("orig_sample_rate")) entry.orig_sample_rate = static_cast<int64_t>(*rate);
  if (int64_t shard = 0; object["shard_id"].get(shard) == simdjson::SUCCESS) entry.shard_id = shard;
  return entry;
}

}  // namespace

std::string resolve_manifest_path(const std::string& path, const std::string& manifest) {
  if (path.empty() || path.front() == '/') return path;
  if (path.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    return home == nullptr ? path : std::string(home) + path.substr(1);
  }
  std::string beside = manifest.substr(0, manifest.rfind('/') + 1) + path;
  if (is_file(beside) || !is_file(path)) return beside;
  return path;
}

ManifestEntry parse_manifest_line(std::string_view line, const std::string& file, int64_t number, bool needs_duration) {
  // Kept for the thread's next line: making them costs more than parsing one.
  thread_local dom::parser parser;
  thread_local std::vector<char> padded;
  dom::element element;
  dom::object object;
  const auto parse = [&](std::string_view text) {
    padded.resize(text.size() + simdjson::SIMDJSON_PADDING);
    std::memcpy(padded.data(), text.data(), text.size());
    std::memset(padded.data() + text.size(), 0, simdjson::SIMDJSON_PADDING);
    // Newer parsers pass over a byte order mark; Python's does not, inside of a file.
    if (text.starts_with("\xef\xbb\xbf")) return simdjson::TAPE_ERROR;
    return parser.parse(padded.data(), text.size(), false).get(element);
  };
  auto failed = parse(line);
  if (failed != simdjson::SUCCESS && parse(strict_json(line)) == simdjson::SUCCESS) failed = simdjson::SUCCESS;
  if (failed != simdjson::SUCCESS || element.get(object) != simdjson::SUCCESS) {
    throw Error(Code::kBadData, "manifest line is not a JSON object")
        .at(file, number)
        .seen(std::string(line.substr(0, 120)))
        .next(failed != simdjson::SUCCESS ? std::string("the JSON parser says: ") + simdjson::error_message(failed)
                                          : std::string("write {\"audio_filepath\": …, \"duration\": …, \"text\": …}"));
  }
  return read_entry(object, file, number, needs_duration);
}

}  // namespace fathom::audio
