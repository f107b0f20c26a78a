#include "core/engine/engine.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include "core/base/allocator.h"
#include "core/engine/model_files_extension.h"
#include "core/experiment/run.h"
#include "core/inference/predictor.h"
#include "core/inference/synthesizer.h"
#include "core/models/nemo_file.h"
#include "core/training/model_wiring.h"

namespace fathom {
namespace {

class EngineImpl final : public Engine {
 public:
  void train(const RunRequest& request, RunSummary& summary) override {
    try {
      const RunPlan plan = plan_training(request);
      run_training(plan, make_parts(plan), request, summary);
    } catch (const std::exception&) {
      if (summary.status.empty()) summary.status = "failed";
      throw;
    }
  }
  RunSummary evaluate(const RunRequest& request, const std::string& stage) override {
    const RunPlan plan = plan_evaluation(request, stage == "test" ? Stage::kTest : Stage::kValidate);
    RunSummary summary;
    run_evaluation(plan, make_parts(plan), summary);
    return summary;
  }
  RunSummary predict(const RunRequest& request, const std::function<void(const Json& item)>& emit) override {
    const RunPlan plan = plan_evaluation(request, Stage::kPredict);
    RunSummary summary;
    run_predict(plan, make_parts(plan), summary, emit);
    return summary;
  }
  PredictTotals predict(const PredictRequest& request, const std::function<void(const Json& item)>& emit) override {
    return run_prediction(request, emit);
  }
  void synthesize(const SynthesisRequest& request, const std::function<std::optional<Utterance>()>& next,
                  const SynthesisSink& sink) override {
    Synthesizer synthesizer(request);
    while (const std::optional<Utterance> utterance = next()) synthesizer.speak(*utterance, sink);
  }
  std::pair<Json, std::string> model_graph(const std::string& nemo) override {
    const RestoredModel restored = restore_nemo(nemo);
    const typing::Wiring wiring = training::record_forward(restored.model);
    return {training::graph_json(restored.model, wiring), training::graph_text(restored.model, wiring)};
  }
  std::vector<std::pair<std::string, std::string>> describe() override {
    return {{"libtorch", TORCH_VERSION},
            {"BLAS", at::hasMKL()      ? "MKL"
                     : at::hasLAPACK() ? "LAPACK"
                                       : "none"},
            {"oneDNN", at::globalContext().hasMKLDNN() ? "yes" : "no"},
            {"CPU capability", at::get_cpu_capability()},
            {"threads", std::to_string(at::get_num_threads())}};
  }
};

}  // namespace

}  // namespace fathom

fathom::Engine* fathom_make_engine() {
  fathom::keep_freed_memory();
  fathom::offer_model_files();
  return new fathom::EngineImpl();
}
