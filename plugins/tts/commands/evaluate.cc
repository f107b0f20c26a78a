#include "plugins/tts/commands/evaluate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <sstream>

#include "fathom/model_files.h"
#include "fathom/synthesis.h"
#include "plugins/lib/text/edit_distance.h"
#include "plugins/tts/data/audio_clip.h"
#include "plugins/tts/metrics/synthesis_quality.h"

namespace fathom::tts {
namespace {

namespace fs = std::filesystem;

// Lower case, letters, digits and apostrophes: what is heard has no punctuation to be judged by.
std::vector<std::string> words_of(const std::string& text) {
  std::string plain;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    plain += std::isalnum(byte) != 0 || c == '\'' || byte >= 0x80 ? static_cast<char>(std::tolower(byte)) : ' ';
  }
  std::istringstream stream(plain);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// Text to audio files with a model and a vocoder.
class Speaker {
 public:
  Speaker(const std::string& model, const std::string& vocoder) : model_(model), speaker_(model_.model().object()) {
    const Json info = speaker_.info();
    rate_ = info.at("sample_rate");
    if (info.at("output") == "audio") return;
    if (!vocoder.empty()) {
      vocoder_model_.emplace(vocoder);
      vocoder_.emplace(vocoder_model_->model().object());
    } else {
      griffin_lim_.emplace(
          make_module({{"_target_", "tts.GriffinLimModel"}, {"front_end", info.at("front_end")}}, "vocoder"));
      vocoder_.emplace(griffin_lim_->borrowed());
    }
    rate_ = vocoder_->info().at("sample_rate");
  }
  audio::AudioSegment speak(const std::string& text, const Json& options) {
    const Values spoken = speaker_.synthesize(speaker_.parse(text), options);
    const Value* made = spoken.find("audio");
    const at::Tensor samples =
        (made != nullptr ? made->tensor() : vocoder_->vocode({{"spect", spoken["spect"]}}).tensor("audio"))[0]
            .to(at::kFloat)
            .contiguous();
    audio::AudioSegment out;
    out.sample_rate = rate_;
    out.samples.assign(samples.const_data_ptr<float>(), samples.const_data_ptr<float>() + samples.numel());
    return out;
  }

 private:
  LoadedModel model_;
  SpeechSynthesizerHandle speaker_;
  std::optional<LoadedModel> vocoder_model_;
  std::optional<ModuleHandle> griffin_lim_;
  std::optional<VocoderHandle> vocoder_;
  int64_t rate_ = 0;
};

// What a model's inference says of a file at `key`; `option` and `what` name the model in errors.
Value told_of(const ModelHandle& model, const std::string& path, const char* key, const char* option,
              const char* what) {
  const DatasetHandle data = model.make_dataset(Stage::kPredict, {{"paths", {path}}, {"batch_size", 1}}, option);
  if (!data) throw Error(Code::kUnavailable, "the model takes no files").at(option);
  std::vector<DatasetHandle::Sample> samples;
  samples.push_back(data.get(0, 0));
  const auto items = model.predict_step(data.collate(samples), Json::object());
  const Value* told = items.empty() ? nullptr : items[0].find(key);
  if (told == nullptr)
    throw Error(Code::kUnavailable, std::string("the model is no ") + what + ": it gives no " + key).at(option);
  return *told;
}

// The cosine between what a speaker model makes of two files; nothing where one is zero.
std::optional<double> similarity_of(const ModelHandle& model, const std::string& recording,
                                    const std::string& synthesis) {
  const auto embedding = [&](const std::string& path) {
    const Value told = told_of(model, path, "embedding", "--speaker-model", "speaker model");
    if (told.is_tensor()) return told.tensor().to(at::kCPU, at::kDouble).reshape(-1);
    std::vector<double> numbers;
    for (const Value& number : told.list()) numbers.push_back(number.real());
    return at::tensor(numbers, at::kDouble);
  };
  const at::Tensor a = embedding(recording), b = embedding(synthesis);
  const double norms = a.norm().item<double>() * b.norm().item<double>();
  if (a.numel() != b.numel()) {
    throw Error(Code::kBadData, "a speaker model's embeddings are not of one length")
        .at("--speaker-model")
        .seen(std::to_string(a.numel()) + " and " + std::to_string(b.numel()));
  }
  if (!(norms > 0)) return std::nullopt;
  return at::dot(a, b).item<double>() / norms;
}

class Means {
 public:
  void add(const Json& item) {
    for (const auto& [name, value] : item.items()) {
      if (!value.is_number()) continue;
      sums_[name].first += value.get<double>();
      sums_[name].second += 1;
    }
  }
  Json json() const {
    Json out = Json::object();
    for (const auto& [name, sum] : sums_) out[name] = sum.first / sum.second;
    return out;
  }

