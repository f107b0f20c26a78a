#include "host/wav_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "fathom/support.h"

namespace fathom::cli {
namespace {

Error failure(Code code, const std::string& what, const std::string& path) {
  return Error(code, what).at(path).seen(std::strerror(errno));
}

// 44 bytes. https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html
std::array<char, 44> header(int64_t sample_rate, uint64_t bytes) {
  std::array<char, 44> out{};
  const auto put = [&](size_t at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) out[at + i] = static_cast<char>(value >> (8 * i));
  };
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  std::memcpy(out.data(), "RIFF    WAVEfmt ", 16);
  put(4, std::min(bytes + 36, kMost), 4);
  put(16, 16, 4);  // bytes of what follows
  put(20, 1, 2);   // PCM
  put(22, 1, 2);   // channels
  put(24, static_cast<uint64_t>(sample_rate), 4);
  put(28, static_cast<uint64_t>(sample_rate) * 2, 4);
  put(32, 2, 2);
  put(34, 16, 2);
  std::memcpy(out.data() + 36, "data", 4);
  put(40, std::min(bytes, kMost), 4);
  return out;
}

}  // namespace

WavFile::WavFile(std::string path, int64_t sample_rate) : path_(std::move(path)), sample_rate_(sample_rate) {
  struct stat known {};
  if (path_ == "-") {
    file_ = stdout;
  } else if (::stat(path_.c_str(), &known) == 0 && !S_ISREG(known.st_mode)) {
    file_ = std::fopen(path_.c_str(), "wb");
  } else {
    temporary_ = path_ + ".XXXXXX";
    const int descriptor = ::mkstemp(temporary_.data());
    if (descriptor < 0) {
      temporary_.clear();
    } else {
      const mode_t mask = ::umask(0);
      ::umask(mask);
      ::fchmod(descriptor, 0666 & ~mask);
      file_ = ::fdopen(descriptor, "wb");
    }
  }
  if (file_ == nullptr) throw failure(Code::kCantCreate, "the audio file cannot be written", path_);
  const auto open_ended = header(sample_rate_, std::numeric_limits<uint32_t>::max());
  put(open_ended.data(), open_ended.size());
}

WavFile::~WavFile() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void WavFile::put(const void* bytes, size_t count) {
  if (std::fwrite(bytes, 1, count, file_) != count) throw failure(Code::kIo, "audio cannot be written", path_);
}

void WavFile::write(const float* samples, size_t count) {
  std::vector<unsigned char> bytes(2 * count);
  for (size_t i = 0; i < count; ++i) {
    // Nothing that is no number reaches a loudspeaker.
    const float sample = std::isfinite(samples[i]) ? samples[i] : 0.0f;
    if (std::abs(sample) > 1.0f || !std::isfinite(samples[i])) ++clipped_;
    const auto value = static_cast<int16_t>(std::lrintf(std::clamp(sample, -1.0f, 1.0f) * 32767.0f));
    bytes[2 * i] = static_cast<unsigned char>(value & 0xFF);
    bytes[2 * i + 1] = static_cast<unsigned char>((value >> 8) & 0xFF);
  }
  put(bytes.data(), bytes.size());
  if (temporary_.empty() && std::fflush(file_) != 0) throw failure(Code::kIo, "audio cannot be written", path_);
  bytes_ += bytes.size();
}

void WavFile::close() {
  if (!temporary_.empty()) {
    const auto known = header(sample_rate_, bytes_);
    if (std::fseek(file_, 0, SEEK_SET) != 0) throw failure(Code::kIo, "audio cannot be written", path_);
    put(known.data(), known.size());
  }
  if (std::fflush(file_) != 0 || (!temporary_.empty() && ::fsync(::fileno(file_)) != 0))
    throw failure(Code::kIo, "audio cannot be written", path_);
  if (file_ != stdout && std::fclose(file_) != 0) {
    file_ = nullptr;
    throw failure(Code::kIo, "audio cannot be written", path_);
  }
  file_ = nullptr;
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw failure(Code::kCantCreate, "the audio file cannot be put in its place", path_);
  temporary_.clear();
}

}  // namespace fathom::cli
