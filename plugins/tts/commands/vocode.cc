#include "plugins/tts/commands/vocode.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <filesystem>
#include <set>

#include "fathom/model_files.h"
#include "fathom/synthesis.h"
#include "plugins/tts/data/audio_clip.h"

namespace fathom::tts {
namespace {

// A front_end's section for FilterbankFeatures, whose frames are as many as a vocoder's: samples / hop.
Json features_section(const Json& front_end) {
  Json section = {{"_target_", "nemo.collections.asr.parts.preprocessing.features.FilterbankFeatures"},
                  {"normalize", nullptr},
                  {"preemph", nullptr},
                  {"dither", 0.0},
                  {"pad_to", 0},
                  {"exact_pad", true}};
  for (const auto& [key, value] : front_end.items()) {
    if (key == "sample_rate")
      section[key] = static_cast<int64_t>(value.get<double>());
    else
      section[key == "features" ? "nfilt" : key] = value;
  }
  return section;
}

}  // namespace

void Vocode::Options::describe(OptionSet<Options>& o) {
  o.required("files", &Options::files, "recordings");
  o.required("output_dir", &Options::output_dir, "folder of the WAV files, each with its recording's name");
  o("vocoder", &Options::vocoder, "a vocoder's .nemo file or name; without: Griffin-Lim");
  o("front_end", &Options::front_end, "the spectrograms of Griffin-Lim, {sample_rate, n_fft, features, …}");
  o("vocoder_options", &Options::vocoder_options, "of the vocoder, {denoise: 0.0025} or the like");
}

void Vocode::run(const CommandIo& io) {
  at::set_num_threads(io.threads());
  std::optional<LoadedModel> model;
  std::optional<ModuleHandle> griffin_lim;
  std::optional<VocoderHandle> vocoder;
  if (!options_.vocoder.empty()) {
    if (!options_.front_end.is_null())
      throw Error(Code::kUsage, "a vocoder says itself what its spectrograms are").at("--front-end");
    model.emplace(options_.vocoder);
    vocoder.emplace(model->model().object());
  } else {
    const Json front_end = options_.front_end.is_null() ? Json::object() : options_.front_end;
    griffin_lim.emplace(make_module({{"_target_", "tts.GriffinLimModel"}, {"front_end", front_end}}, "vocoder"));
    vocoder.emplace(griffin_lim->borrowed());
  }
  const Json info = vocoder->info();
  const ModuleHandle features = make_module(features_section(info.at("front_end")), "front_end");
  const audio::AudioLoadOptions load = clip_options(info.at("sample_rate"), {});
  std::filesystem::create_directories(options_.output_dir);
  std::set<std::string> names;
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < options_.files.size(); ++i) {
    io.check_stopped();
    const std::string& file = options_.files[i];
    io.progress("recordings", i, options_.files.size());
    const std::string name = std::filesystem::path(file).stem().string() + ".wav";
    if (!names.insert(name).second) {
      throw Error(Code::kUsage, "two recordings would have the same name in the folder")
          .seen(file)
          .next("give them to the program one by one");
    }
    audio::ManifestEntry entry;
    entry.audio_file = file;
    const at::Tensor samples = load_clip(entry, load).unsqueeze(0);
    const Values mel = features({{"input_signal", samples}, {"length", at::full({1}, samples.size(1), at::kLong)}});
    // Without the padding behind the last whole frame.
    const at::Tensor spect = mel.tensor("processed_signal").slice(2, 0, mel.tensor("processed_length").item<int64_t>());
    const at::Tensor made =
        vocoder->vocode({{"spect", spect}}, options_.vocoder_options).tensor("audio")[0].contiguous();
    audio::AudioSegment out;
    out.sample_rate = info.at("sample_rate");
    out.samples.assign(made.const_data_ptr<float>(), made.const_data_ptr<float>() + made.numel());
    const std::string path = options_.output_dir + "/" + name;
    audio::save_audio(path, out);
    io.print_line(path);
  }
}

}  // namespace fathom::tts
