#include "core/inference/transcriber.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <chrono>

#include "core/base/file.h"
#include "core/data/data_loader.h"
#include "core/experiment/nemo_file.h"
#include "core/inference/word_errors.h"
#include "core/plugins/host_table.h"
#include "core/plugins/tables.h"

namespace fathom {

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
  const c10::InferenceMode inference;
  const auto started = std::chrono::steady_clock::now();
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    for (const Values& values : restored.model.predict_step(*batch, {{"timestamps", request.timestamps}})) {
      const Json item = json_of(values.items());
      ++totals.items;
      totals.audio_seconds += item.value("duration", 0.0);
      if (item.contains("text") && item["text"].is_string()) {
        const std::string reference = item["text"], hypothesis = item.value("pred_text", std::string());
        const EditCounts words = word_errors(reference, hypothesis),
                         characters = character_errors(reference, hypothesis);
        ++totals.references;
        totals.words += words.length;
        totals.errors += words.errors;
        totals.characters += characters.length;
        totals.character_errors += characters.errors;
      }
      emit(item);
    }
  }
  totals.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return totals;
}

}  // namespace fathom
