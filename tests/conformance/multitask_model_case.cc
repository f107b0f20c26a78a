#include "tests/conformance/multitask_model_case.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>
#include <set>

#include "core/base/temporary_folder.h"
#include "core/checkpoint/torch_file.h"
#include "core/inference/predictor.h"
#include "core/models/nemo_file.h"
#include "plugins/asr/data/model_tokenizer.h"
#include "plugins/asr/data/prompt_format.h"
#include "plugins/asr/decoding/aed_decoding.h"
#include "tests/conformance/model_compare.h"

namespace fathom::conformance {
namespace {

using nlohmann::json;
using Ids = std::vector<int64_t>;

Ids ids_of(const json& list) { return list.get<Ids>(); }

asr::PromptSlots text_slots(const json& object) {
  asr::PromptSlots out;
  for (const auto& [key, value] : object.items()) {
    if (value.is_string()) out[key] = value.get<std::string>();
  }
  return out;
}

class MultitaskCase {
 public:
  MultitaskCase(const Case& c, const std::string& nemo) : body_(c.body), nemo_(nemo), restored_(restore_nemo(nemo)) {
    for (auto& [name, tensor] : checkpoint::load_safetensors(c.folder + "/io.safetensors")) tensors_[name] = tensor;
    for (auto& [name, child] : restored_.model.modules()) children_[name] = std::move(child);
    tokenizer_ = asr::ModelTokenizer::read(tokenizer_section(restored_), "tokenizer").tokenizer();
    format_ = asr::PromptFormat(restored_.config["prompt_format"], restored_.config["prompt_defaults"], tokenizer_, "");
    for (size_t i = 0; i < body_["manifest"].size(); ++i) {
      // What the recording filled in.
      asr::PromptSlots filled = {{"source_lang", "en"}, {"target_lang", "en"}, {"task", "asr"}, {"pnc", "yes"}};
      slots_.push_back(format_.complete(text_slots(body_["manifest"][i]), filled));
    }
  }

  Outcome run() {
    const at::NoGradGuard no_grad;
    compare_tokenizer();
    compare_prompts();
    compare_data();
    compare_stages("batch.", tensor("batch.audio"), tensor("batch.audio_len"));
    for (int64_t i = 0; has(fmt::format("clip{}.audio", i)); ++i) {
      const at::Tensor& audio = tensor(fmt::format("clip{}.audio", i));
      compare_stages(fmt::format("clip{}.", i), audio.unsqueeze(0), at::full({1}, audio.size(0), at::kLong));
    }
    compare_decoding();
    compare_transcriptions();
    return differences_.outcome();
  }

 private:
  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  const at::Tensor& tensor(const std::string& name) const { return tensors_.at(name); }
  void compare(const std::string& name, const at::Tensor& got) {
    if (has(name)) differences_.add(tensor_difference(name, got, tensor(name), Bounds{}));
  }
  void equal(const std::string& what, const Ids& got, const Ids& expected) {
    if (got != expected)
      differences_.add(fmt::format("{}: expected {}, got {}", what, json_text(json(expected)), json_text(json(got))));
  }

  void compare_tokenizer() {
    const json& want = body_["tokenizer"];
    const text::SpecialIds ids = tokenizer_->special_ids();
    equal("tokenizer: bos, eos, pad, vocab_size", {ids.bos, ids.eos, ids.pad, tokenizer_->vocab_size()},
          {want["bos"], want["eos"], want["pad"], want["vocab_size"]});
    for (const auto& [token, id] : want["special"].items()) {
      if (tokenizer_->id_to_token(id) != token) differences_.add("tokenizer: special token " + token + " differs");
    }
  }

