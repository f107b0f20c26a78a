// Restoring the weights of a checkpoint of 120 million parameters (or argv[1] millions), beside one plain read of the
// file and, where FATHOM_PYTHON (default python3) has torch, its torch.load and load_state_dict; and saving them. How
// far resident memory rises meanwhile, over the weights: 1 is the model alone. Where Python has NeMo: from the start of
// a process to the first transcript of a small Conformer.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fcntl.h>
#include <torch/nn/module.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/checkpoint/torch_file.h"
#include "core/training/parameters.h"
#include "fathom/error.h"
#include "tests/bench/measure.h"
#include "tests/bench/python_peer.h"

namespace fathom {
namespace {

constexpr int64_t kWidth = 1024, kWeightsOfLayer = 5 * kWidth * kWidth;

// Shaped as the layers of an encoder: four matrices, a longer one, their biases, a norm.
class Layer final : public torch::nn::Module {
 public:
  Layer() {
    for (const char* name : {"q", "k", "v", "out"})
      register_parameter(std::string(name) + "_weight", at::zeros({kWidth, kWidth}));
    register_parameter("feed_weight", at::zeros({kWidth / 4, 4 * kWidth}));
    for (const char* name : {"bias", "norm_weight", "norm_bias"}) register_parameter(name, at::zeros({kWidth}));
  }
};

class Encoder final : public torch::nn::Module {
 public:
  explicit Encoder(int64_t layers) {
    for (int64_t i = 0; i < layers; ++i) register_module("layer" + std::to_string(i), std::make_shared<Layer>());
  }
};

// "VmRSS" or "VmHWM" (the highest since reset_peak), in bytes.
int64_t memory(const std::string& what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(what + ":")) return std::stoll(line.substr(what.size() + 1)) * 1024;
  }
  return 0;
}
void reset_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

double rise(int64_t weights, const std::function<void()>& body) {
  reset_peak();
  const int64_t before = memory("VmRSS");
  body();
  return static_cast<double>(memory("VmHWM") - before) / static_cast<double>(weights);
}

void plain_read(const std::string& path, std::vector<char>& into) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  size_t got = 0;
  for (ssize_t count = 1; count > 0; got += static_cast<size_t>(count))
    count = ::read(fd, into.data() + got, into.size() - got);
  ::close(fd);
  if (got != into.size()) throw Error(Code::kIo, "a short read").at(path);
}

