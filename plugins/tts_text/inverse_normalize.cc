#include "plugins/tts_text/inverse_normalize.h"

#include <fstream>
#include <iostream>

#include "plugins/lib/text/inverse_normalization/inverse_normalizer.h"
#include "plugins/tts_text/choose.h"

namespace fathom::tts {

void InverseNormalize::Options::describe(OptionSet<Options>& o) {
  o("text", &Options::text, "spoken texts; none, or -: the lines of stdin");
  o("file", &Options::file, "a text file whose lines are taken in place of texts");
  o("lang", &Options::lang, "language of the texts: en");
  o("input_case", &Options::input_case,
    "lower_cased: expressions are looked for in lower case alone; cased: they may begin with a capital");
  o("whitelist", &Options::whitelist,
    "a file of lines WRITTEN<tab>SPOKEN (and <tab>WEIGHT), in place of the built-in abbreviations and names");
}

void InverseNormalize::run(const CommandIo& io) {
  if (options_.lang != "en") {
    throw Error(Code::kUnavailable, "there are rules to write English texts alone")
        .at("lang")
        .seen(options_.lang)
        .expected("en");
  }
  const auto input_case =
      choose<text::InputCase>("input_case", options_.input_case,
                              {{"lower_cased", text::InputCase::kLowerCased}, {"cased", text::InputCase::kCased}});
  std::optional<std::vector<text::SpokenWhitelistEntry>> whitelist;
  if (options_.whitelist) whitelist = text::read_spoken_whitelist(*options_.whitelist);
  const text::InverseNormalizer normalizer(input_case, whitelist);
  const bool from_stdin = options_.text == std::vector<std::string>{"-"};
  if (options_.file && !options_.text.empty())
    throw Error(Code::kUsage, "either texts or --file").at("--file").seen(*options_.file);
  if (!options_.text.empty() && !from_stdin) {
    for (const auto& text : options_.text) io.print_line(normalizer.normalize(text));
    return;
  }
  std::ifstream file;
  if (options_.file && *options_.file != "-") {
    file.open(*options_.file, std::ios::binary);
    if (!file) throw Error(Code::kNoInput, "the text cannot be read").at(*options_.file);
  }
  std::istream& lines = file.is_open() ? file : std::cin;
  std::string line;
  while (std::getline(lines, line)) {
    io.check_stopped();
    io.print_line(normalizer.normalize(line));
  }
  if (lines.bad()) throw Error(Code::kIo, "reading the text failed").at(options_.file.value_or("-"));
}

}  // namespace fathom::tts
