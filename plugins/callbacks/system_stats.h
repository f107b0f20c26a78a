// How busy the machine and this process are, from Linux's /proc, with psutil's meaning of the numbers. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fathom::callbacks {

// Time that processors spent since the machine started, in ticks.
struct CpuTimes {
  uint64_t busy = 0, total = 0;
};
// From the text of /proc/stat: busy is all but idle and waiting for devices.
CpuTimes read_cpu_times(const std::string& stat);
// From the text of /proc/meminfo: percent of memory that is not available, and of swap in use, to one digit.
struct MemoryUse {
  double memory = 0, swap = 0;
  double total_bytes = 0;
};
MemoryUse read_memory_use(const std::string& meminfo);

class SystemStats {
 public:
  SystemStats();
  // "cpu_percent", "cpu_vm_percent" and "cpu_swap_percent" of the machine, as Lightning names them; of this process
  // "process_cpu_percent" (100 is one processor) and "process_memory_percent". Percents of time are since the last
  // call, or since this object was made.
  std::vector<std::pair<std::string, double>> read();

 private:
  CpuTimes machine_;
  double process_seconds_ = 0;
  std::chrono::steady_clock::time_point at_;
};

}  // namespace fathom::callbacks
