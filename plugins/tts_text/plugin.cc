// The collection's registered names.
#include "fathom/plugin.h"

#include "plugins/tts_text/chars_tokenizers.h"
#include "plugins/tts_text/g2p_components.h"
#include "plugins/tts_text/inverse_normalize.h"
#include "plugins/tts_text/phoneme_tokenizers.h"
#include "plugins/tts_text/text_normalizers.h"
#include "plugins/tts_text/trained_g2p.h"

FATHOM_PLUGIN("tts_text", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::tts;  // NOLINT
  const auto tokenizer_names = [](const std::string& name) {
    return std::vector<std::string>{"nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers." + name,
                                    "nemo.collections.tts.torch.tts_tokenizers." + name,
                                    "nemo.collections.tts.data.tts_tokenizers." + name};
  };
  r.add<BaseCharsTokenizer>("tts.BaseCharsTokenizer", "an id a character, of characters of one's own",
                            tokenizer_names("BaseCharsTokenizer"));
  r.add<EnglishCharsTokenizer>("tts.EnglishCharsTokenizer", "English letters and punctuation",
                               tokenizer_names("EnglishCharsTokenizer"));
  r.add<GermanCharsTokenizer>("tts.GermanCharsTokenizer", "German letters and punctuation",
                              tokenizer_names("GermanCharsTokenizer"));
  r.add<SpanishCharsTokenizer>("tts.SpanishCharsTokenizer", "Spanish letters and punctuation",
                               tokenizer_names("SpanishCharsTokenizer"));
  r.add<FrenchCharsTokenizer>("tts.FrenchCharsTokenizer", "French letters and punctuation",
                              tokenizer_names("FrenchCharsTokenizer"));
  r.add<ItalianCharsTokenizer>("tts.ItalianCharsTokenizer", "Italian letters and punctuation",
                               tokenizer_names("ItalianCharsTokenizer"));
  r.add<VietnameseCharsTokenizer>("tts.VietnameseCharsTokenizer", "Vietnamese letters and punctuation",
                                  tokenizer_names("VietnameseCharsTokenizer"));
  r.add<HindiCharsTokenizer>("tts.HindiCharsTokenizer", "Devanagari and English letters, and punctuation",
                             tokenizer_names("HindiCharsTokenizer"));
  r.add<ArabicCharsTokenizer>("tts.ArabicCharsTokenizer", "Arabic and English letters, and punctuation",
                              tokenizer_names("ArabicCharsTokenizer"));
  r.add<GermanPhonemesTokenizer>("tts.GermanPhonemesTokenizer", "texts written in German phonemes",
                                 tokenizer_names("GermanPhonemesTokenizer"));
  r.add<ItalianPhonemesTokenizer>("tts.ItalianPhonemesTokenizer", "texts written in Italian phonemes",
                                  tokenizer_names("ItalianPhonemesTokenizer"));
  r.add<EnglishPhonemesTokenizer>("tts.EnglishPhonemesTokenizer", "ARPABET phonemes by way of a G2P",
                                  tokenizer_names("EnglishPhonemesTokenizer"));
  r.add<IPATokenizer>("tts.IPATokenizer", "IPA symbols by way of a G2P", tokenizer_names("IPATokenizer"));
  r.add<EnglishTextNormalizer>("tts.TextNormalizer", "numbers, dates, sums and signs of English texts as words");
  r.add<NemoTextNormalizer>("tts.NemoTextNormalizer",
                            "the same with the options and conventions of nemo_text_processing",
                            {"nemo_text_processing.text_normalization.normalize.Normalizer",
                             "nemo_text_processing.text_normalization.normalize_with_audio.NormalizerWithAudio"});
  r.add<Normalize>("tts.normalize", "numbers, dates, sums and signs of a text as words");
  r.add<InverseNormalize>("text.inverse_normalize", "spoken numbers, dates, sums and the like as they are written");
  r.add<EnglishG2pComponent>(
      "tts.EnglishG2p", "words to ARPABET by a dictionary",
      {"nemo.collections.tts.g2p.models.en_us_arpabet.EnglishG2p", "nemo.collections.tts.g2p.modules.EnglishG2p",
       "nemo.collections.tts.torch.g2ps.EnglishG2p"});
  r.add<TrainedG2pComponent>("tts.TrainedG2p",
                             "words to phonemes by a trained model, for words that no dictionary has");
  r.add<TrainG2p>("tts.train_g2p", "trains a G2P of a dictionary's words and pronunciations");
  r.add<SayWords>("tts.g2p", "how words are said, and how well a trained G2P says those of a dictionary");
  r.add<IpaG2pComponent>("tts.IpaG2p", "words to IPA by a dictionary",
                         {"nemo.collections.tts.g2p.models.i18n_ipa.IpaG2p", "nemo.collections.tts.g2p.modules.IPAG2P",
                          "nemo.collections.tts.torch.g2ps.IPAG2P"});
}
