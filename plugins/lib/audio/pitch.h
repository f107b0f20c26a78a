// Fundamental frequency of speech, frame by frame. Uses no torch; no state, thread-safe.
//
// pyin() gives what librosa.pyin (0.11) gives: Mauch and Dixon, "pYIN: a fundamental frequency estimator using
// probabilistic threshold distributions", 2014, as its authors' software has it (a Boltzmann prior over the troughs, a
// grid of a tenth of a semitone, triangular transitions). Differences to librosa are those of the order in which its
// FFT adds: the autocorrelation here is summed directly in double precision.
//
// autocorrelation_pitch() is the fast one: the best peak of each frame's normalised autocorrelation (after Boersma,
// "Accurate short-term analysis of the fundamental frequency …", 1993, without his search for a path).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fathom::audio {

struct PitchOptions {
  double sample_rate = 22050;                                 // Hz
  double fmin = 65.40639132514966, fmax = 2093.004522404789;  // Hz; C2 and C7, as NeMo's defaults
  int64_t frame_length = 2048;                                // samples
  int64_t hop_length = 0;                                     // samples; 0: frame_length / 4
};

// Frames are centred, the audio between zeros: 1 + samples / hop of them (of an even frame length).
struct PitchTrack {
  std::vector<float> f0;      // Hz; 0 where unvoiced
  std::vector<float> voiced;  // 1 or 0
  std::vector<float> p_voiced;
};

enum class PitchMethod { kPyin, kAutocorrelation };
// "pyin" or "autocorrelation"; others are errors naming `where`.
PitchMethod parse_pitch_method(const std::string& name, const std::string& where);

// Both throw Error (kFailed) for frequencies that the rate or the frame cannot have: fmin >= fmax, fmax above half the
// rate, less than one period of fmin in a frame. Audio without samples is kBadData.
PitchTrack pyin(std::span<const float> audio, const PitchOptions& options);
PitchTrack autocorrelation_pitch(std::span<const float> audio, const PitchOptions& options);
PitchTrack track_pitch(std::span<const float> audio, const PitchOptions& options, PitchMethod method);

}  // namespace fathom::audio
