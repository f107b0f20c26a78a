#include "core/experiment/engine.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <malloc.h>
#include <torch/headeronly/version.h>

#include "core/experiment/experiment.h"
#include "core/inference/transcriber.h"

namespace fathom {
namespace {

class EngineImpl final : public Engine {
 public:
  void train(const RunRequest& request, RunSummary& summary) override {
    try {
      run_training(request, summary);
    } catch (const std::exception&) {
      if (summary.status.empty()) summary.status = "failed";
      throw;
    }
  }
  RunSummary evaluate(const RunRequest& request, const std::string& stage) override {
    return run_evaluation(request, stage == "test" ? Stage::kTest : Stage::kValidate);
  }
  TranscribeTotals transcribe(const TranscribeRequest& request,
                              const std::function<void(const Json& item)>& emit) override {
    return run_transcription(request, emit);
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
  // Activations of a few megabytes come and go each step. By default glibc maps and unmaps each of them, and the page
  // faults cost a third of a convolution's time; kept in the heap they cost nothing.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, 2047 << 20);
  return new fathom::EngineImpl();
}
