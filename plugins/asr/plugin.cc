// The collection's registered names.
#include "fathom/plugin.h"

#include "plugins/asr/data/audio_to_bpe_dataset.h"
#include "plugins/asr/data/audio_to_char_dataset.h"
#include "plugins/asr/data/audio_to_label_dataset.h"
#include "plugins/asr/data/char_tokenizer_component.h"
#include "plugins/asr/data/prompted_audio_dataset.h"
#include "plugins/asr/data/subword_tokenizer_components.h"
#include "plugins/asr/losses/cross_entropy_loss.h"
#include "plugins/asr/losses/ctc_loss.h"
#include "plugins/asr/losses/rnnt_loss.h"
#include "plugins/asr/losses/smoothed_cross_entropy_loss.h"
#include "plugins/asr/metrics/average_loss.h"
#include "plugins/asr/metrics/bleu_metric.h"
#include "plugins/asr/metrics/classification_accuracy.h"
#include "plugins/asr/metrics/wer_metric.h"
#include "plugins/asr/models/classification_model.h"
#include "plugins/asr/models/ctc_model.h"
#include "plugins/asr/models/hybrid_model.h"
#include "plugins/asr/models/multitask_model.h"
#include "plugins/asr/models/rnnt_model.h"
#include "plugins/asr/modules/audio_preprocessor.h"
#include "plugins/asr/modules/conformer_encoder.h"
#include "plugins/asr/modules/conv_asr_decoder.h"
#include "plugins/asr/modules/conv_asr_encoder.h"
#include "plugins/asr/modules/conv_asr_reconstruction.h"
#include "plugins/asr/modules/crop_or_pad.h"
#include "plugins/asr/modules/lstm_decoder.h"
#include "plugins/asr/modules/mfcc_preprocessor.h"
#include "plugins/asr/modules/rnn_encoder.h"
#include "plugins/asr/modules/rnnt_decoder.h"
#include "plugins/asr/modules/rnnt_joint.h"
#include "plugins/asr/modules/spec_augment.h"
#include "plugins/asr/modules/squeezeformer_encoder.h"
#include "plugins/asr/modules/token_classifier.h"
#include "plugins/asr/modules/transformer_decoder.h"
#include "plugins/asr/modules/transformer_encoder.h"

