#include "plugins/callbacks/system_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>

namespace fathom::callbacks {
namespace {

std::string text_of_file(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

double percent(double part, double whole) { return whole <= 0 ? 0 : std::round(part / whole * 1000) / 10; }

double processor_seconds() {
  struct rusage usage {};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

CpuTimes read_cpu_times(const std::string& stat) {
  std::istringstream line(stat);
  std::string name;
  line >> name;
  if (name != "cpu") return {};
  // user nice system idle iowait irq softirq steal; the two of guests that follow are in user and nice already.
  std::vector<uint64_t> times(8);
  for (uint64_t& time : times) line >> time;
  CpuTimes out;
  for (const uint64_t time : times) out.total += time;
  out.busy = out.total - times[3] - times[4];
  return out;
}

MemoryUse read_memory_use(const std::string& meminfo) {
  std::istringstream lines(meminfo);
  std::string line;
  double total = 0, available = 0, swap_total = 0, swap_free = 0;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string key;
    double kilobytes = 0;
    words >> key >> kilobytes;
    if (key == "MemTotal:") total = kilobytes;
    if (key == "MemAvailable:") available = kilobytes;
    if (key == "SwapTotal:") swap_total = kilobytes;
    if (key == "SwapFree:") swap_free = kilobytes;
  }
  return {percent(total - available, total), percent(swap_total - swap_free, swap_total), total * 1024};
}

SystemStats::SystemStats()
    : machine_(read_cpu_times(text_of_file("/proc/stat"))),
      process_seconds_(processor_seconds()),
      at_(std::chrono::steady_clock::now()) {}

std::vector<std::pair<std::string, double>> SystemStats::read() {
  const CpuTimes machine = read_cpu_times(text_of_file("/proc/stat"));
  const MemoryUse memory = read_memory_use(text_of_file("/proc/meminfo"));
  const double seconds = processor_seconds();
  const auto now = std::chrono::steady_clock::now();
  const double wall = std::chrono::duration<double>(now - at_).count();
  const auto since = [](uint64_t before, uint64_t after) {
    return static_cast<double>(after > before ? after - before : 0);
  };
  std::vector<std::pair<std::string, double>> out = {
      {"cpu_vm_percent", memory.memory},
      {"cpu_percent", percent(since(machine_.busy, machine.busy), since(machine_.total, machine.total))},
      {"cpu_swap_percent", memory.swap},
      {"process_cpu_percent", percent(seconds - process_seconds_, wall)},
      {"process_memory_percent", memory.total_bytes > 0 ? resident_bytes() / memory.total_bytes * 100 : 0}};
  machine_ = machine;
  process_seconds_ = seconds;
  at_ = now;
  return out;
}

}  // namespace fathom::callbacks
