// Clips a second from 8 kHz files to padded batches, on one core: the loader over the asr dataset beside a bare loop
// that decodes the same files with the same library. And opening a manifest of a million lines, beside parsing each
// line.
#include <ATen/Parallel.h>
#include <simdjson.h>
#include <sndfile.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "core/base/log.h"
#include "core/data/data_loader.h"
#include "core/plugins/host_table.h"
#include "tests/bench/measure.h"

namespace {

using namespace fathom;  // NOLINT
namespace fs = std::filesystem;

using Sound = std::unique_ptr<SNDFILE, int (*)(SNDFILE*)>;

// What a hand-written loop does: open, read all as float, close.
std::vector<float> decode(const std::string& path, SF_INFO& format) {
  const Sound file(sf_open(path.c_str(), SFM_READ, &format), &sf_close);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<float> samples(static_cast<size_t>(format.frames * format.channels));
  sf_readf_float(file.get(), samples.data(), format.frames);
  return samples;
}

struct Clips {
  std::string manifest;
  std::vector<std::string> files;
};

// The training digits as they are (flac), or as 16-bit wav in `folder`, with a manifest of whole paths.
Clips make_clips(const std::string& folder, bool wav) {
  const std::string digits = FATHOM_SOURCE_DIR "/tests/data/digits/";
  fs::create_directories(folder);
  Clips clips{folder + "/clips.json", {}};
  std::ofstream out(clips.manifest);
  std::ifstream in(digits + "train.json");
  for (std::string text; std::getline(in, text);) {
    nlohmann::json line = parse_text(text);
    std::string path = digits + line["audio_filepath"].get<std::string>();
    if (wav) {
      SF_INFO format{};
      const std::vector<float> samples = decode(path, format);
      path = folder + "/" + fs::path(path).stem().string() + ".wav";
      format.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
      const Sound file(sf_open(path.c_str(), SFM_WRITE, &format), &sf_close);
      sf_writef_float(file.get(), samples.data(), static_cast<sf_count_t>(samples.size()));
    }
    line["audio_filepath"] = path;
    out << json_text(line) << '\n';
    clips.files.push_back(path);
  }
  return clips;
}

DatasetHandle open_dataset(const std::string& manifest) {
  Json labels = {" ", "'"};
  for (char c = 'a'; c <= 'z'; ++c) labels.push_back(std::string(1, c));
  return DatasetHandle(create_object(1u << FATHOM_KIND_DATASET,
                                     {{"_target_", "asr.AudioToCharDataset"},
                                      {"manifest_filepath", manifest},
                                      {"sample_rate", 8000},
                                      {"labels", labels}},
                                     "bench"));
}

void bench_batches(const char* name, const Clips& clips) {
  DataLoader loader(open_dataset(clips.manifest), {.batch_size = 32, .shuffle = true}, 0);
  const auto count = static_cast<double>(clips.files.size());
  int64_t epoch = 0;
  double sum = 0;  // so that nothing is left out
  const auto timed = bench::alternate(
      [&] {
        loader.start_epoch(epoch++);
        while (const auto batch = loader.next()) sum += static_cast<double>(batch->tensor("audio_signal").size(1));
      },
      [&] {
        SF_INFO format{};
        for (const auto& file : clips.files) sum += decode(file, format).back();
      },
      15);
  bench::report("loader", name, count / timed.ours, count / timed.peer, "libsndfile alone: open, read, close",
                "clips/s/core", false, {{"clips", clips.files.size()}, {"us_per_clip", timed.ours / count * 1e6}});
}

double user_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec) * 1e-6;
}
double resident_mb() {
  std::ifstream status("/proc/self/statm");
  int64_t all = 0, pages = 0;
  status >> all >> pages;
  return static_cast<double>(pages * ::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void bench_manifest(const std::string& folder) {
  const std::string path = folder + "/million.json";
  {
    std::ofstream out(path, std::ios::binary);
    for (int i = 0; i < 1000000; ++i) {
      out << R"({"audio_filepath": "clips/part)" << i % 100 << "/utterance_" << i << R"(.wav", "duration": )" << i % 20
          << "." << i % 1000 << R"(, "text": "some words that stand for a transcript of usual length"})" << '\n';
    }
  }
  const double before = resident_mb();
  DatasetHandle kept = open_dataset(path);
  const double grown = resident_mb() - before;
  std::vector<double> user;
  const auto timed = bench::alternate(
      [&] {
        const double start = user_seconds();
        open_dataset(path);
        user.push_back(user_seconds() - start);
      },
      [&] {
        simdjson::dom::parser parser;
        std::ifstream in(path, std::ios::binary);
        double seconds = 0;
        for (std::string line; std::getline(in, line);) seconds += parser.parse(line)["duration"].get_double().value();
      },
      5);
  bench::report("loader", "opening a manifest of 1,000,000 lines", timed.ours, timed.peer,
                "std::getline and simdjson for each line, keeping nothing", "s", true,
                {{"user_s", bench::median(user)}, {"resident_mb", grown}});
}

}  // namespace

int main() {
  at::set_num_threads(1);
  set_log_level(LogLevel::kError);
  host_slot() = plugins::host_table();
  const std::string folder = (fs::temp_directory_path() / "fathom_bench_loader").string();
  fs::remove_all(folder);
  bench_batches("8 kHz wav digits to batches of 32", make_clips(folder + "/wav", true));
  bench_batches("8 kHz flac digits to batches of 32", make_clips(folder + "/flac", false));
  bench_manifest(folder);
  fs::remove_all(folder);
}
