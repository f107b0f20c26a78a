// Checkpoints that are written from time to time (trainer.ckpt_every), so that little is lost when a machine dies. The
// training thread copies what is to be saved and goes on; a thread of its own writes it. The newest is kept, and none
// once the run has ended as it should.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "core/archive/pickle_value.h"

namespace fathom::training {

class SafetyCheckpoints {
 public:
  // `folder` is made when the first one is written.
  SafetyCheckpoints(double every_seconds, std::string folder);
  // Waits for the one that is being written.
  ~SafetyCheckpoints();
  SafetyCheckpoints(const SafetyCheckpoints&) = delete;
  SafetyCheckpoints& operator=(const SafetyCheckpoints&) = delete;

  // The time has come, and none is being written. All calls from the training thread.
  bool due() const;
  // Copies the tensors of `content` (of nothing else: it is given away) and has it written as step=N.ckpt, after which
  // older ones are removed. What goes wrong is a warning: the run does not depend on it.
  void start(checkpoint::PickleValue content, int64_t step);
  // The same, but written when it returns, and an error where it cannot be. Its path.
  std::string write_now(checkpoint::PickleValue content, int64_t step);
  // The run has ended as it should: none is needed any more.
  void remove_all();

 private:
  std::string path_of(int64_t step) const;
  void write(const checkpoint::PickleValue& content, const std::string& path) const;
  void wait();

  const std::chrono::duration<double> every_;
  const std::string folder_;
  std::chrono::steady_clock::time_point last_;
  std::atomic<bool> writing_ = false;
  std::thread writer_;
};

}  // namespace fathom::training
