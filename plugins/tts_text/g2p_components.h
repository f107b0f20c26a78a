// The components tts.EnglishG2p and tts.IpaG2p, and how a `g2p` section becomes a G2P.
#pragma once

#include <map>
#include <memory>

#include "fathom/tokenizer.h"
#include "plugins/lib/text/english_g2p.h"
#include "plugins/lib/text/ipa_g2p.h"

namespace fathom::tts {

// A G2P as a component: a tokenizer whose pieces are the symbols. The id of a symbol of one character is its code
// point, of a longer one (ARPABET) a number beyond Unicode. The tokenizers of this plugin take the G2P itself.
class G2pComponent : public Tokenizer {
 public:
  G2pComponent(std::unique_ptr<text::G2p> g2p, const std::vector<std::string>& long_symbols);
  int64_t vocab_size() const override;
  std::vector<int64_t> encode(std::string_view text) const override;
  std::string decode(const std::vector<int64_t>& ids) const override;  // symbols with blanks between them
  std::string piece(int64_t id) const override;
  const text::G2p& g2p() const { return *g2p_; }

 private:
  std::unique_ptr<text::G2p> g2p_;
  std::vector<std::string> long_symbols_;
  std::map<std::string, int64_t> long_ids_;
};

struct DictionaryG2pOptions {
  Json phoneme_dict = nullptr, heteronyms = nullptr, apply_to_oov_word = nullptr;
  bool ignore_ambiguous_words = true;
  std::string ambiguous_words = "spell";
  std::optional<double> phoneme_probability;
  std::optional<std::string> mapping_file;
  static void describe(OptionSet<DictionaryG2pOptions>& o);
};

struct EnglishG2pOptions : DictionaryG2pOptions {
  std::string encoding = "latin-1";
  Json word_tokenize_func = nullptr;
  static void describe(OptionSet<EnglishG2pOptions>& o);
};

struct IpaG2pOptions : DictionaryG2pOptions {
  std::optional<std::string> locale = "en-US";
  bool use_chars = false;
  std::optional<bool> use_stresses = true;
  std::string grapheme_case = "upper", grapheme_prefix;
  static void describe(OptionSet<IpaG2pOptions>& o);
};

struct TrainedG2pOptions {
  std::optional<std::string> model;
  std::optional<double> phoneme_probability;
  static void describe(OptionSet<TrainedG2pOptions>& o);
};

// The options' names are below `path` in errors.
std::unique_ptr<text::G2p> make_english_g2p(const EnglishG2pOptions& options);
std::unique_ptr<text::G2p> make_ipa_g2p(const IpaG2pOptions& options);
std::unique_ptr<text::G2p> make_trained_g2p(const TrainedG2pOptions& options);
// By the section's _target_: one of this plugin's, or a tokenizer of another plugin whose pieces are symbols. Throws
// kFailed for a section that names none.
std::shared_ptr<text::G2p> make_g2p(const Json& section, const std::string& path);

class EnglishG2pComponent final : public G2pComponent {
 public:
  using Options = EnglishG2pOptions;
  explicit EnglishG2pComponent(const Options& options);
};
// Words as a trained model says them (plugins/lib/text/trained_g2p), without a dictionary; what it does not know is
// spelled.
class TrainedG2pComponent final : public G2pComponent {
 public:
  using Options = TrainedG2pOptions;
  explicit TrainedG2pComponent(const Options& options);
};
class IpaG2pComponent final : public G2pComponent {
 public:
  using Options = IpaG2pOptions;
  explicit IpaG2pComponent(const Options& options);
};

}  // namespace fathom::tts
