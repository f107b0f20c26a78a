#include "tests/conformance/nlp_cases.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/file.h"
#include "core/checkpoint/torch_file.h"
#include "core/inference/predict_request.h"
#include "core/models/nemo_file.h"
#include "plugins/lib/nn/bert_encoder.h"
#include "tests/conformance/case_reader.h"
#include "tests/conformance/model_compare.h"
#include "tests/conformance/nlp_case_tools.h"

namespace fathom::conformance {
Outcome run_v1_text_classification(const Case& c, const std::string& nemo) {
  Differences differences;
  const auto recorded = recorded_in(c.folder + "/batch.safetensors");
  const nlohmann::json metrics = parse_lenient_json(read_file(c.folder + "/metrics.json"));
  const RestoredModel restored = restore_nemo(nemo);
  std::map<std::string, ModuleHandle> children;
  for (auto& [name, child] : restored.model.modules()) children[name] = std::move(child);
  const DatasetHandle data = restored.model.make_dataset(
      Stage::kValidate, {{"file_path", c.folder + "/" + metrics.at("data").get<std::string>()}}, "validation_ds");
  const Values batch = batch_of(data, 0, 20);
  for (const auto& [name, value] : batch)
    differences.add(tensor_difference(name, value.tensor(), recorded.at(name), {}));
  const Values out = restored.model.forward({{"input_ids", batch["input_ids"]},
                                             {"token_type_ids", batch["segment_ids"]},
                                             {"attention_mask", batch["input_mask"]}});
  differences.add(tensor_difference("logits", out.tensor("logits"), recorded.at("logits"), kEncoderBounds));
  const Values loss = children.at("loss")({{"logits", out["logits"]}, {"labels", batch["labels"]}});
  differences.add(tensor_difference("loss", loss.tensor("loss").reshape({1}), recorded.at("loss"), {1e-6, 1e-5}));
  loss.tensor("loss").backward();
  compare_gradients(*restored.model.torch_module(), c.folder + "/grads.json", "", differences);

  const nlohmann::json infer = parse_lenient_json(read_file(c.folder + "/infer.json"));
  const int64_t longest = infer.at("max_seq_length");
  PredictRequest request;
  request.model = nemo;
  request.batch_size = infer.at("batch_size");
  request.data = {{"texts", infer.at("texts").get<std::vector<std::string>>()}};
  if (longest > 0) request.data["max_seq_length"] = longest;
  const auto inputs = recorded_in(c.folder + "/infer.safetensors");
  const DatasetHandle texts = restored.model.make_dataset(Stage::kPredict, request.data, "predict_ds");
  std::vector<int64_t> answers;
  const at::NoGradGuard no_grad;
  for (int64_t i = 0; i * request.batch_size < texts.size(); ++i) {
    const Values asked = batch_of(texts, i * request.batch_size, request.batch_size);
    for (const char* name : {"input_ids", "segment_ids", "input_mask"}) {
      const auto found = inputs.find(fmt::format("{}.{}", i, name));
      if (found != inputs.end())
        differences.add(tensor_difference(found->first, asked.tensor(name), found->second, {}));
    }
    for (const Values& item : restored.model.predict_step(asked, {{"scores", true}})) {
      const auto& scores = item["scores"].list();
      answers.push_back(std::max_element(scores.begin(), scores.end(),
                                         [](const Value& a, const Value& b) { return a.real() < b.real(); }) -
                        scores.begin());
    }
  }
  if (Json(answers) != Json(infer.at("predictions").get<std::vector<int64_t>>()))
    differences.add("predictions: got " + json_text(Json(answers)));

  // The whole set, a batch after another.
  MetricHandle report;
  for (auto& [name, metric] : restored.model.metrics()) {
    if (name == "classification_report") report = metric;
  }
  report.reset();
  const int64_t batch_size = metrics.at("batch_size");
  std::vector<double> losses;
  for (int64_t first = 0; first < data.size(); first += batch_size) {
    const Values part = batch_of(data, first, batch_size);
    const Values answered = restored.model.forward({{"input_ids", part["input_ids"]},
                                                    {"token_type_ids", part["segment_ids"]},
                                                    {"attention_mask", part["input_mask"]}});
    losses.push_back(children.at("loss")({{"logits", answered["logits"]}, {"labels", part["labels"]}})
                         .tensor("loss")
                         .item<double>());
    report.update({{"preds", answered.tensor("logits").argmax(-1)}, {"labels", part["labels"]}});
  }
  for (const auto& [name, value] : report.compute()) {
    if (std::abs(value - metrics.at(name).get<double>()) > 1e-3)
      differences.add(fmt::format("{}: expected {}, got {}", name, metrics.at(name).get<double>(), value));
  }
  const auto expected = metrics.at("batch_losses").get<std::vector<double>>();
  if (losses.size() != expected.size()) differences.add("batches of the set: " + std::to_string(losses.size()));
  for (size_t i = 0; i < std::min(losses.size(), expected.size()); ++i) {
    if (std::abs(losses[i] - expected[i]) > 1e-5 + 1e-4 * expected[i])
      differences.add(fmt::format("loss of batch {}: expected {}, got {}", i, expected[i], losses[i]));
  }
  return differences.outcome();
}

Outcome run_v1_encoder(const Case& c) {
  try {
    nn::BertEncoder encoder(nn::BertOptions::read(Json::parse(read_file(c.folder + "/config.json")), "config"));
    const auto recorded = recorded_in(c.folder + "/io.safetensors");
    Differences differences;
    auto parameters = encoder.named_parameters();
    size_t loaded = 0;
    {
      const at::NoGradGuard no_grad;
      for (auto& [name, tensor] : checkpoint::load_safetensors(c.folder + "/model.safetensors")) {
        const std::string own = nn::bert_parameter_name(name);
        if (own.empty()) continue;
        at::Tensor* parameter = parameters.find(own);
        if (parameter == nullptr || parameter->sizes() != tensor.sizes()) {
          differences.add(name + ": a weight without a place");
          continue;
        }
        parameter->copy_(tensor);
        ++loaded;
      }
    }
    if (loaded != parameters.size())
      differences.add(fmt::format("{} of {} weights were loaded", loaded, parameters.size()));
    encoder.eval();
    const auto given = [&](const char* name) { return recorded.count(name) > 0 ? recorded.at(name) : at::Tensor(); };
    const at::Tensor ids = recorded.at("input_ids"), mask = given("attention_mask"), types = given("token_type_ids");
    const auto compare = [&](const std::string& name, const at::Tensor& got) {
      if (recorded.count(name) > 0) differences.add(tensor_difference(name, got, recorded.at(name), kEncoderBounds));
    };
    nn::BertEncoder::Inside inside;
    const at::Tensor seen = encoder.forward(ids, mask, types, &inside);
    for (size_t i = 0; i < inside.states.size(); ++i) compare(fmt::format("hidden.{}", i), inside.states[i]);
    for (size_t i = 0; i < inside.weights.size(); ++i) compare(fmt::format("attention.{}", i), inside.weights[i]);
    compare("last_hidden_state", seen);
    const at::Tensor last = encoder.forward(ids, mask, types);
    compare("last_hidden_state", last);
    if (recorded.count("pooler_output") > 0) compare("pooler_output", encoder.pool(last));
    compare("last_hidden_state.no_mask_no_segments", encoder.forward(ids, {}, {}));
    ((last * recorded.at("loss_weights")).sum() / mask.sum()).backward();
    compare_gradients(encoder, c.folder + "/grads.json", "", differences);
    return differences.outcome();
  } catch (const std::exception& error) {
    return fail(fmt::format("expected no error, got: {}", error.what()));
  }
}

}  // namespace fathom::conformance
