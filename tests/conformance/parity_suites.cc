// nemo_models/training_parity: from NeMo's initial weights and its batches, our trainer must give NeMo's loss, learning
// rate and gradient norm row by row, its validation, and its final weights. It runs the same Trainer as the program.
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <optional>

#include "core/base/log.h"
#include "core/checkpoint/torch_file.h"
#include "core/models/nemo_file.h"
#include "core/plugins/registry.h"
#include "core/training/trainer.h"
#include "tests/conformance/model_compare.h"
#include "tests/conformance/recorded_batches.h"
#include "tests/conformance/recorded_hooks.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

struct Row {
  int64_t epoch, batch_idx, global_step;
  double loss, lr, gradient_norm;
  std::vector<std::optional<double>> logged;  // in the order of Recording::logged
};
struct Validation {
  int64_t epoch, global_step;
  std::vector<double> metrics;  // in the order of Recording::metrics
};
// A column that is no logged metric: of the second optimizer of a model that has two.
constexpr std::string_view kSecondRate = "lr of the discriminators' optimizer",
                           kSecondNorm = "gradient norm of the discriminators' optimizer";
struct Recording {
  std::vector<std::string> logged, metrics;  // names
  // Of a model that steps two optimizers itself: whose parameters the second has, which steps first.
  std::shared_ptr<torch::nn::Module> two_optimizers;
  bool second_stepped = false;
  double second_lr = std::nan(""), second_norm = std::nan("");
  std::vector<Row> rows;
  std::vector<Validation> validations;
  double lr = std::nan(""), gradient_norm = std::nan("");
};
Recording recording;
// Columns of a row and of a validation that every recording has.
constexpr size_t kLoggedFrom = 6, kMetricsFrom = 2;

// Writes down what the trainer does.
class Recorder final : public Callback {
 public:
  Recorder() {
    on(Event::kBeforeOptimizerStep, &Recorder::before_step);
    on(Event::kTrainBatchEnd, &Recorder::batch_end);
    on(Event::kValidationEnd, &Recorder::validation_end);
  }

 private:
  // The norm of the gradients of the model's children of these names.
  static double norm_of(const std::vector<std::string>& children) {
    double squares = 0;
    const auto modules = recording.two_optimizers->named_children();
    for (const auto& child : children) {
      for (const at::Tensor& parameter : modules[child]->parameters()) {
        if (parameter.grad().defined()) squares += parameter.grad().to(at::kDouble).pow(2).sum().item<double>();
      }
    }
    return std::sqrt(squares);
  }
  void before_step(fathom::Trainer& trainer) {
    if (recording.two_optimizers != nullptr) {
      if (std::exchange(recording.second_stepped, !recording.second_stepped)) {
        recording.lr = trainer.optimizer_option(0, 0, "lr");
        recording.gradient_norm = norm_of({"generator"});
      } else {
        recording.second_lr = trainer.optimizer_option(1, 0, "lr");
        recording.second_norm = norm_of({"msd", "mpd"});
      }
      return;
    }
    recording.lr = trainer.optimizer_option(0, 0, "lr");
    recording.gradient_norm = trainer.gradient_norm();
  }
  void batch_end(fathom::Trainer& trainer) {
    const auto& p = trainer.progress();
    Row row{p.epoch, p.batch_idx, p.global_step, trainer.loss(), recording.lr, recording.gradient_norm, {}};
    for (const std::string& name : recording.logged) {
      row.logged.push_back(name == kSecondRate   ? recording.second_lr
                           : name == kSecondNorm ? recording.second_norm
                                                 : trainer.metric(name));
    }
    recording.rows.push_back(std::move(row));
  }
  void validation_end(fathom::Trainer& trainer) {
    const auto& p = trainer.progress();
    Validation validation{p.epoch, p.global_step, {}};
    for (const std::string& name : recording.metrics)
      validation.metrics.push_back(trainer.metric(name).value_or(std::nan("")));
    recording.validations.push_back(std::move(validation));
  }
};

void add_recorder(Registry& registry) {
  registry.add<Recorder>("conformance.Recorder", "records losses, rates and norms");
}

