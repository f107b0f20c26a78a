// The door to everything that computes. The host links only the torch-free base library; it opens libfathom_engine.so
// when a command needs it and calls through this interface. No torch in this header.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/inference/predict_request.h"
#include "core/inference/synthesis_request.h"
#include "core/planning/run_request.h"
#include "fathom/support.h"

namespace fathom {

class Engine {
 public:
  virtual ~Engine() = default;
  // The summary so far is in `summary` also when it throws.
  virtual void train(const RunRequest& request, RunSummary& summary) = 0;
  // stage "validate" or "test"; the config's model_path (.nemo) or ckpt_path names the weights; given both, those of
  // the checkpoint are put into the model of the .nemo.
  virtual RunSummary evaluate(const RunRequest& request, const std::string& stage) = 0;
  // model.predict_ds through the model's predict step, with predict_options; weights as for evaluate().
  virtual RunSummary predict(const RunRequest& request, const std::function<void(const Json& item)>& emit) = 0;
  // Calls `emit` with one JSON object an item, in input order.
  virtual PredictTotals predict(const PredictRequest& request, const std::function<void(const Json& item)>& emit) = 0;
  // Speaks the utterances that `next` gives, until it gives none.
  virtual void synthesize(const SynthesisRequest& request, const std::function<std::optional<Utterance>()>& next,
                          const SynthesisSink& sink) = 0;
  // The modules of a .nemo's model with ports, shapes and parameters, and how they are wired: as JSON
  // (training/model_wiring.h) and as text.
  virtual std::pair<Json, std::string> model_graph(const std::string& nemo) = 0;
  // "what: value" lines for doctor.
  virtual std::vector<std::pair<std::string, std::string>> describe() = 0;
};

}  // namespace fathom

// The one symbol the host looks up.
extern "C" __attribute__((visibility("default"))) fathom::Engine* fathom_make_engine();