  // Where NeMo fails for want of a language that a prompt of special tokens does not need, there is nothing to compare.
  void compare_prompts() {
    for (size_t i = 0; i < body_["prompt_cases"].size(); ++i) {
      const json& one = body_["prompt_cases"][i];
      if (one.contains("error")) continue;
      std::vector<asr::PromptFormat::Turn> turns;
      for (const auto& turn : one["turns"]) {
        asr::PromptSlots slots = text_slots(turn["slots"]);
        const std::string language = slots.count("prompt_language") != 0 ? slots["prompt_language"] : "";
        turns.push_back({turn["role"], slots, language});
      }
      const auto got = format_.encode(turns);
      equal(fmt::format("prompt case {}", i), got.context, ids_of(one["context_ids"]));
      if (one.contains("answer_ids"))
        equal(fmt::format("prompt case {}, answer", i), got.answer, ids_of(one["answer_ids"]));
    }
  }

  std::vector<at::Tensor> clips() const {
    std::vector<at::Tensor> out;
    const at::Tensor &audio = tensor("batch.audio"), lengths = tensor("batch.audio_len").to(at::kLong);
    for (int64_t i = 0; i < audio.size(0); ++i) out.push_back(audio[i].slice(0, 0, lengths[i].item<int64_t>()));
    return out;
  }
  int64_t sample_rate() const { return restored_.config.value("sample_rate", int64_t{16000}); }

  // The batch as the data set makes it from a manifest.
  void compare_data() {
    const TemporaryFolder folder;
    std::string lines;
    const auto audio = clips();
    for (size_t i = 0; i < audio.size(); ++i) {
      Json line = {{"audio_filepath", folder.write(fmt::format("{}.wav", i), wave_file(audio[i], sample_rate()))},
                   {"duration", static_cast<double>(audio[i].size(0)) / static_cast<double>(sample_rate())},
                   {"text", body_["answers"][i].get<std::string>()}};
      for (const auto& [slot, value] : slots_[i]) line[slot] = value;
      lines += json_text(line) + "\n";
    }
    const DatasetHandle data = restored_.model.make_dataset(
        Stage::kTrain, {{"manifest_filepath", folder.write("m.json", lines)}, {"use_lhotse", true}}, "train_ds");
    std::vector<DatasetHandle::Sample> items;
    for (int64_t i = 0; i < data.size(); ++i) items.push_back(data.get(i, 0));
    const Values batch = data.collate(items);
    for (const auto& [name, recorded] : {std::pair<const char*, const char*>{"prompt", "prompt"},
                                         {"prompt_length", "prompt_len"},
                                         {"prompted_transcript", "prompted_transcript"},
                                         {"prompted_transcript_length", "prompted_transcript_len"},
                                         {"transcripts", "transcript"},
                                         {"transcript_length", "transcript_len"},
                                         {"audio_signal", "audio"},
                                         {"a_sig_length", "audio_len"}})
      compare(std::string("batch.") + recorded,
              batch.tensor(name).to(tensor(std::string("batch.") + recorded).scalar_type()));
  }

  void compare_stages(const std::string& prefix, const at::Tensor& audio, const at::Tensor& lengths) {
    const Values features = children_.at("preprocessor")({{"input_signal", audio}, {"length", lengths.to(at::kLong)}});
    compare(prefix + "features", features.tensor("processed_signal"));
    compare(prefix + "features_len", features.tensor("processed_length"));
    Values in = {{"input_signal", audio}, {"input_signal_length", lengths.to(at::kLong)}};
    const bool teacher = has(prefix + "log_probs");
    if (teacher) {
      in.add("transcript", tensor(prefix + "prompted_transcript").slice(1, 0, -1));
      in.add("transcript_length", tensor(prefix + "prompted_transcript_len") - 1);
    }
    const Values out = restored_.model.forward(in);
    compare(prefix + "encoder_states", out.tensor("encoder_states"));
    compare(prefix + "encoder_mask", out.tensor("encoder_mask"));
    compare(prefix + "encoded_len", out.tensor("encoded_lengths"));
    if (prefix.starts_with("clip"))
      equal(prefix + "prompt", format_.prompt(slots_[std::stoul(prefix.substr(4))]).context,
            {tensor(prefix + "prompt").const_data_ptr<int64_t>(),
             tensor(prefix + "prompt").const_data_ptr<int64_t>() + tensor(prefix + "prompt").numel()});
    if (!teacher) return;
    compare(prefix + "log_probs", out.tensor("transf_log_probs"));
    Values loss_in{{"log_probs", out["transf_log_probs"]},
                   {"labels", tensor(prefix + "prompted_transcript").slice(1, 1)}};
    compare(prefix + "loss", children_.at("loss")(loss_in).tensor("loss"));
    loss_in.add("output_mask", tensor(prefix + "loss_mask"));
    compare(prefix + "loss_without_prompt", children_.at("loss")(loss_in).tensor("loss"));
  }

