#include "core/inference/synthesizer.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <set>

#include "core/base/interrupt.h"
#include "core/inference/sentences.h"
#include "core/model_files/pretrained.h"
#include "core/models/nemo_file.h"
#include "core/plugins/host_table.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "fathom/synthesis.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One key of two front-ends. What one of them does not say is no difference; nor is how the logarithm is kept from
// zero, as long as that is far below any sound (NeMo's own FastPitch adds 1e-5 where its HiFi-GAN clamps to it).
bool same_value(const Json& model, const Json& vocoder, const std::string& key) {
  Json a = model.value(key, Json(nullptr)), b = vocoder.value(key, Json(nullptr));
  if (key == "highfreq") {
    const auto full = [](const Json& front_end, Json& value) {
      if (value.is_null() && front_end.contains("sample_rate")) value = front_end["sample_rate"].get<double>() / 2;
    };
    full(model, a);
    full(vocoder, b);
  }
  if (key == "log_zero_guard_type") return true;
  if (a.is_null() || b.is_null()) return key != "mel_norm" || !model.contains(key) || !vocoder.contains(key) || a == b;
  if (!a.is_number() || !b.is_number()) return a == b;
  const double x = a.get<double>(), y = b.get<double>();
  if (key == "log_zero_guard_value" && x <= 1e-4 && y <= 1e-4) return true;
  return std::abs(x - y) <= 1e-9 * std::max(std::abs(x), std::abs(y));
}

// "sample_rate 22050 | 16000" of every key on which the two do not agree.
void check_front_ends(const Json& model, const Json& vocoder, const SynthesisRequest& request) {
  std::set<std::string> keys;
  for (const Json* side : {&model, &vocoder}) {
    for (const auto& [key, value] : side->items()) keys.insert(key);
  }
  std::string differences, table;
  for (const auto& key : keys) {
    const auto text = [&](const Json& side) { return side.contains(key) ? json_text(side[key]) : "not said"; };
    table += "\n  " + key + ": " + text(model) + " | " + text(vocoder);
    if (same_value(model, vocoder, key)) continue;
    table += "   <- differs";
    differences += (differences.empty() ? "" : ", ") + key;
  }
  if (differences.empty()) return;
  throw Error(Code::kBadData, "the vocoder's spectrogram is not the model's: they differ in " + differences)
      .at(request.vocoder)
      .seen("model | vocoder" + table)
      .expected("a vocoder that was trained with the spectrograms of " + request.model)
      .next("leave --vocoder out to hear the model with Griffin-Lim");
}

}  // namespace

struct Synthesizer::Impl {
  explicit Impl(const SynthesisRequest& given) : request(given) {
    if (request.threads > 0) plugins::set_thread_budget(request.threads);
    at::set_num_threads(plugins::thread_budget());
    model = restore_nemo(model_files::model_file(request.model));
    speaker.emplace(model.model.object());
    info = speaker->info();
    sample_rate = info.at("sample_rate").get<int64_t>();
    const bool speaks_audio = info.at("output") == "audio";
    if (speaks_audio) {
      if (!request.vocoder.empty()) {
        throw Error(Code::kUsage, "the model makes audio itself and takes no vocoder")
            .at("--vocoder")
            .seen(request.vocoder);
      }
      return;
    }
    if (!request.vocoder.empty()) {
      vocoder_model = restore_nemo(model_files::model_file(request.vocoder));
      vocoder.emplace(vocoder_model.model.object());
    } else if (!request.vocoder_section.is_null()) {
      Json section = request.vocoder_section;
      section["front_end"] = info.at("front_end");
      vocoder_module.emplace(plugins::registry().create(
          plugins::kind_bit(FATHOM_KIND_MODULE) | plugins::kind_bit(FATHOM_KIND_MODEL), section, "vocoder"));
      vocoder.emplace(vocoder_module->object());
    } else {
      throw Error(Code::kUnavailable, "the model makes spectrograms: a vocoder is needed")
          .at(request.model)
          .next("--vocoder V.nemo");
    }
    const Json vocoder_info = vocoder->info();
    check_front_ends(info.at("front_end"), vocoder_info.value("front_end", Json::object()), request);
    sample_rate = vocoder_info.at("sample_rate").get<int64_t>();
    hop = vocoder_info.at("hop_length").get<int64_t>();
    if (vocoder_info.contains("context") && !vocoder_info["context"].is_null())
      context = vocoder_info["context"].get<int64_t>();
    alignment = std::max<int64_t>(1, vocoder_info.value("alignment", int64_t{1}));
  }

