// Cases that are processes of their own, for what memory they take at most: `bench_NAME CASE [REPEATS]` measures one
// and prints a line, without arguments the program runs each case so, beside NeMo's where FATHOM_PYTHON has it. POSIX.
#pragma once

#include <sys/resource.h>

#include <cmath>
#include <cstdlib>
#include <memory>

#include "core/base/allocator.h"
#include "fathom/error.h"
#include "tests/bench/measure.h"

namespace fathom::bench {

inline double peak_mb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}
inline double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Warms `run` up and prints {case, seconds, cpu_seconds (medians), peak_mb, before_mb (before it ran)}.
// and what `facts` adds after that.
inline void measure_case(const std::string& name, int repeats, const std::function<void()>& run,
                         const std::function<Json()>& facts = {}) {
  keep_freed_memory();  // as in the program
  const double before = peak_mb();
  run();
  std::vector<double> times, cpu;
  for (int i = 0; i < repeats; ++i) {
    const double start = cpu_seconds();
    times.push_back(seconds_of(run));
    cpu.push_back(cpu_seconds() - start);
  }
  Json line = {{"case", name},
               {"seconds", median(times)},
               {"cpu_seconds", median(cpu)},
               {"peak_mb", peak_mb()},
               {"before_mb", before}};
  if (facts) line.update(facts());
  std::puts(json_text(line).c_str());
}

// The last line a command prints, read as JSON; null where it fails.
inline Json answer(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  if (pipe == nullptr) return nullptr;
  std::string text, last;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    if (c != '\n') {
      text += static_cast<char>(c);
      continue;
    }
    last = text;
    text.clear();
  }
  if (!last.starts_with("{")) return nullptr;
  return parse_text(last);
}

// A case of this program, in a process of its own.
inline Json measured(const std::string& self, const std::string& name, int repeats, int threads = 1) {
  const std::string count = std::to_string(threads);
  Json line =
      answer("OMP_NUM_THREADS=" + count + " '" + self + "' " + name + " " + std::to_string(repeats) + " " + count);
  if (line.is_null()) throw Error(Code::kFailed, "a case did not run").at(name);
  return line;
}

// Reports ours beside `theirs`, which may be null: then `peer` says why.
inline void report_processes(const std::string& bench, const std::string& name, const Json& ours, const Json& theirs,
                             const std::string& peer) {
  nlohmann::ordered_json extra = {{"cpu_seconds", ours["cpu_seconds"]}, {"peak_mb", ours["peak_mb"]}};
  if (!theirs.is_null()) {
    extra["peer_cpu_seconds"] = theirs["cpu_seconds"];
    extra["peer_peak_mb"] = theirs["peak_mb"];
    extra["before_mb"] = ours["before_mb"];
    extra["peer_before_mb"] = theirs["before_mb"];
  }
  report(bench, name, ours["seconds"].get<double>(), theirs.is_null() ? std::nan("") : theirs["seconds"].get<double>(),
         peer, "s", true, extra);
}

inline std::string nemo_python() {
  const char* chosen = std::getenv("FATHOM_PYTHON");
  return chosen != nullptr && *chosen != '\0' ? chosen : "python3";
}
// A case of nemo_asr.py; null where there is no NeMo.
inline Json nemo_case(const std::string& name, int repeats) {
  return answer(nemo_python() + " " FATHOM_SOURCE_DIR "/tests/bench/nemo_asr.py " + name + " " +
                std::to_string(repeats) + " 2>/dev/null");
}

// Beside the same case of nemo_asr.py.
inline void compare_with_nemo(const std::string& bench, const std::string& self, const std::string& name, int repeats) {
  const Json ours = measured(self, name, repeats), theirs = nemo_case(name, repeats);
  report_processes(bench, name, ours, theirs, theirs.is_null() ? "none: " + nemo_python() + " has no NeMo" : "NeMo");
}

}  // namespace fathom::bench