FATHOM_PLUGIN("asr", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::asr;  // NOLINT
  const auto module_names = [](const std::string& name, const std::string& file) {
    return std::vector<std::string>{"nemo.collections.asr.modules." + name,
                                    "nemo.collections.asr.modules." + file + "." + name};
  };
  const auto tokenizer_names = [](const std::string& name, const std::string& file) {
    return std::vector<std::string>{"nemo.collections.common.tokenizers." + name,
                                    "nemo.collections.common.tokenizers." + file + "." + name};
  };
  r.add<AudioToMelSpectrogramPreprocessor>("asr.AudioToMelSpectrogramPreprocessor", "audio to log-mel features",
                                           module_names("AudioToMelSpectrogramPreprocessor", "audio_preprocessing"));
  r.add<FilterbankFeaturesModule>("asr.FilterbankFeatures", "audio to log-mel features, as vocoders name it",
                                  {"nemo.collections.asr.parts.preprocessing.features.FilterbankFeatures"});
  r.add<AudioToMFCCPreprocessor>("asr.AudioToMFCCPreprocessor", "audio to mel-frequency cepstral coefficients",
                                 module_names("AudioToMFCCPreprocessor", "audio_preprocessing"));
  r.add<SpectrogramAugmentation>("asr.SpectrogramAugmentation", "masks bands of frequency and time, and rectangles",
                                 module_names("SpectrogramAugmentation", "audio_preprocessing"));
  r.add<ConformerEncoder>("asr.ConformerEncoder", "Conformer and FastConformer encoder",
                          module_names("ConformerEncoder", "conformer_encoder"));
  r.add<SqueezeformerEncoder>("asr.SqueezeformerEncoder", "Squeezeformer encoder, of NeMo until 1.23",
                              module_names("SqueezeformerEncoder", "squeezeformer_encoder"));
  r.add<RNNEncoder>("asr.RNNEncoder", "stacked LSTMs with projections", module_names("RNNEncoder", "rnn_encoder"));
  r.add<LSTMDecoder>("asr.LSTMDecoder", "LSTMs and log-softmax per frame", module_names("LSTMDecoder", "lstm_decoder"));
  r.add<ConvASRDecoderReconstruction>("asr.ConvASRDecoderReconstruction",
                                      "spectrograms from an encoder's output, for self-supervised training",
                                      module_names("ConvASRDecoderReconstruction", "conv_asr"));
  r.add<CropOrPadSpectrogramAugmentation>("asr.CropOrPadSpectrogramAugmentation",
                                          "cuts or pads spectrograms to a length",
                                          module_names("CropOrPadSpectrogramAugmentation", "audio_preprocessing"));
  r.add<ConvASREncoder>("asr.ConvASREncoder", "Jasper, QuartzNet and Citrinet encoder",
                        module_names("ConvASREncoder", "conv_asr"));
  r.add<ConvASRDecoder>("asr.ConvASRDecoder", "1x1 convolution and log-softmax per frame",
                        module_names("ConvASRDecoder", "conv_asr"));
  r.add<ConvASRDecoderClassification>("asr.ConvASRDecoderClassification", "pooling over time and a linear layer",
                                      module_names("ConvASRDecoderClassification", "conv_asr"));
  r.add<CTCLoss>("asr.CTCLoss", "connectionist temporal classification",
                 {"nemo.collections.asr.losses.CTCLoss", "nemo.collections.asr.losses.ctc.CTCLoss"});
  r.add<SmoothedCrossEntropyLoss>("asr.SmoothedCrossEntropyLoss", "cross entropy of sequences with smoothed labels",
                                  {"nemo.collections.common.losses.SmoothedCrossEntropyLoss",
                                   "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss"});
  r.add<TransformerEncoder>(
      "asr.TransformerEncoder", "Transformer on encoded frames",
      {"nemo.collections.asr.modules.transformer.TransformerEncoder",
       "nemo.collections.asr.modules.transformer.transformer_encoders.TransformerEncoder",
       "nemo.collections.nlp.modules.common.transformer.transformer_encoders.TransformerEncoder"});
  r.add<TransformerDecoderNM>("asr.TransformerDecoderNM", "Transformer decoder with its embeddings",
                              {"nemo.collections.asr.modules.transformer.TransformerDecoderNM",
                               "nemo.collections.asr.modules.transformer.transformer.TransformerDecoderNM"});
  r.add<NemoTransformer>("asr.get_nemo_transformer", "the same, by the section of NeMo's function of that name",
                         {"nemo.collections.asr.modules.transformer.get_nemo_transformer",
                          "nemo.collections.nlp.modules.common.transformer.get_nemo_transformer"});
  r.add<TokenClassifier>("asr.TokenClassifier", "from hidden states to classes of tokens",
                         {"nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier",
                          "nemo.collections.nlp.modules.common.TokenClassifier",
                          "nemo.collections.nlp.modules.common.token_classifier.TokenClassifier"});
  r.add<RNNTDecoder>("asr.RNNTDecoder", "prediction network of a transducer: embedding and LSTM",
                     module_names("RNNTDecoder", "rnnt"));
  r.add<StatelessTransducerDecoder>("asr.StatelessTransducerDecoder",
                                    "prediction network of a transducer: embeddings of the last labels",
                                    module_names("StatelessTransducerDecoder", "rnnt"));
  r.add<RNNTJoint>("asr.RNNTJoint", "joint network of a transducer", module_names("RNNTJoint", "rnnt"));
  r.add<SampledRNNTJoint>("asr.SampledRNNTJoint", "joint network that trains on a sample of the tokens",
                          module_names("SampledRNNTJoint", "rnnt"));
  r.add<HATJoint>("asr.HATJoint", "joint network with a blank of its own (HAT)",
                  module_names("HATJoint", "hybrid_autoregressive_transducer"));
  r.add<RNNTLoss>("asr.RNNTLoss", "RNN-T, TDT and multi-blank loss",
                  {"nemo.collections.asr.losses.RNNTLoss", "nemo.collections.asr.losses.rnnt.RNNTLoss"});
  r.add<AudioToCharDataset>("asr.AudioToCharDataset", "clips of a manifest with transcripts as character ids",
                            {"nemo.collections.asr.data.audio_to_text.AudioToCharDataset"});
  r.add<AudioToBPEDataset>("asr.AudioToBPEDataset", "clips of a manifest with transcripts as ids of subwords",
                           {"nemo.collections.asr.data.audio_to_text.AudioToBPEDataset"});
  r.add<PromptedAudioDataset>(
      "asr.PromptedAudioDataset", "clips of a manifest with prompts and answers",
      {"nemo.collections.asr.data.audio_to_text_lhotse_prompted.PromptedAudioToTextLhotseDataset"});
  r.add<CrossEntropyLoss>("asr.CrossEntropyLoss", "cross entropy of logits and classes",
                          {"nemo.collections.common.losses.CrossEntropyLoss",
                           "nemo.collections.common.losses.cross_entropy.CrossEntropyLoss"});
  r.add<AudioToSpeechLabelDataset>("asr.AudioToSpeechLabelDataset",
                                   "clips with a class each; shorter ones are repeated",
                                   {"nemo.collections.asr.data.audio_to_label.AudioToSpeechLabelDataset"});
  r.add<AudioToClassificationLabelDataset>(
      "asr.AudioToClassificationLabelDataset", "clips with a class each; zeros behind shorter ones",
      {"nemo.collections.asr.data.audio_to_label.AudioToClassificationLabelDataset"});
  r.add<TopKClassificationAccuracy>(
      "asr.TopKClassificationAccuracy", "share of items whose class is among the k likeliest",
      {"nemo.collections.common.metrics.TopKClassificationAccuracy",
       "nemo.collections.common.metrics.classification_accuracy.TopKClassificationAccuracy"});
  r.add<MacroAccuracy>("asr.MacroAccuracy", "mean over classes of the share that was told", {});
  r.add<WerMetric>("asr.WER", "word or character error rate",
                   {"nemo.collections.asr.metrics.WER", "nemo.collections.asr.metrics.wer.WER"});
  r.add<BleuMetric>("asr.BLEU", "BLEU of texts, from 0 to 1",
                    {"nemo.collections.asr.metrics.BLEU", "nemo.collections.asr.metrics.bleu.BLEU"});
  r.add<AverageLoss>("asr.GlobalAverageLossMetric", "mean of losses over the batches of an evaluation",
                     {"nemo.collections.common.metrics.GlobalAverageLossMetric",
                      "nemo.collections.common.metrics.global_average_loss_metric.GlobalAverageLossMetric"});
  r.add<CharTokenizerComponent>("asr.CharTokenizer", "one id per character",
                                {"nemo.collections.common.tokenizers.CharTokenizer"});
  r.add<SentencePieceComponent>("asr.SentencePieceTokenizer", "the pieces of a SentencePiece model",
                                tokenizer_names("SentencePieceTokenizer", "sentencepiece_tokenizer"));
  r.add<WordPieceComponent>("asr.WordPieceTokenizer", "BERT's word pieces, from a vocabulary file",
                            tokenizer_names("AutoTokenizer", "huggingface.auto_tokenizer"));
  r.add<CanaryTokenizerComponent>("asr.CanaryTokenizer", "tokenizers of several languages and of special tokens",
                                  tokenizer_names("CanaryTokenizer", "canary_tokenizer"));
  r.add<CanaryBPEComponent>("asr.CanaryBPETokenizer", "a SentencePiece model with Canary's special tokens",
                            tokenizer_names("CanaryBPETokenizer", "canary_tokenizer"));
  r.add<EncDecCTCModel>(
      "asr.EncDecCTCModel", "character speech recognition with CTC (Jasper, QuartzNet)",
      {"nemo.collections.asr.models.EncDecCTCModel", "nemo.collections.asr.models.ctc_models.EncDecCTCModel"});
  r.add<EncDecCTCModelBPE>("asr.EncDecCTCModelBPE", "speech recognition on subwords with CTC (Citrinet, Conformer)",
                           {"nemo.collections.asr.models.EncDecCTCModelBPE",
                            "nemo.collections.asr.models.ctc_bpe_models.EncDecCTCModelBPE"});
  r.add<EncDecMultiTaskModel>("asr.EncDecMultiTaskModel",
                              "speech recognition and translation by prompt, with an encoder and a decoder (Canary)",
                              {"nemo.collections.asr.models.EncDecMultiTaskModel",
                               "nemo.collections.asr.models.aed_multitask_models.EncDecMultiTaskModel"});
  const auto model_names = [](const std::string& name, const std::string& file) {
    return std::vector<std::string>{"nemo.collections.asr.models." + name,
                                    "nemo.collections.asr.models." + file + "." + name};
  };
  r.add<EncDecRNNTModel>("asr.EncDecRNNTModel", "character speech recognition with a transducer (RNN-T, TDT)",
                         model_names("EncDecRNNTModel", "rnnt_models"));
  r.add<EncDecRNNTBPEModel>("asr.EncDecRNNTBPEModel", "speech recognition on subwords with a transducer (RNN-T, TDT)",
                            model_names("EncDecRNNTBPEModel", "rnnt_bpe_models"));
  r.add<EncDecHybridRNNTCTCModel>("asr.EncDecHybridRNNTCTCModel", "a transducer on characters with a CTC head",
                                  model_names("EncDecHybridRNNTCTCModel", "hybrid_rnnt_ctc_models"));
  r.add<EncDecHybridRNNTCTCBPEModel>("asr.EncDecHybridRNNTCTCBPEModel", "a transducer on subwords with a CTC head",
                                     model_names("EncDecHybridRNNTCTCBPEModel", "hybrid_rnnt_ctc_bpe_models"));
  r.add<EncDecClassificationModel>("asr.EncDecClassificationModel", "one class a clip (MatchboxNet, MarbleNet)",
                                   {"nemo.collections.asr.models.EncDecClassificationModel",
                                    "nemo.collections.asr.models.classification_models.EncDecClassificationModel"});
}
