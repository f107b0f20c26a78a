#include "plugins/lib/audio/manifest.h"

#include <simdjson.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fathom/error.h"
#include "plugins/lib/text/latin_text.h"

namespace fathom::audio {
namespace {

namespace dom = simdjson::dom;

bool is_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string read_whole(const std::string& path, const char* what, const std::string& where) {
  std::ifstream in(path, std::ios::binary);
  struct stat info {};
  if (!in || ::stat(path.c_str(), &info) != 0 || S_ISDIR(info.st_mode)) {
    throw Error(Code::kNoInput,
                std::string(what) + " cannot be read: " +
                    (in && S_ISDIR(info.st_mode) ? "it is a folder" : std::strerror(errno != 0 ? errno : ENOENT)))
        .at(where.empty() ? path : where)
        .seen(path);
  }
  std::string out(static_cast<size_t>(info.st_size), '\0');
  in.read(out.data(), static_cast<std::streamsize>(out.size()));
  if (in.bad() || in.gcount() != static_cast<std::streamsize>(out.size())) {
    throw Error(Code::kIo, std::string(what) + " could not be read to its end")
        .at(where.empty() ? path : where)
        .seen(path);
  }
  return out;
}

std::string resolve_path(const std::string& path, const std::string& folder) {
  if (path.empty() || path.front() == '/') return path;
  if (path.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    return home == nullptr ? path : std::string(home) + path.substr(1);
  }
  std::string beside = folder + path;
  if (is_file(beside) || !is_file(path)) return beside;
  return path;
}

// Reads the values of one line, with errors that name the key.
class LineReader {
 public:
  LineReader(const dom::object& object, const std::string& file, int64_t line)
      : object_(object), file_(file), line_(line) {}

  std::optional<std::string> text(const char* key) const {
    dom::element value;
    if (object_[key].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
    std::string_view out;
    if (value.get(out) != simdjson::SUCCESS) wrong(key, value, "a text");
    return std::string(out);
  }
  std::optional<double> number(const char* key) const {
    dom::element value;
    if (object_[key].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
    double out = 0;
    if (value.get(out) != simdjson::SUCCESS) wrong(key, value, "a number");
    return out;
  }
  Error&& locate(Error&& error) const { return std::move(error).at(file_, line_); }

 private:
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

ManifestEntry parse_entry(const dom::object& object, const std::string& file, const std::string& folder, int64_t line,
                          bool needs_duration) {
  const LineReader read(object, file, line);
  ManifestEntry entry;
  entry.manifest = file;
  entry.line = line;

  std::optional<std::string> audio = read.text("audio_filepath");
  if (!audio) audio = read.text("audio_filename");
  if (!audio || audio->empty()) {
    throw Error(Code::kBadData, "manifest line names no audio").at(file, line).expected("the key audio_filepath");
  }
  entry.named_as = *audio;
  entry.audio_file = resolve_path(*audio, folder);

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
    entry.text = read_whole(resolve_path(*path, folder), "text_filepath", file + ":" + std::to_string(line));
    entry.has_text = true;
  } else if (auto normalized = read.text("normalized_text")) {
    entry.text = std::move(*normalized);
    entry.has_text = true;
  }
  entry.speaker = read.text("speaker").value_or("");
  entry.lang = read.text("lang").value_or("");
  if (auto rate = read.number("orig_sample_rate")) entry.orig_sample_rate = static_cast<int64_t>(*rate);
  return entry;
}

void read_one(const std::string& file, bool needs_duration, std::vector<ManifestEntry>& out) {
  const std::string content = read_whole(file, "manifest", "");
  std::string folder = std::filesystem::path(file).parent_path().string();
  if (!folder.empty() && folder.back() != '/') folder += '/';

  dom::parser parser;
  std::vector<char> padded;
  const size_t before = out.size();
  int64_t line = 0;
  for (size_t start = 0; start < content.size();) {
    const size_t end = std::min(content.find('\n', start), content.size());
    const std::string_view text = text::strip_white_space(std::string_view(content).substr(start, end - start));
    start = end + 1;
    ++line;
    if (text.empty()) continue;
    padded.resize(text.size() + simdjson::SIMDJSON_PADDING);
    std::memcpy(padded.data(), text.data(), text.size());
    std::memset(padded.data() + text.size(), 0, simdjson::SIMDJSON_PADDING);
    dom::element element;
    dom::object object;
    const auto failed = parser.parse(padded.data(), text.size(), false).get(element);
    if (failed != simdjson::SUCCESS || element.get(object) != simdjson::SUCCESS) {
      throw Error(Code::kBadData, "manifest line is not a JSON object")
          .at(file, line)
          .seen(std::string(text.substr(0, 120)))
          .next(failed != simdjson::SUCCESS
                    ? std::string("the JSON parser says: ") + simdjson::error_message(failed)
                    : std::string("write {\"audio_filepath\": …, \"duration\": …, \"text\": …}"));
    }
    out.push_back(parse_entry(object, file, folder, line, needs_duration));
  }
  if (out.size() == before)
    throw Error(Code::kBadData, "manifest has no entries").at(file).expected("one JSON object a line");
}

}  // namespace

std::vector<std::string> split_manifest_paths(const std::string& value) {
  std::vector<std::string> out;
  for (size_t start = 0; start <= value.size();) {
    const size_t end = std::min(value.find(',', start), value.size());
    const std::string_view path = text::strip_white_space(std::string_view(value).substr(start, end - start));
    if (!path.empty()) out.emplace_back(path);
    start = end + 1;
  }
  return out;
}

std::vector<std::string> manifest_paths(const Json& value, const std::string& path) {
  std::vector<std::string> out;
  if (value.is_string()) {
    out = split_manifest_paths(value.get<std::string>());
  } else if (value.is_array()) {
    for (const auto& item : value) {
      const auto inner = manifest_paths(item, path);
      out.insert(out.end(), inner.begin(), inner.end());
    }
  } else {
    throw Error(Code::kFailed, "manifest_filepath must be a path or a list of paths").at(path).seen(json_text(value));
  }
  if (out.empty()) throw Error(Code::kFailed, "manifest_filepath names no file").at(path).seen(json_text(value));
  return out;
}

std::vector<ManifestEntry> read_manifests(const std::vector<std::string>& files, bool needs_duration) {
  std::vector<ManifestEntry> out;
  for (const auto& file : files) read_one(file, needs_duration, out);
  return out;
}

Dropped filter_by_duration(std::vector<ManifestEntry>& entries, std::optional<double> minimum,
                           std::optional<double> maximum) {
  Dropped dropped;
  const auto outside = [&](const ManifestEntry& entry) {
    if (entry.duration < 0) return false;
    const bool out = (minimum && entry.duration < *minimum) || (maximum && entry.duration > *maximum);
    if (out) {
      ++dropped.count;
      dropped.seconds += entry.duration;
    }
    return out;
  };
  std::erase_if(entries, outside);
  return dropped;
}

}  // namespace fathom::audio