// The model's own batches with recorded features in place of the audio. One sample is a whole batch.
class FeatureBatches final : public DatasetOf<int64_t> {
 public:
  FeatureBatches(DatasetHandle items, int64_t batch_size, const checkpoint::NamedTensors& features)
      : items_(std::move(items)), batch_size_(batch_size) {
    for (const auto& [name, tensor] : features) features_[name] = tensor;
    while (features_.count(fmt::format("batch{}.processed_signal", batches_)) > 0) ++batches_;
  }
  int64_t size() const override { return batches_; }
  int64_t get(int64_t index, uint64_t) const override { return index; }
  Values collate(const std::vector<const int64_t*>& samples) const override {
    const int64_t batch = *samples[0];
    std::vector<DatasetHandle::Sample> items;
    for (int64_t i = batch * batch_size_; i < std::min((batch + 1) * batch_size_, items_.size()); ++i) {
      items.push_back(items_.get(i, 0));
    }
    Values out;
    for (const auto& [name, value] : items_.collate(items)) {
      if (name != "audio_signal" && name != "a_sig_length") out.add(name, value);
    }
    out.add("processed_signal", features_.at(fmt::format("batch{}.processed_signal", batch)));
    out.add("processed_signal_length", features_.at(fmt::format("batch{}.processed_length", batch)).to(at::kLong));
    return out;
  }

 private:
  DatasetHandle items_;
  int64_t batch_size_, batches_ = 0;
  std::map<std::string, at::Tensor> features_;
};

bool near(double value, double expected, double relative) {
  return std::abs(value - expected) <= relative * std::max(std::abs(expected), 1e-12);
}

std::string compare_rows(const nlohmann::json& body) {
  const auto& rows = body["rows"];
  if (recording.rows.size() != rows.size()) {
    return fmt::format("expected {} batches, got {}", rows.size(), recording.rows.size());
  }
  double tail = 0, expected_tail = 0;
  const auto& tolerance = body["tolerance"];
  // Gradients of a GAN's L1 distances flip with the last bit: the recording's own evidence is of so many batches.
  // Beyond them their norm has ten times the room.
  size_t sure_rows = rows.size();
  if (recording.two_optimizers != nullptr && body.contains("evidence")) {
    for (const auto& [name, run] : body["evidence"].items()) {
      if (run.is_object()) sure_rows = std::min(sure_rows, run.value("batches_of_the_check_runs", rows.size()));
    }
  }
  const size_t tail_rows = tolerance.contains("tail_mean") ? tolerance["tail_mean"][0].get<size_t>() : 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = recording.rows[i];
    const auto& expected = rows[i];
    if (row.epoch != expected[0] || row.batch_idx != expected[1] || row.global_step != expected[2]) {
      return fmt::format("row {}: expected epoch {}, batch {}, step {}, got {}, {}, {}", i, json_text(expected[0]),
                         json_text(expected[1]), json_text(expected[2]), row.epoch, row.batch_idx, row.global_step);
    }
    if (!expected[4].is_null() && !near(row.lr, expected[4], 1e-6)) {
      return fmt::format("row {}: expected learning rate {}, got {}", i, json_text(expected[4]), row.lr);
    }
    for (const auto& bound : tolerance["rows"]) {
      if (i >= bound[0].get<size_t>()) continue;
      const double relative = bound[1];
      if (!near(row.loss, expected[3], relative)) {
        return fmt::format("row {}: expected loss {}, got {} (relative {:.1e}, allowed {:.0e})", i,
                           json_text(expected[3]), row.loss, std::abs(row.loss / expected[3].get<double>() - 1),
                           relative);
      }
      if (!expected[5].is_null() && !near(row.gradient_norm, expected[5], (i < sure_rows ? 10 : 100) * relative)) {
        return fmt::format("row {}: expected gradient norm {}, got {}", i, json_text(expected[5]), row.gradient_norm);
      }
      for (size_t k = 0; k < recording.logged.size(); ++k) {
        const auto& wanted = expected[kLoggedFrom + k];
        if (wanted.is_null()) continue;
        // Newer recordings bound what was logged by itself, relative to its size.
        double room = relative;
        if (tolerance.contains("logged")) {
          for (const auto& logged : tolerance["logged"]) {
            if (i >= logged[0].get<size_t>()) continue;
            room = logged[1].get<double>() * std::max(1.0, std::abs(wanted.get<double>()));
            break;
          }
        }
        if (recording.logged[k] == kSecondNorm) room *= 10;
        if (!row.logged[k] || std::abs(*row.logged[k] - wanted.get<double>()) > room + 1e-7) {
          return fmt::format("row {}: {}: expected {}, got {}", i, recording.logged[k], json_text(wanted),
                             row.logged[k].value_or(std::nan("")));
        }
      }
      break;
    }
    if (i + tail_rows >= rows.size()) {
      tail += row.loss;
      expected_tail += expected[3].get<double>();
    }
  }
  if (tail_rows > 0 && !near(tail, expected_tail, tolerance["tail_mean"][1])) {
    return fmt::format("mean loss of the last {} rows: expected {}, got {}", tail_rows,
                       expected_tail / static_cast<double>(tail_rows), tail / static_cast<double>(tail_rows));
  }
  return "";
}

