// The config room: a whole `fathom config show`, reads of a composed tree, a big YAML file beside libyaml's own load of
// it: what typing, origins and strictness cost.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yaml.h>

#include <cmath>
#include <cstdlib>

#include "core/config/access.h"
#include "core/config/yaml_loader.h"
#include "core/hydra/composer.h"
#include "tests/bench/measure.h"

namespace {

using namespace fathom;  // NOLINT
constexpr double kNoPeer = NAN;

// Seconds of one run of a program whose output is thrown away.
double seconds_of_program(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  int status = 0;
  const double seconds = bench::seconds_of([&] {
    pid_t child = 0;
    if (::posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ) != 0) std::abort();
    ::waitpid(child, &status, 0);
  });
  posix_spawn_file_actions_destroy(&actions);
  if (status != 0) {
    std::fprintf(stderr, "%s failed\n", words[0].c_str());
    std::exit(1);
  }
  return seconds;
}

void bench_process() {
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) {
    times.push_back(
        seconds_of_program({FATHOM_BINARY_DIR "/bin/fathom", "config", "show", "-cp", FATHOM_SOURCE_DIR "/configs/asr",
                            "-cn", "citrinet_384", "trainer.max_epochs=3", "optim=adamw_cosine"}));
  }
  bench::report("config", "start, compose from 4 groups, print 440 lines", bench::median(times) * 1e3, kNoPeer, "none",
                "ms", true);
}

void bench_reads() {
  config::ComposeRequest request;
  request.config_path = FATHOM_SOURCE_DIR "/configs/asr";
  request.config_name = "citrinet_384";
  const config::Node job = config::compose(request).job;
  constexpr int kReads = 200000;
  int64_t sum = 0;
  const auto nanoseconds = [&](const std::function<void()>& read) {
    std::vector<double> times;
    for (int repeat = 0; repeat < 7; ++repeat) {
      times.push_back(bench::seconds_of([&] {
        for (int i = 0; i < kReads; ++i) read();
      }));
    }
    return bench::median(times) / kReads * 1e9;
  };
  const double plain = nanoseconds([&] {
    const config::Node* node = config::find_path(job, "model.model_defaults.enc_final");
    sum += std::get<int64_t>(node->value());
  });
  const double followed =
      nanoseconds([&] { sum += std::get<int64_t>(config::get(job, "model.decoder.feat_in").value()); });
  bench::report("config", "plain read, three keys deep", plain, kNoPeer, "none", "ns", true);
  bench::report("config", "read through an interpolation", followed, kNoPeer, "none", "ns", true);
  if (sum == 0) std::exit(1);
}

// Ten megabytes as experiment files look: nested maps, flow lists, numbers, quoted and plain words.
std::string big_yaml() {
  std::string text;
  for (int i = 0; text.size() < 10'000'000; ++i) {
    const std::string n = std::to_string(i);
    text += "section_" + n + ":\n  name: experiment " + n + "\n  lr: 1e-" + std::to_string(i % 7) +
            "\n  betas: [0.9, 0." + n + "]\n  nested:\n    path: \"/data/clips/" + n +
            ".wav\"\n    flags: {shuffle: true, drop_last: false, size: " + n +
            "}\n    list:\n      - 1\n      - word\n      - null\n";
  }
  return text;
}

// Pairs of the top mapping of the untyped document.
size_t untyped_size(const std::string& text) {
  yaml_parser_t parser;
  yaml_document_t document;
  if (yaml_parser_initialize(&parser) == 0) std::exit(1);
  yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  if (yaml_parser_load(&parser, &document) == 0) std::exit(1);
  const auto& pairs = yaml_document_get_root_node(&document)->data.mapping.pairs;
  const auto size = static_cast<size_t>(pairs.top - pairs.start);
  yaml_document_delete(&document);
  yaml_parser_delete(&parser);
  return size;
}

void bench_big_file() {
  const std::string text = big_yaml();
  size_t ours_size = 0, peer_size = 0;
  const auto timed = bench::alternate([&] { ours_size = config::load_yaml_text(text, "big.yaml").size(); },
                                      [&] { peer_size = untyped_size(text); }, 5);
  if (ours_size == 0 || ours_size != peer_size) std::exit(1);
  bench::report("config", "parse and type 10 MB of YAML", timed.ours * 1e3, timed.peer * 1e3,
                "libyaml's yaml_parser_load, untyped", "ms", true);
}

}  // namespace

int main() {
  bench_process();
  bench_reads();
  bench_big_file();
}
