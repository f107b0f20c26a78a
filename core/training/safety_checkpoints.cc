#include "core/training/safety_checkpoints.h"

#include <filesystem>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "fathom/error.h"

namespace fathom::training {

namespace fs = std::filesystem;
using checkpoint::PickleValue;

SafetyCheckpoints::SafetyCheckpoints(double every_seconds, std::string folder)
    : every_(every_seconds), folder_(std::move(folder)), last_(std::chrono::steady_clock::now()) {}

SafetyCheckpoints::~SafetyCheckpoints() { wait(); }

void SafetyCheckpoints::wait() {
  if (writer_.joinable()) writer_.join();
}

bool SafetyCheckpoints::due() const {
  return std::chrono::steady_clock::now() - last_ >= every_ && !writing_.load(std::memory_order_acquire);
}

std::string SafetyCheckpoints::path_of(int64_t step) const {
  return folder_ + "/step=" + std::to_string(step) + ".ckpt";
}

void SafetyCheckpoints::write(const PickleValue& content, const std::string& path) const {
  create_directories(folder_);
  checkpoint::save_torch_file(path, content);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("step=") && entry.path() != path) fs::remove(entry.path());
  }
}

void SafetyCheckpoints::start(PickleValue content, int64_t step) {
  wait();
  checkpoint::own_tensors(content);
  last_ = std::chrono::steady_clock::now();
  writing_.store(true, std::memory_order_release);
  writer_ = std::thread([this, content = std::move(content), path = path_of(step)] {
    try {
      write(content, path);
    } catch (const std::exception& problem) {
      log_warning("trainer", "the safety checkpoint {} was not written: {}", path, problem.what());
    }
    writing_.store(false, std::memory_order_release);
  });
}

std::string SafetyCheckpoints::write_now(PickleValue content, int64_t step) {
  wait();
  std::string path = path_of(step);
  write(content, path);
  return path;
}

void SafetyCheckpoints::remove_all() {
  wait();
  std::error_code error;  // what is left costs space only
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;) {
    const fs::path path = entry->path();
    entry.increment(error);
    std::error_code kept;
    if (path.filename().string().starts_with("step=")) fs::remove(path, kept);
    if (kept) log_warning("trainer", "cannot remove {}: {}", path.string(), kept.message());
  }
  fs::remove(folder_, error);  // only when it is empty
}

}  // namespace fathom::training