std::string compare_validations(const nlohmann::json& body) {
  if (!body.contains("validation") || body["validation"].is_null()) return "";
  const auto& expected = body["validation"];
  if (expected.size() != recording.validations.size()) {
    return fmt::format("expected {} validations, got {}", expected.size(), recording.validations.size());
  }
  // The loss after training is as chaotic as training's own: the bound of its tail.
  const auto& tolerance = body["tolerance"];
  const double relative = tolerance.contains("validation_loss") ? tolerance["validation_loss"].get<double>()
                          : tolerance.contains("tail_mean")     ? tolerance["tail_mean"][1].get<double>()
                                                                : 5e-3;
  // Shares of items jump where an answer is close: as much room as a gradient norm has, where a recording does not say.
  const double share =
      tolerance.contains("validation_loss") ? 10 * tolerance["rows"].back()[1].get<double>() : relative;
  // Of the random crops that two optimizers were validated on, those of the first validation are recorded.
  const size_t count = recording.two_optimizers != nullptr ? std::min<size_t>(1, expected.size()) : expected.size();
  for (size_t i = 0; i < count; ++i) {
    const auto& got = recording.validations[i];
    if (got.global_step != expected[i][1]) {
      return fmt::format("validation {}: expected step {}, got {}", i, json_text(expected[i][1]), got.global_step);
    }
    for (size_t k = 0; k < recording.metrics.size(); ++k) {
      const double wanted = expected[i][kMetricsFrom + k], value = got.metrics[k];
      const bool is_loss = recording.metrics[k].ends_with("loss");
      // Of a sum's parts what was logged in training has the room of.
      const bool is_part = is_loss && recording.metrics[k] != "val_loss" && tolerance.contains("logged");
      if (is_part) {
        if (near(value, wanted, tolerance["logged"].back()[1].get<double>())) continue;
        return fmt::format("validation {}: {}: expected {}, got {}", i, recording.metrics[k], wanted, value);
      }
      if (is_loss ? !near(value, wanted, relative) : !(std::abs(value - wanted) <= share)) {
        return fmt::format("validation {}: {}: expected {}, got {}", i, recording.metrics[k], wanted, value);
      }
    }
  }
  return "";
}

