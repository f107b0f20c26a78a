#include "plugins/lib/audio/sound_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fathom/error.h"

namespace fathom::audio {
namespace {

constexpr sf_count_t kBuffer = 1 << 16;

// Only reading happens; libsndfile wants to be told so by a function.
sf_count_t write_nothing(const void*, sf_count_t, void*) { return 0; }

}  // namespace

SoundFile::SoundFile(const std::string& path, const std::string& where, FilePart part) {
  const std::string& place = where.empty() ? path : where;
  // O_NONBLOCK: a pipe that nobody writes into is refused below, and not waited for.
  descriptor_.value = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info {};
  const auto refuse = [&](Error&& error) { throw std::move(error).at(place).seen(path); };
  if (descriptor_.value < 0 || ::fstat(descriptor_.value, &info) != 0)
    refuse(Error(Code::kNoInput, std::string("audio file cannot be opened: ") + std::strerror(errno)));
  if (S_ISDIR(info.st_mode)) refuse(Error(Code::kNoInput, "audio file is a folder"));
  const bool is_whole = part.size < 0;
  begin_ = is_whole ? 0 : part.begin;
  size_ = is_whole ? info.st_size : part.size;
  if (size_ == 0) refuse(Error(Code::kBadData, "audio file is empty (0 bytes)"));
  if (begin_ + size_ > info.st_size) refuse(Error(Code::kBadData, "archive has become shorter since it was opened"));
  buffer_size_ = std::min(size_, kBuffer);
  buffer_.reset(new char[static_cast<size_t>(buffer_size_)]);

  SF_VIRTUAL_IO io = {
      [](void* self) { return static_cast<SoundFile*>(self)->size_; },
      [](sf_count_t offset, int whence, void* self) {
        auto& file = *static_cast<SoundFile*>(self);
        file.position_ = offset + (whence == SEEK_CUR ? file.position_ : whence == SEEK_END ? file.size_ : 0);
        return file.position_;
      },
      [](void* out, sf_count_t count, void* self) {
        return static_cast<SoundFile*>(self)->read(static_cast<char*>(out), count);
      },
      &write_nothing, [](void* self) { return static_cast<SoundFile*>(self)->position_; }};
  file_.reset(sf_open_virtual(&io, SFM_READ, &format_, this));
  // Some formats are known by a file's name alone.
  if (file_ == nullptr && is_whole) file_.reset(sf_open(path.c_str(), SFM_READ, &(format_ = {})));
  if (file_ != nullptr) {
    check_format(path, place);
    return;
  }
  std::string reason = sf_strerror(nullptr);
  while (!reason.empty() && (reason.back() == '.' || reason.back() == '\n')) reason.pop_back();
  refuse(Error(Code::kBadData, "file is not audio that can be read: " + reason)
             .expected("wav, flac, ogg or another format of libsndfile"));
}

// Resampling multiplies by the ratio of two rates: a header that claims 1 Hz would fill the memory from a few seconds.
void SoundFile::check_format(const std::string& path, const std::string& place) const {
  constexpr int kLowest = 500, kHighest = 10'000'000;
  if (format_.samplerate >= kLowest && format_.samplerate <= kHighest && format_.channels > 0) return;
  throw Error(Code::kBadData, "audio file has a header that makes no sense")
      .at(place)
      .seen(path + ": " + std::to_string(format_.samplerate) + " Hz, " + std::to_string(format_.channels) + " channels")
      .expected("a sampling rate of " + std::to_string(kLowest) + " to " + std::to_string(kHighest) + " Hz");
}

SoundFile::Descriptor::~Descriptor() {
  if (value >= 0) ::close(value);
}

sf_count_t SoundFile::read(char* out, sf_count_t count) {
  sf_count_t done = 0;
  const auto read_at_position = [&](char* to, sf_count_t most) {
    most = std::min(most, size_ - position_);
    ssize_t got = 0;
    do {
      got = ::pread(descriptor_.value, to, static_cast<size_t>(most), begin_ + position_);
    } while (got < 0 && errno == EINTR);
    return std::max<sf_count_t>(got, 0);  // what fails looks like the end; the frames that lack are told
  };
  while (done < count && position_ >= 0 && position_ < size_) {
    const sf_count_t ahead = position_ - window_begin_;
    sf_count_t got = 0;
    if (ahead >= 0 && ahead < window_size_) {
      got = std::min(count - done, window_size_ - ahead);
      std::memcpy(out + done, buffer_.get() + ahead, static_cast<size_t>(got));
    } else if (count - done >= buffer_size_) {
      got = read_at_position(out + done, count - done);
    } else {
      window_begin_ = position_;
      window_size_ = read_at_position(buffer_.get(), buffer_size_);
      if (window_size_ > 0) continue;
    }
    if (got == 0) break;
    done += got;
    position_ += got;
  }
  return done;
}

}  // namespace fathom::audio
