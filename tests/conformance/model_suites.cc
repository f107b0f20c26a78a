// nemo_models/models, models_old: whole models of NeMo, restored from their .nemo by the code that `fathom transcribe`
// uses (core/models, core/inference). Clip by clip and as one padded batch, what each stage gives is compared within
// the record's tolerance; texts, and the words' places in time, must be equal.
//
// No class is known here: the children are found by NeMo's names, the rest by the names of forward's outputs. A class
// that no plugin has is reported as not supported yet.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "core/base/file.h"
#include "core/base/temporary_folder.h"
#include "core/checkpoint/torch_file.h"
#include "core/inference/predictor.h"
#include "core/models/nemo_file.h"
#include "tests/conformance/case_reader.h"
#include "tests/conformance/classification_answers.h"
#include "tests/conformance/model_compare.h"
#include "tests/conformance/multitask_model_case.h"
#include "tests/conformance/synthesis_model_case.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// One for all, or one a tensor: features_abs, encoded_abs, log_probs_abs.
Bounds bounds_of(const json& tolerance, const std::string& name) {
  Bounds bounds;
  bounds.absolute = tolerance.value(name + "_abs", tolerance.value("abs", bounds.absolute));
  if (name.ends_with("log_probs")) bounds.absolute = tolerance.value("log_probs_abs", bounds.absolute);
  bounds.relative = tolerance.value("rel", bounds.relative);
  return bounds;
}

class ModelCase {
 public:
  explicit ModelCase(const Case& c)
      : case_(c), tolerance_(c.body.value("tolerance", json::object())), nemo_(nemo_of(c)) {}

  const std::string& nemo() const { return nemo_; }

  Outcome run() {
    read_tensors();
    restored_ = restore_nemo(nemo_);
    for (auto& [name, child] : restored_.model.modules()) children_[name] = std::move(child);
    const at::NoGradGuard no_grad;
    check_names();
    std::vector<at::Tensor> clips;
    for (int64_t i = 0; has(fmt::format("clip{}.audio", i)); ++i)
      clips.push_back(tensor(fmt::format("clip{}.audio", i)));
    if (clips.empty()) return fail("expected recorded clips (clip0.audio), found none");
    for (size_t i = 0; i < clips.size(); ++i) compare_stages(fmt::format("clip{}.", i), {clips[i]});
    if (const int64_t count = batch_size(); count > 0) {
      if (count > static_cast<int64_t>(clips.size()))
        return fail(fmt::format("the recorded batch has {} items, and {} clips are there", count, clips.size()));
      compare_stages("batch.", {clips.begin(), clips.begin() + count});
    }
    compare_joint(clips.front());
    compare_texts(clips);
    const bool classifier = case_.body.value("class", "").ends_with("EncDecClassificationModel");
    if (!classifier) compare_test_set();
    const Outcome outcome = differences_.outcome();
    if (outcome.passed && !not_compared_.empty()) return skip(not_compared_);
    return outcome.passed && classifier ? compare_answers(restored_.model, case_) : outcome;
  }

 private:
  static std::string nemo_of(const Case& c) { return c.folder + "/" + c.body.value("nemo_file", c.id + ".nemo"); }
  void read_tensors() {
    for (const char* file : {"io.safetensors", "clips.safetensors"}) {
      if (!fs::exists(fs::path(case_.folder) / file)) continue;
      for (auto& [name, tensor] : checkpoint::load_safetensors(case_.folder + "/" + file)) tensors_[name] = tensor;
    }
  }
  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  const at::Tensor& tensor(const std::string& name) const { return tensors_.at(name); }
  int64_t batch_size() const {
    for (const auto& [name, tensor] : tensors_) {
      if (name.starts_with("batch.")) return tensor.size(0);
    }
    return 0;
  }

  // What is recorded and nobody compares would look as if it passed.
  void check_names() {
    for (const auto& [name, tensor] : tensors_) {
      const bool item = name.starts_with("batch.") || name.starts_with("clip") || name.starts_with("joint.");
      if (!item) differences_.add(name + ": recorded, and no comparison is known for it");
    }
  }

  void compare(const std::string& prefix, const std::string& name, const Values& got, const char* output) {
    if (!has(prefix + name)) return;
    compared_.insert(prefix + name);
    const Value* value = got.find(output);
    differences_.add(tensor_difference(prefix + name, value != nullptr ? value->tensor() : at::Tensor(),
                                       tensor(prefix + name), bounds_of(tolerance_, name)));
  }
  bool any_of(const std::string& prefix, std::initializer_list<const char*> names) const {
    return std::any_of(names.begin(), names.end(), [&](const char* name) { return has(prefix + name); });
  }

