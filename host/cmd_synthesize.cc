#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/model_files/pretrained.h"
#include "host/arguments.h"
#include "host/engine_loader.h"
#include "host/output.h"
#include "host/signals.h"
#include "host/wav_file.h"

namespace fathom::cli {
namespace {

// Keys of a line of --input that say where and what; all others are options of the model.
const std::vector<std::string> kLineKeys = {"text", "output", "audio_filepath", "duration", "offset"};

// What is to be said: one text, or the lines of a file.
class Texts {
 public:
  Texts(std::string text, std::string input, std::string output, std::string folder)
      : text_(std::move(text)), input_(std::move(input)), output_(std::move(output)), folder_(std::move(folder)) {
    if (input_.empty() || input_ == "-") return;
    file_.open(input_);
    if (!file_) throw Error(Code::kNoInput, "no such file of texts").at(input_);
  }
  std::optional<Utterance> next() {
    if (input_.empty())
      return std::exchange(done_, true) ? std::nullopt : std::optional(Utterance{text_, Json::object()});
    std::string line;
    while (std::getline(input_ == "-" ? std::cin : file_, line)) {
      ++number_;
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      return line.starts_with("{") ? from_json(line) : Utterance{line, Json::object()};
    }
    return std::nullopt;
  }
  // Where the text that next() gave last is to be heard.
  std::string output() const {
    if (!line_output_.empty()) return line_output_;
    if (folder_.empty()) return output_;
    return fmt::format("{}/{:05}.wav", folder_, number_);
  }
  // Whether every text has a file of its own.
  bool is_list() const { return !input_.empty() && !folder_.empty(); }
  std::string place() const {
    return input_.empty() ? "--text" : fmt::format("{}:{}", input_ == "-" ? "<stdin>" : input_, number_);
  }

 private:
  Utterance from_json(const std::string& line) {
    const Json item = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!item.is_object() || !item.contains("text") || !item["text"].is_string()) {
      throw Error(Code::kBadData, "the line is no JSON object with a `text`").at(place()).seen(line.substr(0, 80));
    }
    line_output_.clear();
    if (item.contains("output")) {
      if (!item["output"].is_string() || folder_.empty()) {
        throw Error(Code::kBadData, "`output` is a file's name below --output-dir")
            .at(place())
            .seen(json_text(item["output"]) + (folder_.empty() ? ", and no --output-dir" : ""));
      }
      const auto name = item["output"].get<std::string>();
      line_output_ = name.starts_with("/") ? name : folder_ + "/" + name;
    }
    Utterance utterance{item["text"], Json::object()};
    for (const auto& [key, value] : item.items()) {
      if (std::find(kLineKeys.begin(), kLineKeys.end(), key) == kLineKeys.end()) utterance.options[key] = value;
    }
    return utterance;
  }
  const std::string text_, input_, output_, folder_;
  std::string line_output_;
  std::ifstream file_;
  int64_t number_ = 0;
  bool done_ = false;
};

// A program that plays a WAV file from its standard input: the first of kPlayers on PATH. While it lives, a player that
// goes away is an error of writing, not a signal that ends this program.
class Player {
 public:
  Player() {
    for (const auto& [program, command] : kPlayers) {
      if (!on_path(program)) continue;
      pipe_ = ::popen(command, "w");
      if (pipe_ == nullptr) continue;
      program_ = program;
      std::signal(SIGPIPE, SIG_IGN);  // after popen(), as the player is to keep the usual way
      return;
    }
    std::string known;
    for (const auto& player : kPlayers) known += (known.empty() ? "" : ", ") + std::string(player.first);
    throw Error(Code::kUnavailable, "there is no player on this machine")
        .expected("one of " + known)
        .next("write a file: --output out.wav");
  }
  ~Player() {
    if (pipe_ != nullptr) ::pclose(pipe_);
  }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;
  std::string path() const { return fmt::format("/dev/fd/{}", ::fileno(pipe_)); }
  // Waits until all is heard. Code kUnavailable when the player says that it could not.
  void finish() {
    const int status = ::pclose(std::exchange(pipe_, nullptr));
    if (status == 0) return;
    throw Error(Code::kUnavailable, "the player failed: not all was heard")
        .at(program_)
        .seen(WIFEXITED(status) ? fmt::format("exit status {}", WEXITSTATUS(status))
                                : fmt::format("ended by signal {}", WTERMSIG(status)))
        .next("see what it says above, or write a file: --output out.wav");
  }

