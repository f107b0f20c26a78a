#include "plugins/tts/data/tts_dataset.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>

#include "fathom/log_level.h"
#include "fathom/model_files.h"
#include "fathom/nearest_names.h"
#include "plugins/lib/audio/sound_file.h"
#include "plugins/lib/option_range.h"
#include "plugins/tts/data/vocoder_dataset.h"

namespace fathom::tts {
namespace {

// Apart from the other draws of an item.
constexpr uint64_t kReferenceSeed = 0x7265666572656e63, kSegmentSeed = 0x7365676d656e7473;

// A front-end may give a frame more or less than the hop says.
void check_fit(const at::Tensor& x, int64_t frames, const char* what, const std::string& file,
               const audio::ManifestEntry& entry) {
  if (std::abs(x.size(-1) - frames) <= 1) return;
  throw Error(Code::kBadData, std::string("the ") + what + " is not of this clip")
      .at(entry.where())
      .seen(std::to_string(x.size(-1)) + " frames in " + file)
      .expected("about " + std::to_string(frames) + " frames")
      .next(
          "was it computed of other audio, or with another sample rate, hop length or trim? Delete the file to have it "
          "computed anew");
}

at::Tensor as_row(const at::Tensor& stored, const char* what, const std::string& file) {
  const at::Tensor row = stored.squeeze();
  if (row.dim() <= 1) return row.reshape({-1});
  throw Error(Code::kBadData, std::string("the ") + what + " should be one number a frame")
      .at(file)
      .seen(std::to_string(stored.dim()) + " dimensions");
}

}  // namespace

TTSDataset::TTSDataset(const Options& options, const Json& context)
    : TTSDataset(options,
                 text_side_of({options.text_tokenizer, options.text_normalizer, options.text_normalizer_call_kwargs},
                              context)) {}

TTSDataset::TTSDataset(const Options& options, TextSide text)
    : options_(options),
      text_(std::move(text)),
      features_(options),
      load_(clip_options(options.sample_rate, {.trim = options.trim && !options.trim_ref,
                                               .top_db = options.trim_top_db,
                                               .frame_length = options.trim_frame_length,
                                               .hop_length = options.trim_hop_length})),
      types_(parse_sup_data(options.sup_data_types.value_or(std::vector<std::string>{}), "sup_data_types")) {
  check_range("pad_multiple", options_.pad_multiple, 1, 1 << 20);
  if (options_.trim_ref && !(*options_.trim_ref > 0))
    throw Error(Code::kFailed, "an amplitude must be positive").at("trim_ref").seen(std::to_string(*options_.trim_ref));
  if (options_.pitch_augment) {
    throw Error(Code::kUnavailable, "audio is not shifted in pitch here")
        .at("pitch_augment")
        .seen("true")
        .next("only self-supervised voice conversion reads it; set it to false");
  }
  const std::optional<int64_t> pad = text_.pad ? text_.pad : options_.text_tokenizer_pad_id;
  if (!pad) {
    throw Error(Code::kFailed, "the tokenizer does not say which token stands behind shorter texts")
        .at("text_tokenizer_pad_id")
        .seen("null")
        .expected("a token's number");
  }
  pad_ = *pad;
  const bool of_frames = std::any_of(types_.begin(), types_.end(), [](SupData type) {
    return type != SupData::kSpeakerId && type != SupData::kReferenceAudio;
  });
  if (options_.segment_max_duration) {
    if (!(*options_.segment_max_duration > 0) || of_frames) {
      throw Error(Code::kFailed, "pieces of clips go with speaker_id and reference_audio alone")
          .at("segment_max_duration")
          .seen(std::to_string(*options_.segment_max_duration) + " s" + (of_frames ? ", and data of frames" : ""))
          .next("leave it out, or leave the data of frames out of sup_data_types");
    }
  }
  if (has(SupData::kPitch) && options_.pitch_norm)
    scale_ = PitchScale(options_.pitch_mean, options_.pitch_std, options_.pitch_stats_path);
  if (options_.reference_audio_type != "same-speaker" && options_.reference_audio_type != "ground-truth") {
    throw Error(Code::kFailed, "there is no such reference audio")
        .at("reference_audio_type")
        .seen(options_.reference_audio_type)
        .expected("same-speaker or ground-truth");
  }
  if (has(SupData::kReferenceAudio) && options_.reference_audio_type == "same-speaker" && !has(SupData::kSpeakerId)) {
    throw Error(Code::kFailed, "reference audio of the same speaker needs the speakers")
        .at("sup_data_types")
        .seen("no speaker_id")
        .next("add it, or set reference_audio_type: ground-truth");
  }
  stretches_priors_ = options_.use_beta_binomial_interpolator;
  if (text_.is_random && has(SupData::kAlignPriorMatrix) && !stretches_priors_) {
    stretches_priors_ = true;
    log(LogLevel::kInfo, "tts", "use_beta_binomial_interpolator is on, as texts become tokens at random");
  }
  clips_ = open_clips(options_.manifest_filepath, options_.min_duration, options_.max_duration, options_.ignore_file);
  if (options_.batch_sampler) read_batch_sampler();
  read_texts();
  open_folders();
  read_durations();
}

// Frames of each clip, of the manifest's durations, else of the files' headers.
void TTSDataset::read_batch_sampler() {
  std::vector<int64_t> frames;
  for (int64_t i = 0; i < clips_.size(); ++i) {
    double seconds = clips_.duration(i);
    if (seconds < 0) {
      const audio::ManifestEntry entry = clips_.entry(i);
      const SF_INFO format = audio::SoundFile(entry.audio_file, entry.where(), entry.part).format();
      seconds = static_cast<double>(format.frames) / format.samplerate;
    }
    frames.push_back(static_cast<int64_t>(seconds * static_cast<double>(options_.sample_rate)) / features_.hop());
  }
  try {
    buckets_.emplace(*options_.batch_sampler, frames);
  } catch (Error& error) {
    error.locate_within("batch_sampler");
    throw;
  }
  if (buckets_->left_out() == 0) return;
  log(LogLevel::kWarning, "tts",
      std::to_string(buckets_->left_out()) + " of " + std::to_string(size()) +
          " clips are never used: their lengths lie outside of batch_sampler.boundaries");
}

const void* TTSDataset::query(std::string_view id) const {
  struct Get {
    static const LengthBuckets& get(void* self) {
      return *static_cast<const TTSDataset&>(Dataset::Storage::get(self)).buckets_;
    }
  };
  return buckets_ && id == Capability<BatchPlanner>::id ? Capability<BatchPlanner>::table<Get>() : nullptr;
}

bool TTSDataset::has(SupData type) const { return std::find(types_.begin(), types_.end(), type) != types_.end(); }

std::string TTSDataset::text_of(const audio::ManifestEntry& entry) const {
  if (entry.normalized_text) return *entry.normalized_text;
  if (!entry.has_text) {
    throw Error(Code::kBadData, "manifest line has no text")
        .at(entry.where())
        .expected("the key text, or normalized_text");
  }
  return text_.normalize ? text_.normalize(entry.text) : entry.text;
}

void TTSDataset::read_texts() {
  std::vector<std::string> paths;
  int64_t empty = 0;
  std::string first;
  for (int64_t i = 0; i < clips_.size(); ++i) {
    const audio::ManifestEntry entry = clips_.entry(i);
    paths.push_back(entry.named_as);
    by_speaker_[entry.speaker].push_back(i);
    if (text_.is_random) continue;
    const auto ids = text_.encode(text_of(entry), 0);
    tokens_.emplace_back(ids.begin(), ids.end());
    if (ids.empty() && ++empty == 1) first = entry.where();
  }
  if (empty > 0) {
    log(LogLevel::kWarning, "tts",
        std::to_string(empty) + " of " + std::to_string(clips_.size()) +
            " texts have no tokens, and their clips cannot "
            "be used (first: " +
            first + ")");
  }
  const std::string base = common_folder(paths);
  for (const std::string& path : paths) names_.push_back(tts::clip_name(path, base));
}

SupFolder TTSDataset::folder_of(SupData type, const std::optional<std::string>& own) const {
  if (!has(type) || (!own && !options_.sup_data_path)) return {};
  Json settings = {{"sample_rate", options_.sample_rate}, {"trim", options_.trim}};
  if (options_.trim) {
    settings["trim_ref"] = options_.trim_ref ? Json(*options_.trim_ref) : Json(nullptr);
    settings["trim_top_db"] = load_.trim_top_db;
    settings["trim_frame_length"] = load_.trim_frame_length;
    settings["trim_hop_length"] = load_.trim_hop_length;
  }
  settings["win_length"] = options_.win_length.value_or(options_.n_fft);
  if (type == SupData::kLogMel || type == SupData::kEnergy) {
    settings["n_fft"] = options_.n_fft;
    settings["hop_length"] = features_.hop();
    settings["window"] = options_.window;
  } else {
    settings["pitch_fmin"] = options_.pitch_fmin;
    settings["pitch_fmax"] = options_.pitch_fmax;
    settings["pitch_method"] = options_.pitch_method;
  }
  if (type == SupData::kLogMel) {
    settings["n_mels"] = options_.n_mels;
    settings["lowfreq"] = options_.lowfreq;
    settings["highfreq"] = options_.highfreq ? Json(*options_.highfreq) : Json(nullptr);
  }
  return SupFolder(own ? *own : *options_.sup_data_path + "/" + name_of(type), settings);
}

void TTSDataset::open_folders() {
  log_mels_ = folder_of(SupData::kLogMel, options_.log_mel_folder);
  pitches_ = folder_of(SupData::kPitch, options_.pitch_folder);
  energies_ = folder_of(SupData::kEnergy, options_.energy_folder);
  voiced_masks_ = folder_of(SupData::kVoicedMask, options_.voiced_mask_folder);
  p_voiced_ = folder_of(SupData::kPVoiced, options_.p_voiced_folder);
  if (has(SupData::kPitch) && !pitches_.keeps())
    log(LogLevel::kWarning, "tts", "the pitch is computed anew for every item: set sup_data_path to keep it");
}

void TTSDataset::read_durations() {
  if (!has(SupData::kDurations)) return;
  if (!options_.durs_file || !options_.durs_type) {
    throw Error(Code::kFailed, "durations come from a file")
        .at(options_.durs_file ? "durs_type" : "durs_file")
        .seen("null")
        .expected(options_.durs_file ? "aligner-based" : "the file's path");
  }
  if (*options_.durs_type != "aligner-based")
    throw Error(Code::kUnavailable, "durations of that type are not known")
        .at("durs_type")
        .seen(*options_.durs_type)
        .expected("aligner-based");
  for (const auto& [name, value] : load_tensors(*options_.durs_file)) {
    const at::Tensor durations = value.tensor().to(at::kLong).reshape({-1});
    durations_[name] = durations;
  }
}

std::vector<std::string> TTSDataset::length_units() const {
  return text_.is_random ? std::vector<std::string>{"seconds"} : std::vector<std::string>{"seconds", "tokens"};
}

double TTSDataset::length(int64_t index, std::string_view unit) const {
  if (unit == "tokens") return static_cast<double>(tokens_.at(static_cast<size_t>(index)).size());
  return clips_.duration(index);
}

// --- items -----------------------------------------------------------------------------------------------------------

at::Tensor TTSDataset::whole_audio(const audio::ManifestEntry& entry) const {
  const at::Tensor audio = load_clip(entry, load_);
  return options_.trim && options_.trim_ref ? trimmed_to(audio, *options_.trim_ref, load_, entry) : audio;
}

at::Tensor TTSDataset::load_audio(const audio::ManifestEntry& entry, uint64_t seed) const {
  at::Tensor audio;
  if (options_.segment_max_duration && entry.duration > *options_.segment_max_duration) {
    const auto samples =
        static_cast<int64_t>(*options_.segment_max_duration * static_cast<double>(options_.sample_rate));
    audio = load_window(entry, load_, std::max<int64_t>(samples, 1), seed ^ kSegmentSeed);
  } else {
    audio = whole_audio(entry);
  }
  const int64_t rest = audio.size(0) % options_.pad_multiple;
  return rest == 0 ? audio : at::constant_pad_nd(audio, {0, options_.pad_multiple - rest});
}

at::Tensor TTSDataset::tokens_of(int64_t index, const audio::ManifestEntry& entry, uint64_t seed) const {
  std::vector<int64_t> ids;
  if (text_.is_random) {
    ids = text_.encode(text_of(entry), seed);
  } else {
    const auto& kept = tokens_.at(static_cast<size_t>(index));
    ids.assign(kept.begin(), kept.end());
  }
  if (ids.empty()) {
    throw Error(Code::kBadData, "the text has no tokens: nothing of it is in the tokenizer's vocabulary")
        .at(entry.where())
        .seen(text_of(entry).empty() ? "an empty text" : "'" + text_of(entry).substr(0, 80) + "'");
  }
  return at::tensor(ids, at::kLong);
}

TtsItem TTSDataset::get(int64_t index, uint64_t seed) const {
  const audio::ManifestEntry entry = clips_.entry(index);
  const std::string& name = clip_name(index);
  TtsItem item;
  item.audio = load_audio(entry, seed);
  item.text = tokens_of(index, entry, seed);
  const int64_t frames = features_.frames(item.audio.size(0)), tokens = item.text.size(0);
  if (frames < tokens) {
    throw Error(Code::kBadData, "the audio has fewer frames than the text has tokens")
        .at(entry.where())
        .seen(std::to_string(frames) + " frames of " + std::to_string(features_.hop()) + " samples, " +
              std::to_string(tokens) + " tokens: '" + text_of(entry).substr(0, 60) + "'")
        .expected("at least one frame a token")
        .next("is it the text of this clip? Leave the line out, or set a smaller hop_length");
  }
  if (has(SupData::kSpeakerId)) item.speaker_id = speaker_of(entry);
  if (has(SupData::kLogMel)) add_log_mel(item, entry, name);
  if (has(SupData::kDurations)) add_durations(item, entry);
  if (has(SupData::kAlignPriorMatrix))
    item.align_prior_matrix = stretches_priors_ ? priors_(tokens, frames) : beta_binomial_prior(tokens, frames);
  if (has(SupData::kPitch)) add_pitch(item, entry, name);
  if (has(SupData::kEnergy)) add_energy(item, entry, name);
  if (has(SupData::kReferenceAudio)) add_reference(item, entry, seed);
  return item;
}

int64_t TTSDataset::speaker_of(const audio::ManifestEntry& entry) const {
  int64_t id = -1;
  const char* const end = entry.speaker.data() + entry.speaker.size();
  const auto [last, failed] = std::from_chars(entry.speaker.data(), end, id);
  if (failed == std::errc() && last == end && id >= 0) return id;
  throw Error(Code::kBadData, "the line's speaker is no number")
      .at(entry.where())
      .seen(entry.speaker.empty() ? "nothing" : entry.speaker)
      .expected("the key speaker, a whole number from 0")
      .next("`fathom tts prepare` numbers the speakers of a manifest");
}

void TTSDataset::add_log_mel(TtsItem& item, const audio::ManifestEntry& entry, const std::string& name) const {
  std::string file = log_mels_.file(name);
  std::optional<at::Tensor> mel;
  if (const auto named = entry.extras.find("mel_filepath"); named != entry.extras.end()) {
    const std::string path = audio::resolve_manifest_path(named->second, entry.manifest);
    if (::access(path.c_str(), F_OK) == 0) {
      mel = load_one_tensor(path);
      file = path;
    }
  }
  if (!mel) mel = log_mels_.load(name);
  if (!mel) {
    mel = features_.log_mel(item.audio, entry.where());
    log_mels_.save(name, *mel);
  }
  if (mel->dim() == 3 && mel->size(0) == 1) mel = mel->squeeze(0);
  if (mel->dim() != 2) {
    throw Error(Code::kBadData, "the file holds no spectrogram")
        .at(file)
        .seen(std::to_string(mel->dim()) + " dimensions");
  }
  check_fit(*mel, features_.frames(item.audio.size(0)), "spectrogram", file, entry);
  item.log_mel = *mel;
}

void TTSDataset::add_durations(TtsItem& item, const audio::ManifestEntry& entry) const {
  const std::string stem = tts::clip_name(entry.named_as.substr(entry.named_as.rfind('/') + 1), "");
  const auto found = durations_.find(stem);
  if (found == durations_.end()) {
    std::vector<std::string> known;
    for (const auto& [name, one] : durations_) known.push_back(name);
    throw Error(Code::kBadData, "the file of durations knows no such clip")
        .at(entry.where())
        .seen(stem)
        .candidates(nearest_names(stem, known))
        .next("is it the file of this set? " + *options_.durs_file);
  }
  if (found->second.size(0) != item.text.size(0)) {
    throw Error(Code::kBadData, "the durations are those of another text")
        .at(entry.where())
        .seen(std::to_string(found->second.size(0)) + " durations in " + *options_.durs_file)
        .expected("one a token, " + std::to_string(item.text.size(0)));
  }
  item.durations = found->second;
}

void TTSDataset::add_pitch(TtsItem& item, const audio::ManifestEntry& entry, const std::string& name) const {
  struct Part {
    SupData type;
    const SupFolder& folder;
    at::Tensor& out;
    at::Tensor ClipPitch::*from;
  };
  const Part parts[] = {{SupData::kPitch, pitches_, item.pitch, &ClipPitch::pitch},
                        {SupData::kVoicedMask, voiced_masks_, item.voiced_mask, &ClipPitch::voiced_mask},
                        {SupData::kPVoiced, p_voiced_, item.p_voiced, &ClipPitch::p_voiced}};
  std::optional<ClipPitch> computed;
  for (const Part& part : parts) {
    if (!has(part.type)) continue;
    if (const auto kept = part.folder.load(name)) {
      part.out = as_row(*kept, name_of(part.type), part.folder.file(name));
      check_fit(part.out, features_.pitch_frames(item.audio.size(0)), name_of(part.type), part.folder.file(name),
                entry);
      if (part.out.size(0) != item.pitch.size(0))
        check_fit(part.out, item.pitch.size(0) + 2, name_of(part.type), part.folder.file(name), entry);
      continue;
    }
    if (!computed) computed = features_.pitch(item.audio);
    part.out = (*computed).*part.from;
    part.folder.save(name, part.out);
  }
  const at::Tensor scaled = scale_(item.pitch, entry.speaker, entry.where());
  warn_of_pitch(item.pitch, scaled, entry.where());
  item.pitch = scaled;
}

// Once each: a set has many such clips or none.
void TTSDataset::warn_of_pitch(const at::Tensor& pitch, const at::Tensor& scaled, const std::string& where) const {
  const at::Tensor voiced = scaled.masked_select(pitch.ne(0));
  if (voiced.numel() == 0) {
    if (!said_unvoiced_.exchange(true))
      log(LogLevel::kWarning, "tts", "a clip has no voiced frame: is it silence? " + where);
    return;
  }
  constexpr double kFarOff = 5;  // deviations; voices of one set differ by less
  const double mean = voiced.mean().item<double>();
  if (options_.pitch_norm && std::abs(mean) > kFarOff && !said_foreign_.exchange(true)) {
    log(LogLevel::kWarning, "tts",
        "the pitch of a clip lies " + std::to_string(std::abs(mean)).substr(0, 4) +
            " deviations off the mean: are the pitch statistics those of another set? " + where);
  }
}

void TTSDataset::add_energy(TtsItem& item, const audio::ManifestEntry& entry, const std::string& name) const {
  if (const auto kept = energies_.load(name)) {
    item.energy = as_row(*kept, "energy", energies_.file(name));
    check_fit(item.energy, features_.frames(item.audio.size(0)), "energy", energies_.file(name), entry);
    return;
  }
  item.energy = features_.energy(item.audio, entry.where());
  energies_.save(name, item.energy);
}

void TTSDataset::add_reference(TtsItem& item, const audio::ManifestEntry& entry, uint64_t seed) const {
  if (options_.reference_audio_type == "ground-truth") {
    item.reference_audio = whole_audio(entry);
    return;
  }
  const auto& clips = by_speaker_.at(entry.speaker);
  const int64_t chosen = clips[static_cast<size_t>(draw(seed ^ kReferenceSeed, static_cast<int64_t>(clips.size())))];
  item.reference_audio = whole_audio(clips_.entry(chosen));
}

}  // namespace fathom::tts
