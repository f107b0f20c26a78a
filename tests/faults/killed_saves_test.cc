// A process is killed while it saves, a hundred times at random: the file is the one that was there, or the new one,
// and whole either way.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <random>
#include <thread>

#include "core/archive/nemo_archive.h"
#include "core/archive/pickle_file.h"
#include "core/base/file.h"
#include "fathom/error.h"

namespace fathom::faults {
namespace {

namespace fs = std::filesystem;
using checkpoint::PickleValue;

constexpr int kKills = 100;
constexpr int64_t kWeights = 1 << 20;  // bytes: some milliseconds of writing
constexpr int kTensors = 4;

PickleValue content_of(int64_t version) {
  PickleValue out = PickleValue::dict();
  out.mutable_dict().set("version", version);
  for (int i = 0; i < kTensors; ++i) {
    checkpoint::PickleTensor tensor;
    auto bytes = std::make_shared<std::string>(kWeights, static_cast<char>(version + i));
    tensor.dtype = checkpoint::TensorDtype::kUInt8;
    tensor.sizes = {kWeights};
    tensor.strides = {1};
    tensor.storage = std::make_shared<checkpoint::PickleStorage>();
    tensor.storage->size = kWeights;
    tensor.storage->bytes = *bytes;
    tensor.storage->owner = bytes;
    out.mutable_dict().set(std::to_string(i), tensor);
  }
  return out;
}

// The version that the file is of; a failure unless all of it is.
int64_t version_of(const checkpoint::PickleFile& file) {
  const int64_t version = file.value.at("version").as_int();
  for (int i = 0; i < kTensors; ++i) {
    const auto& storage = *file.value.at(std::to_string(i)).as_tensor().storage;
    EXPECT_EQ(storage.bytes, std::string(kWeights, static_cast<char>(version + i))) << "a tensor of another version";
  }
  return version;
}

// What the engine's save_torch_file and save_nemo do with bytes.
void save_ckpt(const std::string& path, int64_t version) {
  const checkpoint::PickleFileWriter file(content_of(version));
  write_file_atomically(path, [&](FileWriter& writer) { file.write(writer); });
}
int64_t read_ckpt(const std::string& path) { return version_of(checkpoint::read_pickle_file(path)); }

void save_nemo(const std::string& path, int64_t version) {
  using checkpoint::NemoMember;
  const checkpoint::PickleFileWriter weights(content_of(version), "model_weights");
  const std::string text = "version: " + std::to_string(version) + "\n";
  checkpoint::write_nemo_archive(
      path, {NemoMember::of_text(std::string(checkpoint::kNemoConfig), text),
             {std::string(checkpoint::kNemoWeights), weights.size(), [&](FileWriter& file) { weights.write(file); }},
             NemoMember::of_text("vocab.txt", text)});
}
int64_t read_nemo(const std::string& path) {
  const auto archive = checkpoint::NemoArchive::open(path);
  const auto& weights = archive.at(checkpoint::kNemoWeights);
  const int64_t version = version_of(checkpoint::read_pickle_bytes(weights.bytes, weights.owner, path));
  EXPECT_EQ(archive.config_text(), "version: " + std::to_string(version) + "\n");
  EXPECT_EQ(archive.at("vocab.txt").bytes, archive.config_text());
  return version;
}

void kill_again_and_again(const std::string& name, const std::function<void(const std::string&, int64_t)>& save,
                          const std::function<int64_t(const std::string&)>& read) {
  const fs::path folder = testing::TempDir() + "fathom_killed_" + name + "_" + std::to_string(::getpid());
  fs::create_directories(folder);
  const std::string path = folder / ("model." + name);
  const unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  int64_t version = 1, half_written = 0;
  save(path, version);
  const auto started = std::chrono::steady_clock::now();
  save(path, version);
  const auto one_save =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started);
  for (int i = 0; i < kKills; ++i) {
    int done[2];
    ASSERT_EQ(::pipe(done), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int64_t next = version + 1;; ++next) {
        save(path, next);
        if (::write(done[1], &next, sizeof next) != sizeof next) ::_exit(1);
      }
    }
    ::close(done[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % (2 * one_save.count() + 1)));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself, with " << status;
    int64_t saved = version;
    for (int64_t told = 0; ::read(done[0], &told, sizeof told) == sizeof told;) saved = told;
    ::close(done[0]);
    try {
      version = read(path);
    } catch (const Error& error) {
      FAIL() << "kill " << i << " (seed " << seed << "): " << error.what();
    }
    ASSERT_GE(version, saved) << "what was saved is gone (seed " << seed << ")";
    ASSERT_LE(version, saved + 1) << "seed " << seed;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path() == path) continue;
      EXPECT_NE(entry.path().string().find(".tmp."), std::string::npos) << entry.path();
      fs::remove(entry.path());
      ++half_written;
    }
  }
  EXPECT_GT(half_written, kKills / 10) << "most kills came when nothing was being written: they tell nothing";
  std::printf("%s: %d kills, %lld of them in mid-save, up to version %lld\n", name.c_str(), kKills,
              static_cast<long long>(half_written), static_cast<long long>(version));
  fs::remove_all(folder);
}

TEST(KilledSaves, OfCheckpoints) { kill_again_and_again("ckpt", save_ckpt, read_ckpt); }
TEST(KilledSaves, OfModels) { kill_again_and_again("nemo", save_nemo, read_nemo); }

}  // namespace
}  // namespace fathom::faults