 private:
  std::map<std::string, std::pair<double, double>> sums_;
};

}  // namespace

void Evaluate::Options::describe(OptionSet<Options>& o) {
  o.required("manifest", &Options::manifest, "JSON lines with audio_filepath, a recording, and text");
  o("synthesis_dir", &Options::synthesis_dir, "folder of what was synthesized: a WAV file with each recording's name");
  o("model", &Options::model, "or a model that speaks the texts now: a .nemo file or name");
  o("vocoder", &Options::vocoder, "its vocoder; without: Griffin-Lim");
  o("synthesis_options", &Options::synthesis_options, "of the model, {speaker: 3, pace: 1.1} or the like");
  o("asr", &Options::asr, "a recogniser that hears the synthesis: a .nemo file or name; without: no error rate");
  o("speaker_model", &Options::speaker_model,
    "a model that gives embeddings of voices: the cosine of recording and synthesis; without: no similarity");
  o("output_dir", &Options::output_dir, "keep what --model speaks here");
  o("limit", &Options::limit, "the first so many lines; 0: all");
}

Evaluate::Evaluate(const Options& options) : options_(options) {
  if (options.synthesis_dir.empty() == options.model.empty())
    throw Error(Code::kUsage, "give --synthesis-dir or --model, one of them").next("fathom tts evaluate --help");
  if (options.limit < 0)
    throw Error(Code::kUsage, "option is out of range").at("--limit").seen(std::to_string(options.limit));
}

void Evaluate::run(const CommandIo& io) {
  at::set_num_threads(io.threads());
  audio::ManifestFilter filter;
  filter.needs_duration = false;
  filter.most = options_.limit;
  const audio::Manifest clips = audio::Manifest::open({options_.manifest}, filter);
  std::optional<Speaker> speaker;
  if (!options_.model.empty()) speaker.emplace(options_.model, options_.vocoder);
  std::optional<LoadedModel> recogniser;
  if (!options_.asr.empty()) recogniser.emplace(options_.asr);
  std::optional<LoadedModel> judge;
  if (!options_.speaker_model.empty()) judge.emplace(options_.speaker_model);
  const fs::path folder = !options_.model.empty() && options_.output_dir.empty()
                              ? fs::temp_directory_path() / ("fathom-evaluate-" + std::to_string(::getpid()))
                              : fs::path(options_.model.empty() ? options_.synthesis_dir : options_.output_dir);
  const bool temporary = !options_.model.empty() && options_.output_dir.empty();
  if (!options_.model.empty()) fs::create_directories(folder);
  struct Remove {
    const fs::path& folder;
    bool wanted;
    ~Remove() {
      std::error_code ignored;  // nothing can be done about it at the end
      if (wanted) fs::remove_all(folder, ignored);
    }
  } const remove{folder, temporary};

  const c10::InferenceMode inference;
  Means means;
  int64_t errors = 0, words = 0;
  for (int64_t i = 0; i < clips.size(); ++i) {
    io.check_stopped();
    io.progress("clips", static_cast<uint64_t>(i), static_cast<uint64_t>(clips.size()));
    const audio::ManifestEntry entry = clips.entry(i);
    const fs::path file = folder / (fs::path(entry.audio_file).stem().string() + ".wav");
    if (speaker) audio::save_audio(file.string(), speaker->speak(entry.text, options_.synthesis_options));
    if (!fs::exists(file)) {
      throw Error(Code::kNoInput, "a clip has no synthesis")
          .at(entry.where())
          .seen("no " + file.string())
          .next("synthesize it, or evaluate fewer lines with --limit");
    }
    audio::ManifestEntry made;
    made.audio_file = file.string();
    const int64_t rate = audio::load_audio(file.string()).sample_rate;
    const audio::AudioLoadOptions load = clip_options(rate, {});
    Json item = compare_speech(load_clip(entry, load), load_clip(made, load), rate).json();
    if (recogniser) {
      const std::string heard = told_of(recogniser->model(), file.string(), "pred_text", "--asr", "recogniser").text();
      const auto reference = words_of(entry.text);
      const int64_t wrong = text::edit_distance(reference, words_of(heard));
      errors += wrong;
      words += static_cast<int64_t>(reference.size());
      item["pred_text"] = heard;
      item["errors"] = wrong;
      item["words"] = reference.size();
    }
    if (judge) {
      const auto similarity = similarity_of(judge->model(), entry.audio_file, file.string());
      item["speaker_similarity"] = similarity ? Json(*similarity) : Json(nullptr);
    }
    Json numbers = item;
    numbers.erase("errors");
    numbers.erase("words");
    means.add(numbers);
    Json line = {{"audio_filepath", entry.named_as}, {"text", entry.text}};
    if (!temporary) line["synthesis"] = file.string();
    line.update(item);
    io.print_line(json_text(line));
  }
  Json summary = means.json();
  summary["items"] = clips.size();
  if (recogniser) {
    summary["wer"] = words > 0 ? Json(static_cast<double>(errors) / static_cast<double>(words)) : Json(nullptr);
    summary["errors"] = errors;
    summary["words"] = words;
  }
  io.print_line(json_text(Json{{"summary", summary}}));
}

}  // namespace fathom::tts