  // --- decoding ------------------------------------------------------------------------------------------------------

  std::vector<Ids> rows_of(const at::Tensor& ids) const {
    std::vector<Ids> out;
    for (int64_t i = 0; i < ids.size(0); ++i)
      out.emplace_back(ids[i].const_data_ptr<int64_t>(), ids[i].const_data_ptr<int64_t>() + ids.size(1));
    return out;
  }

  void compare_decoding() {
    for (const auto& [name, hypotheses] : body_["decoding"].items()) {
      std::string of = name;
      for (const std::string suffix : {"_single", "_same_prompt"}) {
        if (of.ends_with(suffix)) of.resize(of.size() - suffix.size());
      }
      const bool single = name.ends_with("_single"), same = name.ends_with("_same_prompt");
      Json section = parse_text(json_text(body_["decoding_cases"][of]));
      for (const char* strategy : {"greedy", "beam"}) section[strategy]["padding_counts"] = true;  // recorded that way
      try {
        const asr::AedDecoding decoding(parse_options<asr::AedDecodingConfig>(section, "decoding"), tokenizer_);
        if (!single) {
          compare_hypotheses(name, decoding, "batch.", same ? "batch.same_prompt" : "batch.prompt", hypotheses);
          continue;
        }
        for (size_t i = 0; i < hypotheses.size(); ++i)
          compare_hypotheses(fmt::format("{} {}", name, i), decoding, fmt::format("clip{}.", i),
                             fmt::format("clip{}.prompt", i), json::array({hypotheses[i]}));
      } catch (const Error& error) {
        // Wider beams are another task's: they must say so.
        const bool wide = section["beam"].value("beam_size", 1) > 1;
        if (!wide || error.code() != Code::kUnavailable || error.where() != "beam.beam_size")
          differences_.add(name + ": " + error.what());
      }
    }
  }

  void compare_hypotheses(const std::string& what, const asr::AedDecoding& decoding, const std::string& prefix,
                          const std::string& prompt, const json& expected) {
    const at::Tensor ids = tensor(prompt).dim() == 1 ? tensor(prompt).unsqueeze(0) : tensor(prompt);
    const auto got = decoding.decode(children_.at("transf_decoder"), children_.at("log_softmax"),
                                     {tensor(prefix + "encoder_states"), tensor(prefix + "encoded_len")}, rows_of(ids));
    for (size_t i = 0; i < expected.size(); ++i) {
      const std::string where = fmt::format("{}, item {}", what, i);
      if (got[i].text != expected[i]["text"].get<std::string>())
        differences_.add(fmt::format("{}: expected {}, got '{}'", where, json_text(expected[i]["text"]), got[i].text));
      equal(where, got[i].y_sequence, ids_of(expected[i]["y_sequence"]));
      if (!expected[i].contains("token_confidence")) continue;
      for (const char* key : {"token_confidence", "frame_confidence"}) {
        const auto wanted = expected[i][key].get<std::vector<double>>();
        const auto& own =
            std::string_view(key) == "token_confidence" ? got[i].token_confidence : got[i].frame_confidence;
        // NeMo's go on as long as any item of the batch.
        if (own.size() > wanted.size()) differences_.add(fmt::format("{}: {} {}s", where, own.size(), key));
        for (size_t k = 0; k < std::min(own.size(), wanted.size()); ++k) {
          if (std::abs(own[k] - wanted[k]) <= 1e-3) continue;
          differences_.add(fmt::format("{}: {} {}: expected {}, got {}", where, key, k, wanted[k], own[k]));
          break;
        }
      }
    }
  }