  // Front-end, encoder, then everything else by forward's outputs, each from what the model itself made before.
  void compare_stages(const std::string& prefix, const std::vector<at::Tensor>& clips) {
    compared_.insert(prefix + "audio");
    const PaddedAudio audio = padded(clips);
    Values features, encoded;
    if (any_of(prefix, {"features", "features_len", "encoded", "encoded_len", "ctc_log_probs"})) {
      features = children_.at("preprocessor")({{"input_signal", audio.signal}, {"length", audio.lengths}});
      compare(prefix, "features", features, "processed_signal");
      compare(prefix, "features_len", features, "processed_length");
    }
    if (any_of(prefix, {"encoded", "encoded_len", "ctc_log_probs"})) {
      encoded = children_.at("encoder")(
          {{"audio_signal", features["processed_signal"]}, {"length", features["processed_length"]}});
      compare(prefix, "encoded", encoded, "outputs");
      compare(prefix, "encoded_len", encoded, "encoded_lengths");
    }
    if (has(prefix + "ctc_log_probs") && children_.count("ctc_decoder") != 0) {
      compare(prefix, "ctc_log_probs", children_.at("ctc_decoder")({{"encoder_output", encoded["outputs"]}}),
              "logprobs");
    }
    Values out;
    for (const auto& [name, expected] : tensors_) {
      if (!name.starts_with(prefix) || compared_.count(name) != 0) continue;
      if (out.empty())
        out = restored_.model.forward({{"input_signal", audio.signal}, {"input_signal_length", audio.lengths}});
      const std::string rest = name.substr(prefix.size());
      const std::map<std::string, const char*> outputs = {
          {"embedding", "embs"}, {"greedy", "greedy_predictions"}, {"log_probs_len", "encoded_lengths"}};
      const auto known = outputs.find(rest);
      compare(prefix, rest, out, known != outputs.end() ? known->second : rest.c_str());
    }
  }

  // A transducer's prediction network on recorded labels, and its joint network on the first clip's first frames.
  void compare_joint(const at::Tensor& clip) {
    if (!has("joint.labels")) return;
    const at::Tensor& labels = tensor("joint.labels");
    const Values decoded = children_.at("decoder")(
        {{"targets", labels}, {"target_length", at::full({labels.size(0)}, labels.size(1), at::kLong)}});
    compare("joint.", "decoder_out", decoded, "outputs");
    const PaddedAudio audio = padded({clip});
    const Values encoded =
        restored_.model.forward({{"input_signal", audio.signal}, {"input_signal_length", audio.lengths}});
    const int64_t frames = tensor("joint.out").size(1);
    compare("joint.", "out",
            children_.at("joint")({{"encoder_outputs", encoded.tensor("outputs").slice(2, 0, frames)},
                                   {"decoder_outputs", decoded["outputs"]}}),
            "outputs");
  }

  // --- texts ---------------------------------------------------------------------------------------------------------

  void compare_list(const std::string& name, const std::vector<Json>& items) {
    const json& expected = case_.body[name];
    if (items.size() != expected.size())
      return differences_.add(fmt::format("{}: expected {} items, got {}", name, expected.size(), items.size()));
    for (size_t i = 0; i < items.size(); ++i)
      compare_prediction(fmt::format("{}, item {}", name, i), items[i], expected[i], differences_);
  }

  // From the model's own features, as forward makes them: the front-end pads these, transcribe() does not.
  std::vector<Json> decode(const std::vector<at::Tensor>& clips, const Json& options) {
    const PaddedAudio audio = padded(clips);
    const Values features = children_.at("preprocessor")({{"input_signal", audio.signal}, {"length", audio.lengths}});
    std::vector<Json> items;
    for (const Values& item : restored_.model.predict_step({{"processed_signal", features["processed_signal"]},
                                                            {"processed_signal_length", features["processed_length"]}},
                                                           options)) {
      items.push_back(json_of(item.items()));
    }
    return items;
  }

  void compare_texts(const std::vector<at::Tensor>& clips) {
    const json& body = case_.body;
    const Json plain = {{"timestamps", false}}, times = {{"timestamps", true}}, ctc = {{"decoder_type", "ctc"}};
    if (body.contains("hypotheses_single")) {
      std::vector<Json> items;
      for (size_t i = 0; i < std::min(clips.size(), body["hypotheses_single"].size()); ++i)
        items.push_back(decode({clips[i]}, plain).at(0));
      compare_list("hypotheses_single", items);
    }
    if (body.contains("hypotheses_batch1")) {
      std::vector<Json> items;
      for (const auto& clip : clips) items.push_back(decode({clip}, times).at(0));
      compare_list("hypotheses_batch1", items);
    }
    if (body.contains("hypotheses_batch")) compare_list("hypotheses_batch", decode(clips, plain));
    for (const auto& [name, batch_size, options] :
         std::initializer_list<std::tuple<const char*, int64_t, Json>>{{"transcribe_batch1", 1, plain},
                                                                       {"transcribe_batch4", 4, plain},
                                                                       {"transcribe_timestamps_batch2", 2, times},
                                                                       {"transcribe_ctc_batch4", 4, ctc}}) {
      if (!body.contains(name)) continue;
      const size_t count = std::min(clips.size(), body[name].size());  // recorded of the first clips, or of all
      compare_list(
          name, transcribe({clips.begin(), clips.begin() + static_cast<std::ptrdiff_t>(count)}, batch_size, options));
    }
    if (body.contains("test") && body["test"].is_array()) compare_both_decoders(clips);
  }