Outcome run_parity(const Case& given) {
  namespace fs = std::filesystem;
  const fs::path data = fs::path(given.folder) / "../../../../data/fsdd";
  if (!fs::exists(data / "train.json")) return skip("the audio data/fsdd is not beside the golden folder");
  at::set_num_threads(1);
  // oneDNN rounds by the processor, and one ReLU that flips shows in a gradient norm. Where a recording says that it
  // was made without oneDNN as well, and how little that changed, the comparison is with that, the same everywhere.
  const bool without_onednn = given.body.contains("evidence") && given.body["evidence"].contains("without_onednn");
  at::globalContext().setUserEnabledMkldnn(!without_onednn);
  add_suite_plugin<add_recorder>("conformance_recorder");
  set_log_level(LogLevel::kError);
  recording = {};
  constexpr std::string_view kLogged = "logged: ";
  const auto columns = given.body["columns"].get<std::vector<std::string>>();
  for (size_t i = kLoggedFrom; i < columns.size(); ++i)
    recording.logged.push_back(columns[i].substr(columns[i].starts_with(kLogged) ? kLogged.size() : 0));
  recording.metrics = {"val_loss", "val_wer"};
  if (given.body.contains("validation_columns")) {
    const auto names = given.body["validation_columns"].get<std::vector<std::string>>();
    recording.metrics.assign(names.begin() + kMetricsFrom, names.end());
  }

  Json config = Json::parse(json_text(given.body["config"]));
  const std::string recorded_batches = given.folder + "/batches.safetensors";
  const bool has_batches = fs::exists(recorded_batches);
  for (const char* key : {"train_ds", "validation_ds"}) {
    if (has_batches) continue;
    const std::string name = config[key]["manifest_filepath"];
    // Newer recordings bring their manifests, some of which their configs know under a folder of the recording's own.
    const fs::path own = fs::path(given.folder) / fs::path(name).filename();
    config[key]["manifest_filepath"] = (fs::exists(own) ? own : data / name).string();
  }
  // Where a recording has tokenizers, they are in the archive of the model before its training.
  const fs::path archive = fs::path(given.folder) / (given.id + "_init.nemo");
  std::optional<RestoredModel> before;
  if (fs::exists(archive)) {
    before = restore_nemo(archive.string());
    config["tokenizer"] = tokenizer_section(*before);
  }
  Json section = config;
  section["_target_"] = given.body.value("class", "nemo.collections.asr.models.EncDecCTCModel");
  training::TrainerParts parts;
  parts.model = ModelHandle(create_object(1u << FATHOM_KIND_MODEL, section, "model"));
  training::load_state_dict(*parts.model.torch_module(),
                            checkpoint::load_safetensors(given.folder + "/init_state.safetensors"),
                            /*strict=*/true, given.folder);
  const auto loader = [&](Stage stage, const char* key) {
    const std::string path = std::string("model.") + key;
    return std::make_unique<DataLoader>(parts.model.make_dataset(stage, config[key], path),
                                        LoaderOptions::from_section(config[key], path), 0);
  };
  const std::string features = given.folder + "/features.safetensors";
  if (has_batches) {
    const auto tensors = checkpoint::load_safetensors(recorded_batches);
    const auto batches = [&](const char* prefix, int64_t an_epoch) {
      auto data = std::make_shared<RecordedBatches>(
          tensors, prefix, an_epoch,
          std::map<std::string, std::string>{{"audio_lens", "audio_len"}, {"text_lens", "text_len"}});
      return std::make_unique<DataLoader>(DatasetHandle(MadeDataset(data).object()), LoaderOptions{}, 0);
    };
    const auto rows = static_cast<int64_t>(given.body["rows"].size());
    parts.train = batches("train", rows / given.body["trainer"]["max_epochs"].get<int64_t>());
    parts.validation.push_back(batches("validation", 0));
    for (const auto& column : columns) {
      if (column == kSecondRate) recording.two_optimizers = parts.model.torch_module();
    }
  } else if (fs::exists(features)) {
    auto batches =
        std::make_shared<FeatureBatches>(parts.model.make_dataset(Stage::kTrain, config["train_ds"], "model.train_ds"),
                                         config["train_ds"]["batch_size"], checkpoint::load_safetensors(features));
    parts.train = std::make_unique<DataLoader>(DatasetHandle(MadeDataset(batches).object()), LoaderOptions{}, 0);
  } else {
    parts.train = loader(Stage::kTrain, "train_ds");
  }
  if (!has_batches) parts.validation.push_back(loader(Stage::kValidate, "validation_ds"));
  if (recording.two_optimizers == nullptr) parts.optim = config["optim"];
  parts.callbacks.emplace_back(
      create_object(1u << FATHOM_KIND_CALLBACK, {{"name", "conformance.Recorder"}}, "recorder"));

  Json flags = Json::parse(json_text(given.body["trainer"]));
  flags["logger"] = false;
  flags["num_sanity_val_steps"] = 0;
  if (!flags.contains("max_epochs")) flags["max_epochs"] = -1;
  const size_t expected_validations = given.body.contains("validation") ? given.body["validation"].size() : 0;
  training::Trainer trainer(read_trainer_options(flags, "trainer"), std::move(parts));
  trainer.fit();
  // A training that ended before its first validation was validated afterwards.
  if (recording.validations.size() < expected_validations) trainer.evaluate(Stage::kValidate);

  std::string difference = compare_rows(given.body);
  if (difference.empty()) difference = compare_validations(given.body);
  if (difference.empty() && given.body["tolerance"].contains("final_state_abs")) {
    const double bound = given.body["tolerance"]["final_state_abs"];
    std::map<std::string, at::Tensor> own;
    for (const auto& [name, tensor] : training::state_dict(*trainer.model().torch_module())) own[name] = tensor;
    for (const auto& [name, tensor] : checkpoint::load_safetensors(given.folder + "/final_state.safetensors")) {
      const double largest = (own.at(name).to(at::kDouble) - tensor.to(at::kDouble)).abs().max().item<double>();
      if (!(largest <= bound))
        return fail(fmt::format("final state: {} differs by {:.2e}, allowed {:.0e}", name, largest, bound));
    }
  }
  return difference.empty() ? pass() : fail(difference);
}

}  // namespace

void add_parity_suites(std::vector<Suite>& suites) { suites.push_back({"nemo_models/training_parity", run_parity}); }

}  // namespace fathom::conformance
