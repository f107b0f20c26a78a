#include "core/runs/run_record.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <fstream>
#include <iterator>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "fathom/utf8.h"

namespace fathom::runs {
namespace {

constexpr int64_t kFormat = 1;

// The files of /proc have no size to read them by.
std::string proc_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string host_name() {
  char host[256] = {};
  return ::gethostname(host, sizeof host - 1) == 0 ? host : "";
}

// Of this start of the machine: after the next one, no process of before is there.
std::string boot_id() { return std::string(trim(proc_text("/proc/sys/kernel/random/boot_id"))); }

// When a process started, in clock ticks since the machine did; "" without such a process. Numbers of processes are
// used again, but not together with this.
std::string process_start(int64_t pid) {
  const std::string stat = proc_text("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');  // the name may hold blanks
  if (name_end == std::string::npos) return "";
  const auto fields = split(std::string_view(stat).substr(name_end + 2), ' ');
  constexpr size_t kState = 0, kStartTime = 19;  // fields 3 and 22 of proc(5)
  if (fields.size() <= kStartTime || fields[kState] == "Z" || fields[kState] == "X") return "";
  return fields[kStartTime];
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string as_utf8(const std::string& text) {
  std::string out;
  char32_t ignored;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8::decode(text, at, &ignored);
    out += length == 0 ? "\xef\xbf\xbd" : text.substr(at, length);
    at += length == 0 ? 1 : length;
  }
  return out;
}

void make_utf8(Json& json) {
  if (json.is_string()) json = as_utf8(json.get<std::string>());
  if (json.is_structured()) {
    for (auto& item : json) make_utf8(item);
  }
}

Json starting(const RunStart& start) {
  Json monitors = Json::array();
  for (const auto& monitor : start.monitors) monitors.push_back({{"metric", monitor.metric}, {"mode", monitor.mode}});
  const int64_t pid = ::getpid();
  return {{"format", kFormat},
          {"status", "running"},
          {"name", start.name},
          {"version", start.version},
          {"started", utc_now()},
          {"host", host_name()},
          {"boot", boot_id()},
          {"pid", pid},
          {"process_start", process_start(pid)},
          {"resumed_from", start.resumed_from.empty() ? Json(nullptr) : Json(start.resumed_from)},
          {"monitors", std::move(monitors)},
          {"command_line", start.command_line}};
}

void write(const RunStart& start, const Json& record) {
  const std::string path = start.folder + "/" + kRunFile;
  try {
    write_file_atomically(path, json_text(with_utf8(record), 2) + "\n");
  } catch (const std::exception& error) {
    log_warning("experiment", "{}: what becomes of the run is not recorded: {}", path, error.what());
  }
}

void finish(const RunStart& start, Json record, const RunSummary& summary, const char* error) {
  record["ended"] = utc_now();
  const Json result = summary.json();
  for (const auto& [key, value] : result.items()) record[key] = value;
  if (error != nullptr) {
    record["status"] = "failed";
    record["error"] = error;
  }
  write(start, record);
}

}  // namespace

void keep_record(const RunStart& start, RunSummary& summary, const std::function<void()>& run) {
  summary.monitors = start.monitors;
  const Json record = starting(start);
  write(start, record);
  try {
    run();
  } catch (const std::exception& error) {
    finish(start, record, summary, error.what());
    throw;
  } catch (...) {
    finish(start, record, summary, "an exception of an unknown type");
    throw;
  }
  finish(start, record, summary, nullptr);
}

std::optional<Json> read_record(const std::string& folder) {
  const std::string path = folder + "/" + kRunFile;
  if (!file_exists(path)) return std::nullopt;
  const std::string text = read_file(path);
  const auto refuse = [&](const std::string& what) {
    return Error(Code::kBadData, "is no record of a run: " + what)
        .at(path)
        .seen(as_utf8(text.substr(0, 60)))
        .expected("the JSON document that fathom writes there");
  };
  Json record;
  try {
    record = parse_text(text);
  } catch (const nlohmann::json::parse_error&) {
    throw refuse("no JSON");
  }
  if (count_at(record, "format") != kFormat)
    throw refuse("format " + std::to_string(kFormat) + " is what is read here");
  if (text_at(record, "status").empty()) throw refuse("no status");
  return record;
}

std::optional<bool> is_at_work(const Json& record) {
  const auto pid = count_at(record, "pid");
  if (!pid || *pid <= 0) return std::nullopt;
  if (text_at(record, "host") != host_name()) return std::nullopt;
  if (const std::string boot = text_at(record, "boot"); !boot.empty() && boot != boot_id()) return false;
  if (::kill(static_cast<pid_t>(*pid), 0) != 0 && errno == ESRCH) return false;
  const std::string then = text_at(record, "process_start"), now = process_start(*pid);
  return then.empty() || then == now;
}

Json with_utf8(Json document) {
  make_utf8(document);
  return document;
}

std::string text_at(const Json& record, const char* key) {
  if (!record.is_object()) return "";
  const auto found = record.find(key);
  return found != record.end() && found->is_string() ? found->get<std::string>() : "";
}
std::optional<int64_t> count_at(const Json& record, const char* key) {
  if (!record.is_object()) return std::nullopt;
  const auto found = record.find(key);
  if (found == record.end() || !found->is_number_integer()) return std::nullopt;
  return found->get<int64_t>();
}
std::optional<double> number_at(const Json& record, const char* key) {
  if (!record.is_object()) return std::nullopt;
  const auto found = record.find(key);
  if (found == record.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

}  // namespace fathom::runs
