#include "plugins/tts_text/trained_g2p.h"

#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>

#include "plugins/lib/option_range.h"
#include "plugins/lib/text/trained_g2p/g2p_training.h"
#include "plugins/tts_text/choose.h"

namespace fathom::tts {
namespace {

std::string shipped_model() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&open_trained_g2p), &info) == 0 || info.dli_fname == nullptr) return "";
  return (std::filesystem::path(info.dli_fname).parent_path() / "tts_text" / "en_us.g2p").string();
}

text::G2pDictionaryOptions layout_of(const std::string& symbols) {
  text::G2pDictionaryOptions out;
  out.phonemes_are_characters = choose<bool>("symbols", symbols, {{"words", false}, {"characters", true}});
  return out;
}

text::G2pProgress progress_of(const CommandIo& io) {
  return {[&io](const std::string& what, uint64_t done, uint64_t total) { io.progress(what, done, total); },
          [&io] { io.check_stopped(); }};
}

void print_errors(const CommandIo& io, const text::G2pErrors& errors, const std::string& dictionary) {
  if (errors.words == 0) throw Error(Code::kBadData, "the dictionary has no words to measure by").at(dictionary);
  const auto percent = [](size_t part, size_t whole) {
    char out[32];
    std::snprintf(out, sizeof(out), "%.2f %%",
                  whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
    return std::string(out);
  };
  io.print_line("words " + std::to_string(errors.words) + "  phoneme error " +
                percent(errors.phoneme_edits, errors.phonemes) + "  word error " +
                percent(errors.wrong_words, errors.words) + "  with stress " +
                percent(errors.stressed_phoneme_edits, errors.phonemes) + ", " +
                percent(errors.stressed_wrong_words, errors.words));
}

}  // namespace

std::shared_ptr<const text::G2pModel> open_trained_g2p(const std::optional<std::string>& given) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const text::G2pModel>> open;
  const std::string path = given ? *given : shipped_model();
  if (!given && !std::filesystem::exists(path)) {
    throw Error(Code::kNoInput, "the G2P model that comes with the plugin is not beside it")
        .at("model")
        .seen(path)
        .next("name a file of `fathom tts train-g2p`");
  }
  const std::lock_guard lock(mutex);
  auto model = open[path].lock();
  if (model == nullptr) {
    model = std::make_shared<const text::G2pModel>(text::G2pModel::open(path));
    open[path] = model;
  }
  return model;
}

void TrainG2p::Options::describe(OptionSet<Options>& o) {
  o.required("dictionary", &Options::dictionary, "a word and its phonemes a line (CMUdict's layout, or with tabs)");
  o.required("model", &Options::model, "the file to write");
  o("validation", &Options::validation, "a dictionary of other words, to measure the model by");
  o("order", &Options::order, "units of the longest n-grams");
  o("prune", &Options::prune, "n-grams that tell less are left out, in counts times log-probability; 0: none");
  o("all_pronunciations", &Options::all_pronunciations, "learn all of a word's pronunciations, not the first alone");
  o("symbols", &Options::symbols, "what a phoneme is: words (HH AH0), or characters of one word (IPA)");
  o("note", &Options::note, "what the model was trained on, kept in the file");
}

void TrainG2p::run(const CommandIo& io) {
  check_range("order", options_.order, 1, 20);
  if (!(options_.prune >= 0 && std::isfinite(options_.prune)))
    throw Error(Code::kFailed, "option 'prune' is out of range")
        .at("prune")
        .seen(std::to_string(options_.prune))
        .expected("0 or more");
  text::G2pDictionaryOptions layout = layout_of(options_.symbols);
  layout.all_pronunciations = options_.all_pronunciations;
  const auto entries = text::read_g2p_entries(options_.dictionary, layout);
  const text::G2pProgress progress = progress_of(io);
  size_t left_out = 0;
  const text::G2pModel model = text::train_g2p(
      entries,
      {.order = static_cast<int>(options_.order),
       .prune = options_.prune,
       .note = options_.note.empty() ? std::filesystem::path(options_.dictionary).filename().string() : options_.note},
      &left_out, progress);
  if (left_out > 0) {
    log(LogLevel::kWarning, "tts",
        std::to_string(left_out) + " of " + std::to_string(entries.size()) +
            " words were left out: they have more than two phonemes a letter");
  }
  model.save(options_.model);
  io.print_line(options_.model + ": " + std::to_string(entries.size() - left_out) + " words, " +
                std::to_string(model.phonemes().size()) + " phonemes, " + std::to_string(model.ngrams()) + " n-grams");
  if (options_.validation)
    print_errors(io, text::measure_g2p(model, text::read_g2p_entries(*options_.validation, layout), progress),
                 *options_.validation);
}

void SayWords::Options::describe(OptionSet<Options>& o) {
  o("words", &Options::words, "words to say");
  o("model", &Options::model, "a file of `fathom tts train-g2p`; without: the one for English that comes along");
  o("evaluate", &Options::evaluate, "a dictionary whose words the model is measured by");
  o("symbols", &Options::symbols, "of that dictionary: words or characters");
  o("most", &Options::most, "so many ways to say a word, best first, with their probabilities");
}

void SayWords::run(const CommandIo& io) {
  check_range("most", options_.most, 1, 1000);
  if (options_.words.empty() == !options_.evaluate)
    throw Error(Code::kUsage, "give words, or --evaluate DICTIONARY").next("fathom tts g2p --help");
  const auto model = open_trained_g2p(options_.model);
  for (const std::string& word : options_.words) {
    const auto said = model->pronounce(word, static_cast<size_t>(options_.most));
    if (said.empty() || said.front().phonemes.empty()) {
      throw Error(Code::kBadData, "the model cannot say this word")
          .seen(word)
          .expected("letters that its training's words have, at most " + std::to_string(text::G2pModel::kLongestWord));
    }
    for (const auto& one : said) {
      std::string line = word + "\t";
      for (size_t i = 0; i < one.phonemes.size(); ++i) line += (i == 0 ? "" : " ") + one.phonemes[i];
      if (options_.most > 1)
        line += "\t" + std::to_string(std::exp(one.log_probability - said.front().log_probability));
      io.print_line(line);
    }
  }
  if (options_.evaluate)
    print_errors(io,
                 text::measure_g2p(*model, text::read_g2p_entries(*options_.evaluate, layout_of(options_.symbols)),
                                   progress_of(io)),
                 *options_.evaluate);
}

}  // namespace fathom::tts
