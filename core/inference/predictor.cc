#include "core/inference/predictor.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/data/data_loader.h"
#include "core/models/nemo_file.h"
#include "core/plugins/host_table.h"
#include "core/plugins/tables.h"
#include "fathom/metric.h"

namespace fathom {
namespace {

// The metrics of a request. One that no plugin provides is left out with a warning: the predictions are worth having
// without it.
class ItemMetrics {
 public:
  explicit ItemMetrics(const std::map<std::string, PredictRequest::Metric>& wanted) : wanted_(wanted) {}

  void update(const std::vector<Json>& items) {
    for (const auto& [name, metric] : wanted_) {
      std::map<std::string, std::vector<Value>> columns;
      for (const Json& item : items) {
        const auto has = [&](const auto& input) {
          return item.contains(input.second) && !item[input.second].is_null();
        };
        if (!std::all_of(metric.inputs.begin(), metric.inputs.end(), has)) continue;
        for (const auto& [input, key] : metric.inputs) columns[input].push_back(value_of(item[key]));
      }
      if (columns.empty()) continue;
      const MetricHandle* made = find(name, metric.section);
      if (made == nullptr) continue;
      Values values;
      for (auto& [input, column] : columns) values.add(input, std::move(column));
      made->update(values);
    }
  }
  std::map<std::string, std::map<std::string, double>> compute() const {
    std::map<std::string, std::map<std::string, double>> out;
    for (const auto& [name, metric] : made_) {
      if (metric) out[name] = metric->compute();
    }
    return out;
  }

 private:
  const MetricHandle* find(const std::string& name, const Json& section) {
    auto [place, is_new] = made_.try_emplace(name);
    try {
      if (is_new) place->second = make_metric(section, name);
    } catch (const Error& error) {
      log_warning("predict", "no {}: {}", name, error.what());
    }
    return place->second ? &*place->second : nullptr;
  }

  const std::map<std::string, PredictRequest::Metric>& wanted_;
  std::map<std::string, std::optional<MetricHandle>> made_;
};

}  // namespace

PredictTotals run_prediction(const PredictRequest& request, const std::function<void(const Json& item)>& emit) {
  if (request.threads > 0) plugins::set_thread_budget(request.threads);
  at::set_num_threads(plugins::thread_budget());
  RestoredModel restored = restore_nemo(request.model);
  Json section = request.data;
  section["batch_size"] = request.batch_size;
  DatasetHandle dataset(plugins::adopt(restored.model.make_dataset(Stage::kPredict, section, "predict_ds").release()));
  if (!dataset) throw Error(Code::kUnavailable, "this model makes no dataset to predict from").at(request.model);
  LoaderOptions options;
  options.batch_size = request.batch_size;
  options.num_workers = plugins::thread_budget() > 1 ? 1 : 0;  // reading overlaps with the network
  DataLoader loader(std::move(dataset), options, 0);

  PredictTotals totals;
  ItemMetrics metrics(request.metrics);
  const c10::InferenceMode inference;
  const auto started = std::chrono::steady_clock::now();
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    if (interrupt_requested() != 0) throw Error(Code::kInterrupted, "");
    std::vector<Json> items;
    for (const Values& values : restored.model.predict_step(*batch, request.options))
      items.push_back(json_of(values.items()));
    totals.items += static_cast<int64_t>(items.size());
    metrics.update(items);
    for (const Json& item : items) emit(item);
  }
  totals.metrics = metrics.compute();
  totals.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return totals;
}

}  // namespace fathom
