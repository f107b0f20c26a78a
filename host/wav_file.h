// Audio that is written while it is made: RIFF WAV, mono, 16 bits. One thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace fathom::cli {

// Goes to a temporary file beside `path`, which close() puts in place of `path` in one step; without it `path` is left
// as it was. "-" and what is no ordinary file (a pipe) are written to as the audio comes, under a header that leaves
// the length open. Error(kCantCreate), Error(kIo).
class WavFile {
 public:
  WavFile(std::string path, int64_t sample_rate);
  ~WavFile();
  WavFile(const WavFile&) = delete;
  WavFile& operator=(const WavFile&) = delete;

  // From -1 to 1; what lies beyond is clipped, and counted.
  void write(const float* samples, size_t count);
  void close();
  int64_t clipped() const { return clipped_; }

 private:
  void put(const void* bytes, size_t count);

  const std::string path_;
  const int64_t sample_rate_;
  std::string temporary_;  // "" where the audio goes straight to its place
  std::FILE* file_ = nullptr;
  uint64_t bytes_ = 0;  // of audio
  int64_t clipped_ = 0;
};

}  // namespace fathom::cli