 private:
  static constexpr std::array<std::pair<const char*, const char*>, 4> kPlayers = {
      {{"paplay", "exec paplay /dev/stdin"},
       {"aplay", "exec aplay -q -"},
       {"ffplay", "exec ffplay -nodisp -autoexit -loglevel error -i -"},
       {"play", "exec play -q -t wav -"}}};
  static bool on_path(const std::string& program) {
    const char* path = std::getenv("PATH");
    std::string folders = path == nullptr ? "/usr/bin:/bin" : path;
    for (size_t from = 0; from <= folders.size();) {
      const size_t to = std::min(folders.find(':', from), folders.size());
      if (::access((folders.substr(from, to - from) + "/" + program).c_str(), X_OK) == 0) return true;
      from = to + 1;
    }
    return false;
  }
  std::FILE* pipe_ = nullptr;
  std::string program_;
};

Json option_value(const std::string& text) {
  const Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? Json(text) : value;
}

}  // namespace

int run_synthesize(const Words& words, const Globals& globals) {
  SynthesisRequest request;
  std::string text, input, output, folder, precision;
  std::vector<std::string> options;
  std::optional<int64_t> speaker, seed;
  std::optional<double> pace, pitch, denoise;
  bool play = false, json = false, no_normalize = false;
  CLI::App app(
      "Text to speech.\n\n"
      "  fathom synthesize fastpitch.nemo --vocoder hifigan.nemo --text \"Good morning.\" --output morning.wav\n"
      "  fathom synthesize fastpitch.nemo --vocoder hifigan.nemo --input lines.jsonl --output-dir spoken\n"
      "  cat book.txt | fathom synthesize vits.nemo --input - --output - | aplay\n\n"
      "A line of --input is a text, or a JSON object {text, output?, and options of the model}. Without a vocoder, "
      "spectrograms are made audible by Griffin-Lim.",
      "fathom synthesize");
  app.add_option("model,--model", request.model, "a .nemo file, or the name of a pretrained model (fathom models)")
      ->required();
  app.add_option("--vocoder", request.vocoder, "a vocoder's .nemo file, or its name");
  auto* text_flag = app.add_option("--text", text, "what to say");
  auto* input_flag = app.add_option("--input", input, "file of texts, one a line; - is stdin");
  app.add_option("--output,-o", output, "WAV file; - is stdout");
  app.add_option("--output-dir", folder, "a WAV file for each line of --input: 00001.wav, or its `output`");
  app.add_flag("--play", play, "play it: paplay, aplay, ffplay or play");
  app.add_option("--speaker", speaker, "of a model with several voices: its index");
  app.add_option("--pace", pace, "1: as trained; 2: twice as fast")->check(CLI::PositiveNumber);
  app.add_option("--pitch", pitch, "shift of the pitch, in semitones");
  app.add_option("--seed", seed, "of models that draw at random");
  app.add_option("--denoise", denoise, "strength of the vocoder's removal of its own hum")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--precision", precision, "of the vocoder: 32 or bf16, which takes half the time where it is fast");
  app.add_option("--option", options, "another option of the model: KEY=VALUE")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--chunk-frames", request.chunk_frames, "frames of a spectrogram made audible together; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_flag("--no-normalize", no_normalize, "the text is words already: numbers and dates are left as they are");
  app.add_flag("--json", json, "one JSON object a text on stdout: {text, output, duration, tokens, …}");
  if (parse_arguments(app, words)) return 0;
  const auto usage = [](const std::string& what) { return Error(Code::kUsage, what).next("fathom synthesize --help"); };
  if (text_flag->empty() == input_flag->empty()) throw usage("give --text or --input, one of them");
  if ((output.empty() ? 0 : 1) + (folder.empty() ? 0 : 1) + (play ? 1 : 0) != 1)
    throw usage("give --output, --output-dir or --play, one of them");
  if (!folder.empty() && input.empty()) throw usage("--output-dir goes with --input");
  if (json && output == "-") throw usage("--json and the audio cannot both go to stdout");
  for (const std::string* file : {&request.model, &request.vocoder}) {
    if (file->empty()) continue;
    const std::string found = model_files::model_file(*file);
    if (!file_exists(found)) throw Error(Code::kNoInput, "no such model file").at(found);
    (file == &request.model ? request.model : request.vocoder) = found;
  }
  request.vocoder_section = {{"_target_", "tts.GriffinLimModel"}};
  request.normalize = !no_normalize;
  request.threads = globals.threads;
  if (speaker) request.options["speaker"] = *speaker;
  if (pace) request.options["pace"] = *pace;
  if (pitch) request.options["pitch"] = *pitch;
  if (seed) request.options["seed"] = *seed;
  if (denoise) request.vocoder_options["denoise"] = *denoise;
  if (!precision.empty()) request.vocoder_options["precision"] = precision;
  for (const auto& option : options) {
    const size_t sign = option.find('=');
    if (sign == std::string::npos || sign == 0)
      throw usage("--option needs a key and a value").seen(option).expected("KEY=VALUE");
    request.options[option.substr(0, sign)] = option_value(option.substr(sign + 1));
  }
  Texts texts(text, input, output, folder);
  if (!folder.empty()) create_directories(folder);
  std::unique_ptr<Player> player = play ? std::make_unique<Player>() : nullptr;

  std::unique_ptr<WavFile> wav;
  int64_t sample_rate = 0, clipped = 0;
  double seconds = 0, spoken = 0, first_audio = -1;
  const auto end_file = [&] {
    if (!wav) return;
    wav->close();
    clipped += wav->clipped();
    wav.reset();
  };
  SynthesisSink sink;
  sink.begin = [&](int64_t rate) { sample_rate = rate; };
  sink.samples = [&](const float* samples, size_t count) {
    if (!wav) wav = std::make_unique<WavFile>(player ? player->path() : texts.output(), sample_rate);
    wav->write(samples, count);
  };
  sink.end = [&](const Json& report) {
    spoken += report["duration"].get<double>();
    seconds += report["seconds"].get<double>();
    if (first_audio < 0) first_audio = report["first_audio_seconds"].get<double>();
    if (report.contains("skipped")) {
      std::string list;
      for (const auto& [symbol, count] : report["skipped"].items())
        list += (list.empty() ? "" : ", ") + fmt::format("'{}' ({})", symbol, count.get<int64_t>());
      log_warning("synthesize", "{}: left out, as the model has no token for them: {}", texts.place(), list);
    }
    if (texts.is_list()) end_file();
    if (json) {
      Json line = report;
      line["output"] = play ? "" : texts.output();
      print_line(json_text(line));
    }
  };
  catch_interrupts();
  try {
    engine().synthesize(request, [&] { return texts.next(); }, sink);
    end_file();
    if (player) player->finish();
  } catch (Error& error) {
    if (player && error.code() == Code::kIo) {  // why it stopped listening says more than a broken pipe
      wav.reset();
      player->finish();
    }
    if (error.code() == Code::kInterrupted) return interrupt_status(/*saved=*/false);
    if (error.code() == Code::kBadData) error.locate(texts.place());
    throw;
  }
  if (spoken == 0) throw Error(Code::kBadData, "no text to speak").at(texts.place()).seen("only empty lines");
  if (clipped > 0) log_warning("synthesize", "{} samples were beyond full scale and are clipped", clipped);
  fmt::print(stderr, "{:.2f} s of speech in {:.2f} s ({:.1f} x real time), first audio after {:.3f} s\n", spoken,
             seconds, spoken / seconds, first_audio);
  return 0;
}

}  // namespace fathom::cli