  // --- transcription -------------------------------------------------------------------------------------------------

  std::vector<Json> transcribe(const json& call, const Json& options) {
    const TemporaryFolder folder;
    PredictRequest request;
    request.model = nemo_;
    request.options = options;
    request.batch_size = call.value("batch_size", int64_t{4});
    std::string lines;
    Json paths = Json::array();
    const auto audio = clips();
    for (size_t i = 0; i < audio.size(); ++i) {
      paths.push_back(folder.write(fmt::format("{}.wav", i), wave_file(audio[i], sample_rate())));
      Json line = parse_text(json_text(body_["manifest"][i]));
      line["audio_filepath"] = paths.back();
      lines += json_text(line) + "\n";
    }
    if (call["audio"] == "manifest")
      request.data = {{"manifest_filepath", folder.write("m.json", lines)}};
    else
      request.data = {{"paths", call["audio"] == "one" ? Json::array({paths[0]}) : paths}};
    std::vector<Json> items;
    run_prediction(request, [&](const Json& item) { items.push_back(item); });
    return items;
  }

  // The slots of a call. Of files NeMo takes only some, and drops the others.
  Json options_of(const json& call) const {
    Json given = Json::object();
    json slots = call;
    if (call.contains("slots")) slots = call["slots"];
    if (call.contains("turns")) slots = call["turns"][0]["slots"];
    const bool arrays = call["audio"] == "arrays";
    const std::set<std::string> taken = {"source_lang", "target_lang", "taskname", "pnc", "timestamp"};
    for (const auto& [key, value] : slots.items()) {
      if (key == "timestamps") given[key] = parse_text(json_text(value));
      const auto known = format_.slots();
      if (std::find(known.begin(), known.end(), key) == known.end() && key != "taskname") continue;
      if (arrays || taken.count(key) != 0) given[key] = value.get<std::string>();
    }
    return given;
  }

  void compare_transcriptions() {
    const int64_t pad = tokenizer_->special_ids().pad;
    for (const auto& [name, one] : body_["transcribe"].items()) {
      if (one.contains("error")) continue;  // NeMo's, for reasons of its own
      const auto got = transcribe(one["call"], options_of(one["call"]));
      const json& expected = one["results"];
      if (got.size() != expected.size()) {
        differences_.add(fmt::format("{}: expected {} items, got {}", name, expected.size(), got.size()));
        continue;
      }
      for (size_t i = 0; i < got.size(); ++i) {
        // A prompt that NeMo padded made its text depend on the batch; what it gives alone is recorded too.
        const bool padded = one["prompts"][i].back() == pad;
        const json& want =
            padded && name == "manifest_batch4" ? body_["transcribe"]["manifest_batch1"]["results"][i] : expected[i];
        if (padded && name != "manifest_batch4") continue;
        Json item = got[i];
        // Asked for no timestamps in so many words, NeMo drops the blank in front as well.
        if (name == "timestamps_false" && item["pred_text"].get<std::string>().starts_with(" "))
          item["pred_text"] = item["pred_text"].get<std::string>().substr(1);
        compare_prediction(fmt::format("transcribe {}, item {}", name, i), item, want, differences_);
      }
    }
  }

  const json& body_;
  const std::string nemo_;
  RestoredModel restored_;
  std::map<std::string, ModuleHandle> children_;
  std::map<std::string, at::Tensor> tensors_;
  std::shared_ptr<const text::SubwordTokenizer> tokenizer_;
  asr::PromptFormat format_;
  std::vector<asr::PromptSlots> slots_;  // of each line of the manifest
  Differences differences_;
};

}  // namespace

Outcome run_multitask_model(const Case& c, const std::string& nemo) { return MultitaskCase(c, nemo).run(); }

}  // namespace fathom::conformance
