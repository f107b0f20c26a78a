// A file that libsndfile decodes. It reads the header of a wav file in twenty calls of the system, which for a short
// clip cost more than decoding it: here what it asks for comes out of a buffer, so that a short file is read in one
// call. A format is known by the file's content; by its name too where it is a whole file. One thread.
#pragma once

#include <sndfile.h>

#include <cstdint>
#include <memory>
#include <string>

#include "plugins/lib/audio/file_part.h"

namespace fathom::audio {

class SoundFile {
 public:
  // Errors name `where` (manifest file:line, "" = the path): kNoInput for a file that is missing or unreadable,
  // kBadData for one that is empty or no audio, or has a sampling rate that no recording has.
  explicit SoundFile(const std::string& path, const std::string& where = "", FilePart part = {});
  SoundFile(const SoundFile&) = delete;
  SoundFile& operator=(const SoundFile&) = delete;

  const SF_INFO& format() const { return format_; }
  int64_t size() const { return size_; }  // bytes
  SNDFILE* get() const { return file_.get(); }

 private:
  struct Close {
    void operator()(SNDFILE* file) const { sf_close(file); }
  };
  struct Descriptor {
    ~Descriptor();
    int value = -1;
  };
  void check_format(const std::string& path, const std::string& place) const;
  // As many bytes as there are of `count`, at position_.
  sf_count_t read(char* out, sf_count_t count);

  Descriptor descriptor_;
  int64_t begin_ = 0;  // of the part, in the file
  sf_count_t size_ = 0, position_ = 0;
  std::unique_ptr<char[]> buffer_;  // what lies at window_begin_
  sf_count_t buffer_size_ = 0, window_begin_ = 0, window_size_ = 0;
  SF_INFO format_{};
  std::unique_ptr<SNDFILE, Close> file_;  // reads through all of the above
};

}  // namespace fathom::audio
