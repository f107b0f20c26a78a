// The options of TTSDataset. NeMo's names; its keyword arguments stand among them.
#pragma once

#include "plugins/tts/data/length_buckets.h"
#include "plugins/tts/data/speech_features.h"

namespace fathom::tts {

struct TtsOptions : SpeechFeatureOptions {
  Json manifest_filepath, text_tokenizer, text_normalizer, text_normalizer_call_kwargs;
  std::optional<int64_t> text_tokenizer_pad_id;
  std::optional<std::vector<std::string>> sup_data_types;
  std::optional<std::string> sup_data_path;
  std::optional<double> max_duration, min_duration;  // s
  std::optional<std::string> ignore_file;
  bool trim = false;
  std::optional<double> trim_ref, trim_top_db;
  std::optional<int64_t> trim_frame_length, trim_hop_length;
  std::optional<double> segment_max_duration;  // s
  int64_t pad_multiple = 1;
  bool pitch_augment = false, cache_pitch_augment = true;
  std::optional<std::string> log_mel_folder, pitch_folder, energy_folder, voiced_mask_folder, p_voiced_folder;
  std::optional<std::string> durs_file, durs_type;
  bool use_beta_binomial_interpolator = false;
  std::optional<double> pitch_mean, pitch_std;  // Hz
  bool pitch_norm = false;
  std::optional<std::string> pitch_stats_path;
  std::string reference_audio_type = "same-speaker";
  std::optional<LengthBuckets::Options> batch_sampler;
  static void describe(OptionSet<TtsOptions>& o);
};

// What an item may hold besides audio and text, in the order in which NeMo names them.
enum class SupData {
  kLogMel,
  kDurations,
  kAlignPriorMatrix,
  kPitch,
  kEnergy,
  kSpeakerId,
  kVoicedMask,
  kPVoiced,
  kReferenceAudio
};
constexpr int kSupDataCount = 9;
const char* name_of(SupData type);
// Throws Error (kFailed, kUnavailable) for names that are none, those that stand twice, and voiced_mask or p_voiced
// without pitch.
std::vector<SupData> parse_sup_data(const std::vector<std::string>& names, const std::string& where);

}  // namespace fathom::tts
