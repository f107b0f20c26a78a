#include "plugins/tts/commands/preparation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

namespace fathom::tts {

Moments Moments::of(const at::Tensor& values, const at::Tensor& mask) {
  const at::Tensor kept = (mask.defined() ? values.masked_select(mask) : values).to(at::kDouble);
  Moments out;
  if (kept.numel() == 0) return out;
  out.count = static_cast<double>(kept.numel());
  out.mean = kept.mean().item<double>();
  out.squares = (kept - out.mean).square().sum().item<double>();
  out.min = kept.min().item<double>();
  out.max = kept.max().item<double>();
  return out;
}

void Moments::add(const Moments& other) {
  if (other.count == 0) return;
  if (count == 0) {
    *this = other;
    return;
  }
  const double all = count + other.count, apart = other.mean - mean;
  mean += apart * other.count / all;
  squares += other.squares + apart * apart * count * other.count / all;
  min = std::min(min, other.min);
  max = std::max(max, other.max);
  count = all;
}

double Moments::deviation() const { return std::sqrt(squares / (count - 1)); }

void write_file(const std::string& path, const std::string& text) {
  namespace fs = std::filesystem;
  if (const fs::path folder = fs::path(path).parent_path(); !folder.empty()) fs::create_directories(folder);
  const std::string part = path + ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw Error(Code::kIo, "cannot be written").at(part);
  fs::rename(part, path);
}

void for_all(const CommandIo& io, const char* what, int64_t size, const std::function<void(int64_t)>& item) {
  std::mutex mutex;
  std::exception_ptr failed;
  int64_t next = 0, done = 0;
  const auto work = [&] {
    at::set_num_threads(1);
    const at::NoGradGuard no_grad;
    for (;;) {
      int64_t index = 0;
      {
        const std::lock_guard lock(mutex);
        if (failed || next == size || io.stopped()) return;
        index = next++;
      }
      try {
        item(index);
        const std::lock_guard lock(mutex);
        io.progress(what, static_cast<uint64_t>(++done), static_cast<uint64_t>(size));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failed) failed = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < io.threads(); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (failed) std::rethrow_exception(failed);
  io.check_stopped();
}

}  // namespace fathom::tts
