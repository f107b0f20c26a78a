// A model that speaks, a vocoder, and two commands: each letter of a text is a few frames of one band, and a frame is
// the mean of itself and its neighbours, held for a hop. `fathom toy shout` shows what a command may take.
#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>

#include "fathom/command.h"
#include "fathom/model.h"
#include "fathom/model_files.h"
#include "fathom/synthesis.h"

namespace {

using namespace fathom;  // NOLINT

constexpr int64_t kBands = 26, kHop = 4;

class Speech : public Model {
 public:
  using Model::Model;
  MadeDataset make_dataset(Stage, const Json&, const std::string&) override { return {}; }
  Values forward(const Values& in) override { return in; }
  at::Tensor training_step(const Values&, const Step&) override { return {}; }
  void validation_step(const Values&, const Step&) override {}

 protected:
  Json front_end() const {
    return {{"sample_rate", 8000}, {"features", config().value("features", kBands)}, {"n_window_stride", kHop}};
  }
};

// Knows a voice by how loud a file's halves are: an embedding of files.
class Ear final : public Speech {
 public:
  using Speech::Speech;
  MadeDataset make_dataset(Stage stage, const Json& section, const std::string&) override {
    if (stage != Stage::kPredict) return {};
    return std::make_shared<Files>(section.at("paths").get<std::vector<std::string>>());
  }
  std::vector<Values> predict_step(const Values& batch, const Json&) override {
    std::vector<Values> out;
    for (const Value& path : batch["paths"].list()) {
      std::ifstream file(path.text(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)), {});
      double first = 0, second = 0;
      for (size_t at = 44; at + 1 < bytes.size(); at += 2) {
        int16_t sample = 0;
        std::memcpy(&sample, bytes.data() + at, sizeof sample);
        (at < bytes.size() / 2 ? first : second) += std::abs(sample);
      }
      Values item;
      if (config().value("gives", true)) item.add("embedding", std::vector<Value>{Value(first), Value(second)});
      out.push_back(std::move(item));
    }
    return out;
  }

 private:
  class Files final : public DatasetOf<std::string> {
   public:
    explicit Files(std::vector<std::string> paths) : paths_(std::move(paths)) {}
    int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
    std::string get(int64_t index, uint64_t) const override { return paths_[static_cast<size_t>(index)]; }
    Values collate(const std::vector<const std::string*>& samples) const override {
      std::vector<Value> paths;
      for (const auto* path : samples) paths.emplace_back(*path);
      return {{"paths", paths}};
    }

   private:
    std::vector<std::string> paths_;
  };
};

class Voice final : public Speech, public SpeechSynthesizer {
 public:
  using Speech::Speech;
  Json synthesis_info() const override {
    return {{"sample_rate", 8000}, {"output", "spectrogram"}, {"front_end", front_end()}, {"speakers", 0}};
  }
  Values parse(const std::string& text, const Json&) override {
    std::vector<int64_t> tokens;
    Json skipped = Json::object();
    for (const char c : text) {
      if (c >= 'a' && c <= 'z')
        tokens.push_back(c - 'a');
      else
        skipped[std::string(1, c)] = skipped.value(std::string(1, c), 0) + 1;
    }
    if (tokens.empty()) throw Error(Code::kBadData, "nothing to speak").seen(text);
    return {{"tokens", at::tensor(tokens).unsqueeze(0)}, {"skipped", json_text(skipped)}};
  }
  Values synthesize(const Values& parsed, const Json& options) override {
    for (const auto& [key, value] : options.items()) {
      if (key != "pace") throw Error(Code::kUsage, "no such option").seen(key).expected("pace");
    }
    const auto frames = static_cast<int64_t>(6 / options.value("pace", 1.0));
    const at::Tensor tokens = parsed.tensor("tokens").repeat_interleave(frames, 1);
    return {{"spect", at::one_hot(tokens, kBands).transpose(1, 2).to(at::kFloat)}};
  }
};

class Held final : public Speech, public Vocoder {
 public:
  using Speech::Speech;
  Json vocoder_info() const override {
    return {{"sample_rate", 8000}, {"hop_length", kHop}, {"context", 1}, {"front_end", front_end()}};
  }
  Values vocode(const Values& in, const Json&) override {
    const at::Tensor level = at::arange(kBands, at::kFloat).div(kBands).view({1, kBands, 1});
    const at::Tensor frames = (in.tensor("spect") * level).sum(1, /*keepdim=*/true);
    return {{"audio", at::avg_pool1d(frames, 3, 1, 1).repeat_interleave(kHop, 2).squeeze(1)}};
  }
};

class Shout final : public Command {
 public:
  struct Options {
    std::vector<std::string> words;
    std::string mark = "!";
    int64_t times = 1;
    bool loud = true;
    std::optional<double> volume;
    static void describe(OptionSet<Options>& o) {
      o.required("words", &Options::words, "what to shout");
      o("mark", &Options::mark, "at the end");
      o("times", &Options::times, "how often");
      o("loud", &Options::loud, "in capitals");
      o("volume", &Options::volume, "of the voice");
    }
  };
  static std::vector<std::string> positionals() { return {"words"}; }
  explicit Shout(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override {
    std::string line;
    for (std::string word : options_.words) {
      if (options_.loud) std::transform(word.begin(), word.end(), word.begin(), ::toupper);
      line += (line.empty() ? "" : " ") + word;
    }
    if (options_.volume) line += " at " + std::to_string(*options_.volume);
    for (int64_t i = 0; i < options_.times; ++i) {
      io.check_stopped();
      io.progress("shouts", static_cast<uint64_t>(i), static_cast<uint64_t>(options_.times));
      io.print_line(line + options_.mark);
    }
  }

 private:
  Options options_;
};

// Which tensors a file holds, and what another model says of itself.
class Look final : public Command {
 public:
  struct Options {
    std::string tensors, model;
    static void describe(OptionSet<Options>& o) {
      o("tensors", &Options::tensors, "a file of tensors");
      o("model", &Options::model, "a model that speaks");
    }
  };
  explicit Look(const Options& options) : options_(options) {}
  void run(const CommandIo& io) override {
    if (!options_.tensors.empty()) {
      for (const auto& [name, value] : load_tensors(options_.tensors))
        io.print_line("'" + name + "' " + std::to_string(value.tensor().sum().item<double>()));
    }
    if (!options_.model.empty()) {
      const LoadedModel loaded(options_.model);
      io.print_line(json_text(SpeechSynthesizerHandle(loaded.model().object()).info()));
    }
  }

 private:
  Options options_;
};

}  // namespace

FATHOM_PLUGIN("toy_voice", "1.0", "Apache-2.0", "the tests", "") {
  r.add<Voice>("toy.Voice", "a band a letter");
  r.add<Ear>("toy.Ear", "how loud a file is");
  r.add<Held>("toy.Held", "frames that are held");
  r.add<Shout>("toy.shout", "words, louder");
  r.add<Look>("toy.look", "what is in a file");
}