  void give(const at::Tensor& audio, const SynthesisSink& sink) {
    const at::Tensor samples = audio.to(at::kFloat).contiguous();
    if (!first_audio) first_audio = seconds_since(started);
    audio_samples += samples.numel();
    sink.samples(samples.const_data_ptr<float>(), static_cast<size_t>(samples.numel()));
  }

  // `spect` (1 D T), in chunks of frames with context on both sides.
  void vocode(const at::Tensor& spect, const SynthesisSink& sink) {
    const int64_t frames = spect.size(2);
    const int64_t chunk = context && request.chunk_frames > 0 ? request.chunk_frames : frames;
    for (int64_t from = 0; from < frames; from += chunk) {
      if (interrupt_requested() != 0) throw Error(Code::kInterrupted, "interrupted");
      const int64_t to = std::min(frames, from + chunk);
      const int64_t begin = std::max<int64_t>(0, from - context.value_or(0)) / alignment * alignment;
      const int64_t end = std::min(frames, to + context.value_or(0));
      const Values out = vocoder->vocode({{"spect", spect.slice(2, begin, end)}}, request.vocoder_options);
      const at::Tensor& audio = out.tensor("audio");
      if (chunk == frames) {
        give(audio[0], sink);
      } else {
        give(audio[0].slice(0, (from - begin) * hop, (to - begin) * hop), sink);
      }
    }
  }

  const SynthesisRequest request;
  RestoredModel model, vocoder_model;
  std::optional<Handle<fathom_module_v1>> vocoder_module;
  std::optional<SpeechSynthesizerHandle> speaker;
  std::optional<VocoderHandle> vocoder;
  Json info;
  int64_t sample_rate = 0, hop = 0;
  std::optional<int64_t> context;
  int64_t alignment = 1;
  bool begun = false;
  // Of the utterance being spoken.
  Clock::time_point started;
  std::optional<double> first_audio;
  int64_t audio_samples = 0;
};

Synthesizer::Synthesizer(const SynthesisRequest& request) : impl_(std::make_unique<Impl>(request)) {}
Synthesizer::~Synthesizer() = default;

void Synthesizer::speak(const Utterance& utterance, const SynthesisSink& sink) {
  Impl& me = *impl_;
  const c10::InferenceMode inference;
  me.started = Clock::now();
  me.first_audio.reset();
  me.audio_samples = 0;
  Json options = me.request.options;
  for (const auto& [key, value] : utterance.options.items()) options[key] = value;
  const std::vector<std::string> sentences = split_sentences(utterance.text);
  if (sentences.empty()) {
    throw Error(Code::kBadData, "the text has nothing to speak")
        .seen(utterance.text.empty() ? "an empty text" : "white space");
  }
  std::string normalized;
  std::map<std::string, int64_t> skipped;
  int64_t tokens = 0, frames = 0;
  for (const auto& sentence : sentences) {
    if (interrupt_requested() != 0) throw Error(Code::kInterrupted, "interrupted");
    Values parsed;
    try {
      parsed = me.speaker->parse(sentence, {{"normalize", me.request.normalize}});
    } catch (const Error& error) {
      // A line of dashes between two sentences is no reason to say nothing.
      if (error.code() != Code::kBadData || sentences.size() == 1) throw;
      ++skipped[sentence];
      continue;
    }
    tokens += parsed.tensor("tokens").numel();
    if (const Value* text = parsed.find("text")) normalized += (normalized.empty() ? "" : " ") + text->text();
    if (const Value* symbols = parsed.find("skipped")) {
      const Json counts = Json::parse(symbols->text());
      for (const auto& [symbol, count] : counts.items()) skipped[symbol] += count.get<int64_t>();
    }
    const Values spoken = me.speaker->synthesize(parsed, options);
    if (!me.begun) sink.begin(me.sample_rate);
    me.begun = true;
    if (const Value* audio = spoken.find("audio")) {
      me.give(audio->tensor()[0], sink);
    } else {
      const at::Tensor& spect = spoken.tensor("spect");
      frames += spect.size(2);
      me.vocode(spect, sink);
    }
  }
  if (tokens == 0) throw Error(Code::kBadData, "the text has nothing to speak").seen(utterance.text.substr(0, 80));
  Json report = {{"text", utterance.text},
                 {"tokens", tokens},
                 {"sentences", sentences.size()},
                 {"duration", static_cast<double>(me.audio_samples) / static_cast<double>(me.sample_rate)},
                 {"first_audio_seconds", me.first_audio.value_or(0.0)},
                 {"seconds", seconds_since(me.started)}};
  if (!normalized.empty()) report["normalized_text"] = normalized;
  if (frames > 0) report["frames"] = frames;
  if (!skipped.empty()) report["skipped"] = skipped;
  sink.end(report);
}

}  // namespace fathom
