#include "tests/conformance/case_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom::conformance {
namespace {

namespace fs = std::filesystem;

nlohmann::json parse_located(std::string_view text, const std::string& file, int64_t line) {
  try {
    return parse_lenient_json(text);
  } catch (const nlohmann::json::exception& problem) {
    throw Error(Code::kBadData, std::string("not JSON: ") + problem.what()).at(file, line);
  }
}

bool is_case_lines(const fs::path& file) {
  const std::string name = file.filename();
  return name.ends_with(".jsonl") || name.ends_with(".jsonl.gz");
}

// The name without .jsonl or .jsonl.gz.
std::string stem_of(const fs::path& file) {
  const std::string name = file.filename();
  return name.ends_with(".jsonl.gz") ? name.substr(0, name.size() - std::string_view(".jsonl.gz").size())
                                     : file.stem().string();
}

std::string unpacked(const std::string& file) {
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  archive_entry* entry = nullptr;
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_format_raw(reader.get());
  const auto failed = [&] {
    return Error(Code::kBadData, "not a gzip file").at(file).seen(archive_error_string(reader.get()));
  };
  if (archive_read_open_filename(reader.get(), file.c_str(), 1 << 16) != ARCHIVE_OK ||
      archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) {
    throw failed();
  }
  std::string text;
  std::array<char, 1 << 16> chunk;
  while (true) {
    const la_ssize_t count = archive_read_data(reader.get(), chunk.data(), chunk.size());
    if (count < 0) throw failed();
    if (count == 0) return text;
    text.append(chunk.data(), static_cast<size_t>(count));
  }
}

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// The file that makes a folder one case: meta.json, cases.json where a folder holds one table, or the config.json of an
// encoder with its inputs and outputs beside it. Empty when it is none.
std::string case_file(const fs::path& folder) {
  for (const char* name : {"meta.json", "cases.json"}) {
    if (fs::exists(folder / name)) return (folder / name).string();
  }
  if (fs::exists(folder / "io.safetensors") && fs::exists(folder / "config.json"))
    return (folder / "config.json").string();
  return "";
}

class Reader {
 public:
  explicit Reader(const std::function<void(Case)>& visit) : visit_(visit) {}

  size_t read(const std::string& suite, const fs::path& path) {
    if (fs::is_directory(path)) {
      if (!case_file(path).empty()) return read_folder(suite, path);
      return walk(suite, path);
    }
    return read_lines(suite, path);
  }

 private:
  size_t walk(const std::string& suite, const fs::path& folder) {
    std::vector<fs::path> entries;
    for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    size_t count = 0;
    for (const auto& entry : entries) {
      if (fs::is_directory(entry)) {
        const bool is_case = !case_file(entry).empty();
        count += is_case ? read_folder(suite, entry) : walk(suite + "/" + entry.filename().string(), entry);
      } else if (is_case_lines(entry)) {
        count += read_lines(suite + "/" + stem_of(entry), entry);
      }
    }
    return count;
  }

  size_t read_folder(const std::string& suite, const fs::path& folder) {
    Case item;
    item.id = folder.filename().string();
    item.suite = suite;
    item.folder = folder.string();
    item.body = parse_located(read_file(case_file(folder)), case_file(folder), 1);
    visit_(std::move(item));
    return 1;
  }

  size_t read_lines(const std::string& suite, const fs::path& file) {
    // The file's own name belongs to the suite, whether it was named or found on a walk.
    const std::string stem = stem_of(file);
    const size_t slash = suite.rfind('/');
    const std::string last = slash == std::string::npos ? suite : suite.substr(slash + 1);
    const std::string name = last == stem ? suite : suite + "/" + stem;
    const std::string text = file.extension() == ".gz" ? unpacked(file.string()) : read_file(file.string());
    size_t count = 0;
    int64_t line_number = 0;
    for (size_t start = 0; start < text.size();) {
      size_t end = text.find('\n', start);
      if (end == std::string::npos) end = text.size();
      ++line_number;
      const std::string_view line(text.data() + start, end - start);
      start = end + 1;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      Case item;
      item.body = parse_located(line, file.string(), line_number);
      item.text = line;
      if (!item.body.is_object()) throw Error(Code::kBadData, "a case is a JSON object").at(file.string(), line_number);
      item.id = item.body.value("id", stem + ":" + std::to_string(line_number));
      item.suite = name;
      item.folder = file.parent_path().string();
      visit_(std::move(item));
      ++count;
    }
    return count;
  }

  const std::function<void(Case)>& visit_;
};

}  // namespace

nlohmann::json parse_lenient_json(std::string_view text) {
  // The three words are outside of strings only where they are numbers.
  std::string clean;
  bool changed = false, in_string = false;
  size_t copied = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c != 'N' && c != 'I' && c != '-') continue;
    const std::string_view rest = text.substr(i);
    for (const auto& [word, name] :
         {std::pair<std::string_view, std::string_view>{"NaN", "nan"}, {"Infinity", "inf"}, {"-Infinity", "-inf"}}) {
      if (!starts_with(rest, word)) continue;
      clean.append(text, copied, i - copied);
      clean += "{\"$float\":\"" + std::string(name) + "\"}";
      i += word.size() - 1;
      copied = i + 1;
      changed = true;
      break;
    }
  }
  if (!changed) return nlohmann::json::parse(text);
  clean.append(text, copied);
  return nlohmann::json::parse(clean);
}

size_t read_cases(const std::string& suite, const std::string& path, const std::function<void(Case)>& visit) {
  if (!fs::exists(path)) throw Error(Code::kNoInput, "no such file or folder").at(path);
  return Reader(visit).read(suite, path);
}

}  // namespace fathom::conformance