int run_command(const std::string& command) {
  const int status = std::system((command + " > /dev/null 2>&1").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// From the start of the process to the text: the program's, and that of a Python that imports NeMo.
void report_first_transcript(const std::string& folder, const std::string& script, bench::PythonPeer& python) {
  if (run_command(python.python() + " -c 'import nemo.collections.asr'") != 0) {
    std::fprintf(stderr, "bench restore: %s has no NeMo: the first transcript is left out\n", python.python().c_str());
    return;
  }
  const std::string digits = FATHOM_SOURCE_DIR "/tests/data/digits", clip = digits + "/flac/7_theo_3.flac";
  const std::string fathom = FATHOM_BINARY_DIR "/bin/fathom", model = folder + "/run/checkpoints/small.nemo";
  if (run_command(fathom + " train -cp " FATHOM_SOURCE_DIR "/configs/asr -cn conformer_ctc_small name=small" +
                  " model.sample_rate=8000 model.train_ds.manifest_filepath=" + digits + "/train.json" +
                  " model.validation_ds.manifest_filepath=" + digits + "/validation.json model.train_ds.batch_size=2" +
                  " model.train_ds.num_workers=0 model.validation_ds.num_workers=0 ++trainer.max_steps=1" +
                  " ++trainer.limit_val_batches=1 ++exp_manager.explicit_log_dir=" + folder + "/run") != 0)
    throw Error(Code::kFailed, "no small Conformer came of its recipe").at(fathom);
  const std::string asked = folder + "/question";
  std::ofstream(asked) << json_text(Json::array({"transcribe", model, clip})) << "\n";
  const auto timed = bench::alternate(
      [&] {
        if (run_command(fathom + " --threads 1 transcribe " + model + " " + clip) != 0)
          throw Error(Code::kFailed, "the program failed").at(fathom);
      },
      [&] {
        if (run_command(python.python() + " -W ignore " + script + " < " + asked) != 0)
          throw Error(Code::kFailed, "NeMo failed").at(python.python());
      },
      3);
  const Json answer = parse_text(python.ask(json_text(Json::array({"transcribe", model, clip}))));
  bench::report("restore", "first transcript of a small Conformer, whole process", timed.ours, timed.peer, "NeMo", "s",
                true, {{"peer_without_imports", answer[0]}});
}

int run(int64_t millions) {
  at::set_num_threads(1);
  const std::string folder = std::filesystem::temp_directory_path() / ("fathom_bench_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/weights.ckpt";
  const int64_t layers = std::max<int64_t>(1, millions * 1'000'000 / kWeightsOfLayer);
  const auto save = [&](const torch::nn::Module& module) {
    auto content = checkpoint::PickleValue::dict();
    content.mutable_dict().set("state_dict", checkpoint::state_dict_value(training::state_dict(module)));
    checkpoint::save_torch_file(path, content);
  };
  const auto load = [&](torch::nn::Module& module) {
    const checkpoint::PickleValue file = checkpoint::map_torch_file(path);
    training::load_state_dict(module, checkpoint::state_dict_tensors(file.at("state_dict")), true, path);
  };

  int64_t weights = 0;
  double saving = 0;
  {
    Encoder model(layers);
    for (const auto& [name, tensor] : training::state_dict(model)) {
      const at::NoGradGuard no_grad;
      at::Tensor(tensor).uniform_();
      weights += static_cast<int64_t>(tensor.nbytes());
    }
    saving = rise(weights, [&] { save(model); });
  }
  std::shared_ptr<Encoder> model;
  const double restoring = rise(weights, [&] {
    model = std::make_shared<Encoder>(layers);
    load(*model);
  });
  double owned = 0;
  {
    checkpoint::PickleValue file;
    owned = rise(weights, [&] { file = checkpoint::load_torch_file(path); });
  }
  std::vector<char> buffer(std::filesystem::file_size(path));
  const auto timed = bench::alternate([&] { load(*model); }, [&] { plain_read(path, buffer); }, 5);
  bench::report("restore", std::to_string(weights / 4'000'000) + " M parameters", timed.ours, timed.peer,
                "one read of the file", "s", true,
                {{"peak_rss_over_weights", restoring},
                 {"peak_rss_over_weights_read_alone", owned},
                 {"peak_rss_over_weights_when_saving", saving}});
  const std::string script = FATHOM_SOURCE_DIR "/tests/bench/bench_restore.py";
  bench::PythonPeer python(script);
  if (python.answers()) {
    const std::string question = json_text(Json::array({"load", path}));
    double peak = 0;
    const std::vector<double> seconds = bench::in_turn({[&] { return bench::seconds_of([&] { load(*model); }); },
                                                        [&] {
                                                          const Json answer = parse_text(python.ask(question));
                                                          peak = answer[1];
                                                          return answer[0].get<double>();
                                                        }},
                                                       5);
    bench::report("restore", std::to_string(weights / 4'000'000) + " M parameters", seconds[0], seconds[1],
                  "torch.load and load_state_dict of torch " + python.greeting(), "s", true,
                  {{"peak_rss_over_weights", restoring}, {"peer_peak_rss_over_weights", peak}});
    report_first_transcript(folder, script, python);
  } else {
    std::fprintf(stderr, "bench restore: %s has no torch (set FATHOM_PYTHON): its peers are left out\n",
                 python.python().c_str());
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) { return fathom::run(argc > 1 ? std::atoll(argv[1]) : 120); }