  // A hybrid's answers to the recorded test set, of those clips that are recorded too.
  void compare_both_decoders(const std::vector<at::Tensor>& clips) {
    const json& rows = case_.body["test"];
    const size_t count = std::min(clips.size(), rows.size());
    const std::vector<at::Tensor> heard(clips.begin(), clips.begin() + static_cast<std::ptrdiff_t>(count));
    for (const char* decoder : {"rnnt", "ctc"}) {
      const auto items = transcribe(heard, 1, {{"decoder_type", decoder}});
      for (size_t i = 0; i < items.size(); ++i)
        compare_prediction(fmt::format("test {}, {}", i, decoder), items[i], rows[i].at(decoder), differences_);
    }
  }

  // Every answer of a recorded evaluation, whose audio lies beside the recordings. Its items are in the order of the
  // test set's manifest.
  void compare_test_set() {
    const fs::path answers = fs::path(case_.folder) / "transcripts.json";
    if (!fs::exists(answers)) return;
    const fs::path manifest = fs::path(case_.folder) / "../../../../data/fsdd/test.json";
    if (!fs::exists(manifest)) {
      not_compared_ = "the audio data/fsdd is not beside the golden folder";
      return;
    }
    const json test = parse_lenient_json(read_file(answers.string())).at("test");
    PredictRequest request;
    request.model = nemo_;
    request.data = {{"manifest_filepath", manifest.string()}};
    request.batch_size = test.at("batch_size");
    std::vector<Json> items;
    run_prediction(request, [&](const Json& item) { items.push_back(item); });
    if (items.size() != test.at("rows").size())
      return differences_.add(fmt::format("test set: expected {} items, got {}", test.at("rows").size(), items.size()));
    for (size_t i = 0; i < items.size(); ++i) {
      const json& row = test.at("rows")[i];
      if (!items[i].contains("pred_text")) return;  // a class, say: others compare it
      compare_prediction(row.at("audio").get<std::string>(), items[i], row.at("hyp"), differences_);
    }
  }

  // Through files of the clips' own samples and the engine's prediction.
  std::vector<Json> transcribe(const std::vector<at::Tensor>& clips, int64_t batch_size, const Json& options) {
    const TemporaryFolder folder;
    std::vector<std::string> paths;
    for (size_t i = 0; i < clips.size(); ++i)
      paths.push_back(folder.write(fmt::format("clip{}.wav", i), wav_of(clips[i])));
    PredictRequest request;
    request.model = nemo_;
    request.data = {{"paths", paths}};
    request.options = options;
    request.batch_size = batch_size;
    std::vector<Json> items;
    run_prediction(request, [&](const Json& item) { items.push_back(item); });
    return items;
  }

  // 32-bit floats, one channel, so that nothing is rounded on the way.
  std::string wav_of(const at::Tensor& samples) const {
    const Json& config = restored_.config;
    const auto rate = static_cast<uint32_t>(
        config.value("preprocessor", Json::object()).value("sample_rate", config.value("sample_rate", 16000)));
    const at::Tensor plain = samples.to(at::kFloat).contiguous();
    const auto bytes = static_cast<uint32_t>(plain.numel() * sizeof(float));
    std::string out;
    const auto put = [&](auto number) { out.append(reinterpret_cast<const char*>(&number), sizeof number); };
    out += "RIFF";
    put(36 + bytes);
    out += "WAVEfmt ";
    put(uint32_t{16});
    put(uint16_t{3});  // IEEE float
    put(uint16_t{1});
    put(rate);
    put(static_cast<uint32_t>(rate * sizeof(float)));
    put(static_cast<uint16_t>(sizeof(float)));
    put(uint16_t{32});
    out += "data";
    put(bytes);
    out.append(static_cast<const char*>(plain.const_data_ptr()), bytes);
    return out;
  }

  const Case& case_;
  const json tolerance_;
  const std::string nemo_;
  RestoredModel restored_;
  std::map<std::string, ModuleHandle> children_;
  std::map<std::string, at::Tensor> tensors_;
  std::set<std::string> compared_;
  Differences differences_;
  std::string not_compared_;  // what is recorded and cannot be compared here
};

Outcome run_model(const Case& c) {
  try {
    ModelCase one(c);
    if (const std::string missing = missing_class(one.nemo()); !missing.empty())
      return skip("not supported yet: " + missing);
    if (c.body.value("class", "").ends_with("Tacotron2Model")) return run_tacotron2(c, one.nemo());
    if (c.body.value("class", "").ends_with("FastPitchModel")) return run_fastpitch(c, one.nemo());
    if (c.body.value("class", "").ends_with("HifiGanModel")) return run_vocoder(c, one.nemo());
    if (c.body.value("class", "").ends_with("EncDecMultiTaskModel")) return run_multitask_model(c, one.nemo());
    return one.run();
  } catch (const Error& error) {
    return fail(fmt::format("expected no error, got: {}", error.what()));
  }
}

}  // namespace

void add_whole_model_suites(std::vector<Suite>& suites) {
  suites.push_back({"nemo_models/models", run_model});
  suites.push_back({"nemo_models/models_old", run_model});
}

}  // namespace fathom::conformance
