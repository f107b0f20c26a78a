// The door to everything that computes. The host links only the torch-free base library; it opens libfathom_engine.so
// when a command needs it and calls through this interface. No torch in this header.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "fathom/support.h"

namespace fathom {

// A composed and resolved config, ready to run.
struct RunRequest {
  Json config;                            // the job config: name, trainer, model, exp_manager, …
  std::string config_yaml;                // the same as text, unresolved, for the run folder
  std::vector<std::string> command_line;  // as typed
  int threads = 0;                        // 0: all cores
};

struct RunSummary {
  std::string status;  // "finished", "stopped", "interrupted"
  std::string reason;
  int64_t epochs = 0, global_step = 0;
  double seconds = 0;
  std::string log_dir, nemo;
  std::vector<std::string> checkpoints;
  std::string best_path;
  double best_score = 0;
  std::map<std::string, double> metrics;
  Json json() const;  // as `train --json-summary` writes it
};

struct TranscribeRequest {
  std::string model;               // .nemo
  std::vector<std::string> files;  // audio files, or
  std::string manifest;            // a manifest
  int64_t batch_size = 4;
  bool timestamps = false;
  int threads = 0;
  // Sections of components of kind metric, by a name of the caller's. Each is given the `hypotheses` and `references`
  // of the items that came with a text.
  std::map<std::string, Json> metrics;
};

struct TranscribeTotals {
  int64_t items = 0, references = 0;  // references: items that came with a text
  double audio_seconds = 0, seconds = 0;
  // What each metric computed; none is there without references, or where no plugin provides it.
  std::map<std::string, std::map<std::string, double>> metrics;
};

class Engine {
 public:
  virtual ~Engine() = default;
  // The summary so far is in `summary` also when it throws.
  virtual void train(const RunRequest& request, RunSummary& summary) = 0;
  // stage "validate" or "test"; the config's model_path (.nemo) or ckpt_path names the weights.
  virtual RunSummary evaluate(const RunRequest& request, const std::string& stage) = 0;
  // Calls `emit` with one JSON object an item, in input order.
  virtual TranscribeTotals transcribe(const TranscribeRequest& request,
                                      const std::function<void(const Json& item)>& emit) = 0;
  // The modules of a .nemo's model with ports, shapes and parameters, and how they are wired: as JSON
  // (training/model_wiring.h) and as text.
  virtual std::pair<Json, std::string> model_graph(const std::string& nemo) = 0;
  // "what: value" lines for doctor.
  virtual std::vector<std::pair<std::string, std::string>> describe() = 0;
};

}  // namespace fathom

// The one symbol the host looks up.
extern "C" __attribute__((visibility("default"))) fathom::Engine* fathom_make_engine();
