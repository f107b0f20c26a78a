#include "plugins/tts_text/text_normalizers.h"

#include <algorithm>
#include <fstream>
#include <iostream>

#include "fathom/utf8.h"
#include "plugins/tts_text/choose.h"

namespace fathom::tts {
namespace {

constexpr int64_t kFirstByteId = 0x110000;

[[noreturn]] void only_english(const std::string& lang) {
  throw Error(Code::kUnavailable, "there are rules to normalize English texts alone")
      .at("lang")
      .seen(lang)
      .expected("en")
      .next("a plugin can register a normaliser of another language; or give texts in words (normalized_text)");
}

text::TextNormalizer make_normalizer(const std::string& lang, text::SpeechStyle style, const std::string& input_case,
                                     const std::optional<std::string>& whitelist) {
  if (lang != "en") only_english(lang);
  style.any_case = choose<bool>("input_case", input_case, {{"cased", false}, {"lower_cased", true}});
  return text::TextNormalizer(style, whitelist ? text::read_whitelist(*whitelist) : text::Whitelist{});
}

text::TextNormalizer make_nemo_normalizer(const NemoTextNormalizer::Options& options) {
  if (!options.deterministic) {
    throw Error(Code::kUnavailable, "this normaliser has one reading of a text, the best")
        .at("deterministic")
        .seen("false")
        .expected("true");
  }
  if (options.lm) {
    throw Error(Code::kUnavailable, "no language model chooses among readings here")
        .at("lm")
        .seen("true")
        .expected("false");
  }
  return make_normalizer(options.lang, text::kNemoStyle, options.input_case, options.whitelist);
}

}  // namespace

int64_t TextNormalizerComponent::vocab_size() const { return kFirstByteId + 256; }

std::vector<int64_t> TextNormalizerComponent::encode(std::string_view text) const {
  const std::string spoken = normalizer_.normalize(text);
  std::vector<int64_t> ids;
  ids.reserve(spoken.size());
  for (size_t at = 0; at < spoken.size();) {
    char32_t code = 0;
    const size_t length = utf8::decode(spoken, at, &code);
    ids.push_back(length > 0 ? static_cast<int64_t>(code) : kFirstByteId + static_cast<unsigned char>(spoken[at]));
    at += std::max<size_t>(length, 1);
  }
  return ids;
}

std::string TextNormalizerComponent::decode(const std::vector<int64_t>& ids) const {
  std::string out;
  for (const int64_t id : ids) out += piece(id);
  return out;
}

std::string TextNormalizerComponent::piece(int64_t id) const {
  if (id < 0 || id >= vocab_size()) {
    throw Error(Code::kFailed, "no such character")
        .seen(std::to_string(id))
        .expected("0 to " + std::to_string(vocab_size() - 1));
  }
  std::string out;
  if (id >= kFirstByteId)
    out = static_cast<char>(id - kFirstByteId);
  else
    utf8::append(out, static_cast<char32_t>(id));
  return out;
}

void TextNormalizerOptions::describe(OptionSet<TextNormalizerOptions>& o) {
  using Self = TextNormalizerOptions;
  o("lang", &Self::lang, "language of the texts: en");
  o("style", &Self::style,
    "how numbers are said: ljspeech (\"March thirty-one\", as the recipes' transcripts have it), nemo (\"march thirty "
    "first\", as nemo_text_processing does)");
  o("input_case", &Self::input_case,
    "cased; lower_cased: months, titles and the whitelist are known in lower case too");
  o("whitelist", &Self::whitelist, "a file of lines WRITTEN<tab>SPOKEN, which come before all rules");
}

text::TextNormalizer TextNormalizerOptions::make() const {
  const auto conventions =
      choose<text::SpeechStyle>("style", style, {{"ljspeech", text::kLjSpeechStyle}, {"nemo", text::kNemoStyle}});
  return make_normalizer(lang, conventions, input_case, whitelist);
}

void NemoTextNormalizer::Options::describe(OptionSet<Options>& o) {
  o("lang", &Options::lang, "language of the texts: en");
  o("input_case", &Options::input_case,
    "cased; lower_cased: months, titles and the whitelist are known in lower case too");
  o("whitelist", &Options::whitelist, "a file of lines WRITTEN<tab>SPOKEN, which come before all rules");
  o("cache_dir", &Options::cache_dir, "accepted: no grammars are compiled that could be kept");
  o("overwrite_cache", &Options::overwrite_cache, "accepted, with cache_dir");
  o("deterministic", &Options::deterministic, "true: one reading of a text");
  o("post_process", &Options::post_process, "accepted: punctuation stays as it is written");
  o("lm", &Options::lm, "false: no language model chooses");
  o("max_number_of_permutations_per_split", &Options::max_number_of_permutations_per_split,
    "accepted: rules need no permutations");
}

NemoTextNormalizer::NemoTextNormalizer(const Options& options)
    : TextNormalizerComponent(make_nemo_normalizer(options)) {}

void Normalize::Options::describe(OptionSet<Options>& o) {
  o("file", &Options::file, "a text file; -: stdin");
  o("text", &Options::text, "a text to normalize, in place of a file's lines");
  o.include<TextNormalizerOptions>();
}

void Normalize::run(const CommandIo& io) {
  const text::TextNormalizer normalizer = options_.make();
  if (options_.text) {
    if (options_.file != "-") throw Error(Code::kUsage, "either a file or --text").at("--text").seen(options_.file);
    io.print_line(normalizer.normalize(*options_.text));
    return;
  }
  std::ifstream file;
  if (options_.file != "-") {
    file.open(options_.file, std::ios::binary);
    if (!file) throw Error(Code::kNoInput, "the text cannot be read").at(options_.file);
  }
  std::istream& lines = options_.file == "-" ? std::cin : file;
  std::string line;
  while (std::getline(lines, line)) {
    io.check_stopped();
    io.print_line(normalizer.normalize(line));
  }
  if (lines.bad()) throw Error(Code::kNoInput, "reading the text failed").at(options_.file);
}

}  // namespace fathom::tts
