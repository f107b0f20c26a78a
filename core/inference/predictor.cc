#include "core/inference/transcriber.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <chrono>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/data/data_loader.h"
#include "core/models/nemo_file.h"
#include "core/plugins/host_table.h"
#include "core/plugins/tables.h"
#include "fathom/metric.h"

namespace fathom {
namespace {

// The metrics of a request over the items that came with a text. One that no plugin provides is left out with a
// warning: the transcripts are worth having without it.
class ReferenceMetrics {
 public:
  explicit ReferenceMetrics(const std::map<std::string, Json>& sections) : sections_(sections) {}

  // Returns how many items had a text.
  int64_t update(const std::vector<Json>& items) {
    std::vector<Value> hypotheses, references;
    for (const Json& item : items) {
      if (!item.contains("text") || !item["text"].is_string()) continue;
      references.emplace_back(item["text"].get<std::string>());
      hypotheses.emplace_back(item.value("pred_text", std::string()));
    }
    if (references.empty()) return 0;
    if (!made_) make();
    const auto count = static_cast<int64_t>(references.size());
    const Values pairs{{"hypotheses", std::move(hypotheses)}, {"references", std::move(references)}};
    for (const auto& [name, metric] : metrics_) metric.update(pairs);
    return count;
  }
  std::map<std::string, std::map<std::string, double>> compute() const {
    std::map<std::string, std::map<std::string, double>> out;
    for (const auto& [name, metric] : metrics_) out[name] = metric.compute();
    return out;
  }

 private:
  void make() {
    made_ = true;
    for (const auto& [name, section] : sections_) {
      try {
        metrics_.emplace(name, make_metric(section, name));
      } catch (const Error& error) {
        log_warning("transcribe", "no {}: {}", name, error.what());
      }
    }
  }

  const std::map<std::string, Json>& sections_;
  std::map<std::string, MetricHandle> metrics_;
  bool made_ = false;
};

}  // namespace

TranscribeTotals run_transcription(const TranscribeRequest& request,
                                   const std::function<void(const Json& item)>& emit) {
  if (request.threads > 0) plugins::set_thread_budget(request.threads);
  at::set_num_threads(plugins::thread_budget());
  for (const auto& file : request.files) {
    if (!file_exists(file)) throw Error(Code::kNoInput, "no such audio file").at(file);
  }
  RestoredModel restored = restore_nemo(request.model);
  Json section = {{"batch_size", request.batch_size}};
  if (request.manifest.empty())
    section["paths"] = request.files;
  else
    section["manifest_filepath"] = request.manifest;
  DatasetHandle dataset(plugins::adopt(restored.model.make_dataset(Stage::kPredict, section, "transcribe").release()));
  if (!dataset) throw Error(Code::kUnavailable, "this model does not transcribe").at(request.model);
  LoaderOptions options;
  options.batch_size = request.batch_size;
  options.num_workers = plugins::thread_budget() > 1 ? 1 : 0;  // reading audio overlaps with the network
  DataLoader loader(std::move(dataset), options, 0);

  TranscribeTotals totals;
  ReferenceMetrics metrics(request.metrics);
  const c10::InferenceMode inference;
  const auto started = std::chrono::steady_clock::now();
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    std::vector<Json> items;
    for (const Values& values : restored.model.predict_step(*batch, {{"timestamps", request.timestamps}}))
      items.push_back(json_of(values.items()));
    totals.items += static_cast<int64_t>(items.size());
    totals.references += metrics.update(items);
    for (const Json& item : items) {
      totals.audio_seconds += item.value("duration", 0.0);
      emit(item);
    }
  }
  totals.metrics = metrics.compute();
  totals.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return totals;
}

}  // namespace fathom
