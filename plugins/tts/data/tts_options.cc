#include "plugins/tts/data/tts_options.h"

#include <algorithm>

#include "fathom/nearest_names.h"

namespace fathom::tts {
namespace {

constexpr const char* kNames[kSupDataCount] = {"log_mel",     "durations", "align_prior_matrix",
                                               "pitch",       "energy",    "speaker_id",
                                               "voiced_mask", "p_voiced",  "reference_audio"};

}  // namespace

const char* name_of(SupData type) { return kNames[static_cast<int>(type)]; }

std::vector<SupData> parse_sup_data(const std::vector<std::string>& names, const std::string& where) {
  std::vector<SupData> out;
  for (const std::string& name : names) {
    if (name == "lm_tokens") {
      throw Error(Code::kUnavailable, "tokens for a language model are not made here")
          .at(where)
          .seen(name)
          .next("only MixerTTS-X reads them; leave them out");
    }
    const auto* const found = std::find(std::begin(kNames), std::end(kNames), name);
    if (found == std::end(kNames)) {
      throw Error(Code::kFailed, "there is no supplementary data of that name")
          .at(where)
          .seen(name)
          .expected(
              "log_mel, durations, align_prior_matrix, pitch, energy, speaker_id, voiced_mask, p_voiced or "
              "reference_audio")
          .candidates(nearest_names(name, {std::begin(kNames), std::end(kNames)}));
    }
    const auto type = static_cast<SupData>(found - std::begin(kNames));
    if (std::find(out.begin(), out.end(), type) != out.end())
      throw Error(Code::kFailed, "supplementary data is asked for twice").at(where).seen(name);
    out.push_back(type);
  }
  const auto has = [&](SupData type) { return std::find(out.begin(), out.end(), type) != out.end(); };
  if ((has(SupData::kVoicedMask) || has(SupData::kPVoiced)) && !has(SupData::kPitch)) {
    throw Error(Code::kFailed, "voiced_mask and p_voiced come with the pitch")
        .at(where)
        .seen(has(SupData::kVoicedMask) ? "voiced_mask without pitch" : "p_voiced without pitch")
        .next("add pitch to sup_data_types");
  }
  return out;
}

void TtsOptions::describe(OptionSet<TtsOptions>& o) {
  using Options = TtsOptions;
  o.required("manifest_filepath", &Options::manifest_filepath,
             "JSON lines with audio_filepath and text or normalized_text: a path, or a list of them")
      .example("train.json");
  o.include<SpeechFeatureOptions>();
  o("text_tokenizer", &Options::text_tokenizer, "section of a tokenizer; null: the model's");
  o("text_normalizer", &Options::text_normalizer,
    "section of what makes words of the figures in texts that have no normalized_text; null: the model's, if any");
  o("text_normalizer_call_kwargs", &Options::text_normalizer_call_kwargs, "with text_normalizer, as models take it");
  o("text_tokenizer_pad_id", &Options::text_tokenizer_pad_id,
    "token behind shorter texts, for tokenizers that do not tell theirs");
  o("sup_data_types", &Options::sup_data_types,
    "what batches hold besides: log_mel, durations, align_prior_matrix, pitch, energy, speaker_id, voiced_mask, "
    "p_voiced, reference_audio");
  o("sup_data_path", &Options::sup_data_path,
    "folder for what is computed of the clips, in a folder for each type; null: computed anew each time");
  o("max_duration", &Options::max_duration, "longer clips are left out", "s");
  o("min_duration", &Options::min_duration, "shorter clips are left out", "s");
  o("ignore_file", &Options::ignore_file, "JSON list of audio paths that are left out");
  o("trim", &Options::trim, "cut silence at both ends");
  o("trim_ref", &Options::trim_ref, "amplitude that silence is compared with; null: the loudest frame's");
  o("trim_top_db", &Options::trim_top_db, "what is so far below it is silence; null: 60", "dB");
  o("trim_frame_length", &Options::trim_frame_length, "null: 2048", "samples");
  o("trim_hop_length", &Options::trim_hop_length, "null: 512", "samples");
  o("segment_max_duration", &Options::segment_max_duration,
    "of longer clips a piece of that length from a random place (without data that belongs to frames)", "s");
  o("pad_multiple", &Options::pad_multiple, "audio is padded with zeros to a multiple of it", "samples");
  o("pitch_augment", &Options::pitch_augment, "not available: shifted copies of the audio");
  o("cache_pitch_augment", &Options::cache_pitch_augment, "without meaning unless pitch_augment is on");
  o("log_mel_folder", &Options::log_mel_folder, "null: sup_data_path/log_mel");
  o("pitch_folder", &Options::pitch_folder, "null: sup_data_path/pitch");
  o("energy_folder", &Options::energy_folder, "null: sup_data_path/energy");
  o("voiced_mask_folder", &Options::voiced_mask_folder, "null: sup_data_path/voiced_mask");
  o("p_voiced_folder", &Options::p_voiced_folder, "null: sup_data_path/p_voiced");
  o("durs_file", &Options::durs_file, "file with the tokens' durations in frames, by the names of the audio files");
  o("durs_type", &Options::durs_type, "aligner-based");
  o("use_beta_binomial_interpolator", &Options::use_beta_binomial_interpolator,
    "stretch alignment priors of round sizes rather than compute each; always on where texts become tokens at random");
  o("pitch_mean", &Options::pitch_mean, "of the set's voiced frames, for pitch_norm", "Hz");
  o("pitch_std", &Options::pitch_std, "their deviation", "Hz");
  o("pitch_norm", &Options::pitch_norm, "normalise the pitch by its statistics");
  o("pitch_stats_path", &Options::pitch_stats_path,
    "JSON file {speaker or default: {pitch_mean, pitch_std}}, instead of pitch_mean and pitch_std");
  o("reference_audio_type", &Options::reference_audio_type,
    "same-speaker (any clip of the speaker) or ground-truth (the clip itself)");
  o("batch_sampler", &Options::batch_sampler,
    "batches of clips of like length; in NeMo's configs it stands beside dataset, which means the same");
}

}  // namespace fathom::tts
