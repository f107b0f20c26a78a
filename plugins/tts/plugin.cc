// The collection's registered names.
#include "fathom/plugin.h"

#include "plugins/tts/commands/evaluate.h"
#include "plugins/tts/commands/features.h"
#include "plugins/tts/commands/prepare.h"
#include "plugins/tts/commands/vocode.h"
#include "plugins/tts/data/meta_vocoder_dataset.h"
#include "plugins/tts/data/text_to_speech_dataset.h"
#include "plugins/tts/data/tts_dataset.h"
#include "plugins/tts/data/vocoder_dataset.h"
#include "plugins/tts/losses/fastpitch_loss_components.h"
#include "plugins/tts/models/fastpitch_model.h"
#include "plugins/tts/models/hifigan_model.h"
#include "plugins/tts/models/tacotron2_model.h"
#include "plugins/tts/models/vits_model.h"
#include "plugins/tts/modules/alignment_encoder.h"
#include "plugins/tts/modules/fft_transformer.h"
#include "plugins/tts/modules/griffin_lim.h"
#include "plugins/tts/modules/hifigan_generator.h"
#include "plugins/tts/modules/speaker_encoder.h"
#include "plugins/tts/modules/style_tokens.h"
#include "plugins/tts/modules/tacotron2_decoder.h"
#include "plugins/tts/modules/tacotron2_encoder.h"
#include "plugins/tts/modules/temporal_predictor.h"
#include "plugins/tts/modules/vits_synthesizer.h"

FATHOM_PLUGIN("tts", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::tts;  // NOLINT
  using Names = std::vector<std::string>;
  const auto model_names = [](const std::string& name, const std::string& file) {
    return Names{"nemo.collections.tts.models." + name, "nemo.collections.tts.models." + file + "." + name};
  };
  const auto module_names = [](const std::string& name, const std::string& file) {
    return Names{"nemo.collections.tts.modules." + name, "nemo.collections.tts.modules." + file + "." + name};
  };
  r.add<FFTransformerEncoder>("tts.FFTransformerEncoder", "tokens to encodings, by attention and convolutions",
                              module_names("FFTransformerEncoder", "transformer"));
  r.add<FFTransformerDecoder>("tts.FFTransformerDecoder", "encodings of frames, by attention and convolutions",
                              module_names("FFTransformerDecoder", "transformer"));
  r.add<TemporalPredictor>("tts.TemporalPredictor", "a number for each token: duration, pitch, energy",
                           module_names("TemporalPredictor", "fastpitch"));
  r.add<AlignmentEncoder>("tts.AlignmentEncoder", "which frame of a spectrogram belongs to which token",
                          module_names("AlignmentEncoder", "aligner"));
  r.add<SpeakerLookupTable>("tts.SpeakerLookupTable", "voices by number",
                            module_names("SpeakerLookupTable", "submodules"));
  r.add<ReferenceEncoder>("tts.ReferenceEncoder", "one vector of a recording's spectrogram",
                          module_names("ReferenceEncoder", "submodules"));
  r.add<GlobalStyleToken>("tts.GlobalStyleToken", "voice and style by a recording: attention over learned tokens",
                          module_names("GlobalStyleToken", "submodules"));
  r.add<SpeakerEncoder>("tts.SpeakerEncoder", "whose voice it is: by number, by a recording, or one for all",
                        module_names("SpeakerEncoder", "submodules"));
  const auto loss_names = [](const std::string& name, const std::string& file) {
    return Names{"nemo.collections.tts.losses." + file + "." + name};
  };
  r.add<MelLoss>("tts.MelLoss", "of spectrograms, where the target is not zero",
                 loss_names("MelLoss", "fastpitchloss"));
  r.add<DurationLoss>("tts.DurationLoss", "of the logarithms of tokens' durations",
                      loss_names("DurationLoss", "fastpitchloss"));
  r.add<PitchLoss>("tts.PitchLoss", "of tokens' pitch", loss_names("PitchLoss", "fastpitchloss"));
  r.add<EnergyLoss>("tts.EnergyLoss", "of tokens' energy", loss_names("EnergyLoss", "fastpitchloss"));
  r.add<ForwardSumLoss>("tts.ForwardSumLoss", "of an alignment: all monotonic paths together",
                        loss_names("ForwardSumLoss", "aligner_loss"));
  r.add<BinLoss>("tts.BinLoss", "of an alignment: how far it is from its best path",
                 loss_names("BinLoss", "aligner_loss"));
  r.add<FastPitchModel>("tts.FastPitchModel", "text to spectrograms, with pitch and duration of every token",
                        model_names("FastPitchModel", "fastpitch"));
  r.add<Tacotron2Encoder>("tts.Tacotron2Encoder", "tokens to encodings, by convolutions and an LSTM",
                          Names{"nemo.collections.tts.modules.tacotron2.Encoder"});
  r.add<Tacotron2Decoder>("tts.Tacotron2Decoder", "encodings to frames, one after the other, by attention",
                          Names{"nemo.collections.tts.modules.tacotron2.Decoder"});
  r.add<Tacotron2Postnet>("tts.Tacotron2Postnet", "refines the decoder's frames by convolutions",
                          Names{"nemo.collections.tts.modules.tacotron2.Postnet"});
  r.add<Tacotron2Model>("tts.Tacotron2Model", "text to spectrograms, a frame at a time",
                        model_names("Tacotron2Model", "tacotron2"));
  r.add<VitsSynthesizer>("tts.VitsSynthesizer", "VITS without its critics: text to audio",
                         Names{"nemo.collections.tts.modules.vits_modules.SynthesizerTrn"});
  r.add<VitsModel>("tts.VitsModel", "text to audio, trained against critics", model_names("VitsModel", "vits"));
  r.add<HifiGanGenerator>("tts.HifiGanGenerator", "HiFi-GAN's generator: spectrograms to audio",
                          Names{"nemo.collections.tts.modules.hifigan_modules.Generator"});
  r.add<GriffinLimModel>("tts.GriffinLimModel", "spectrograms to audio without training: Griffin-Lim, fast",
                         model_names("GriffinLimModel", "two_stages"));
  r.add<HifiGanModel>("tts.HifiGanModel", "a vocoder trained against critics", model_names("HifiGanModel", "hifigan"));
  r.add<TTSDataset>(
      "tts.TTSDataset", "recordings and what is said in them, for acoustic models",
      Names{"nemo.collections.tts.data.dataset.TTSDataset", "nemo.collections.tts.torch.data.TTSDataset"});
  r.add<VocoderDataset>(
      "tts.VocoderDataset", "pieces of recordings, for vocoders",
      Names{"nemo.collections.tts.data.dataset.VocoderDataset", "nemo.collections.tts.data.datalayers.AudioDataset"});
  r.add<TextToSpeechDataset>("tts.TextToSpeechDataset", "recordings of several sets, texts and computed features",
                             Names{"nemo.collections.tts.data.text_to_speech_dataset.TextToSpeechDataset"});
  r.add<MetaVocoderDataset>("tts.MetaVocoderDataset", "recordings of several sets or pieces of them, for vocoders",
                            Names{"nemo.collections.tts.data.vocoder_dataset.VocoderDataset"});
  r.add<Evaluate>("tts.evaluate", "how good a synthesis is: words heard, distance from recordings, pitch");
  r.add<Features>("tts.features", "features of recordings, their statistics and the map of speakers");
  r.add<Prepare>("tts.prepare", "pitch, spectrograms and energy of recordings, and the statistics of the pitch");
  r.add<Vocode>("tts.vocode", "recordings through a spectrogram and a vocoder and back");
}
