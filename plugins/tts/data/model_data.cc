#include "plugins/tts/data/model_data.h"

#include "fathom/batch_plan.h"
#include "fathom/log_level.h"
#include "plugins/lib/audio/sound_file.h"
#include "plugins/tts/data/length_buckets.h"
#include "plugins/tts/data/tts_dataset.h"

namespace fathom::tts {
namespace {

// Frames of each clip, of the manifest's durations, else of the files' headers.
std::vector<int64_t> frames_of(const TTSDataset& set, int64_t sample_rate) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < set.size(); ++i) {
    double seconds = set.clips().duration(i);
    if (seconds < 0) {
      const audio::ManifestEntry entry = set.clips().entry(i);
      const SF_INFO format = audio::SoundFile(entry.audio_file, entry.where(), entry.part).format();
      seconds = static_cast<double>(format.frames) / format.samplerate;
    }
    out.push_back(static_cast<int64_t>(seconds * static_cast<double>(sample_rate)) / set.features().hop());
  }
  return out;
}

// Derives from the planner, so that only sections with batch_sampler have one.
class BucketedTtsDataset final : public TTSDataset, public BatchPlanner {
 public:
  BucketedTtsDataset(const TtsOptions& options, const TextSide& text, const LengthBuckets::Options& buckets)
      : TTSDataset(options, text), buckets_(buckets, frames_of(*this, options.sample_rate)) {
    if (buckets_.left_out() > 0) {
      log(LogLevel::kWarning, "tts",
          std::to_string(buckets_.left_out()) + " of " + std::to_string(size()) +
              " clips are never used: their lengths lie outside of batch_sampler.boundaries");
    }
  }
  std::vector<std::vector<int64_t>> plan_batches(const BatchRequest& request) const override {
    return buckets_.plan(request);
  }

 private:
  LengthBuckets buckets_;
};

// Runs `make`; its errors get the place of the section.
template <typename Options, typename Make>
auto located(const std::string& path, Make&& make) {
  try {
    return make();
  } catch (Error& error) {
    error.locate(path);
    if (names_option<Options>(error.where())) error.locate_within(path);
    throw;
  }
}

}  // namespace

MadeDataset make_speech_data(const Json& section, const std::string& path, const TextSide& text) {
  if (!section.contains("dataset") || !section["dataset"].is_object()) return nullptr;
  const Json& dataset = section["dataset"];
  const std::string where = path + ".dataset";
  const Json sampler = section.value("batch_sampler", Json(nullptr));
  if (sampler.is_null()) return make_tts_dataset(dataset, where, text);
  const std::string sampler_path = path + ".batch_sampler";
  if (!sampler.is_object()) throw Error(Code::kFailed, "is no section").at(sampler_path).seen(json_text(sampler));
  const auto buckets = parse_options<LengthBuckets::Options>(sampler, sampler_path);
  const auto options = read_tts_options(dataset, where);
  return located<LengthBuckets::Options>(sampler_path, [&] {
    return located<TtsOptions>(where, [&] { return std::make_shared<BucketedTtsDataset>(options, text, buckets); });
  });
}

}  // namespace fathom::tts
