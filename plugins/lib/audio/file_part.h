// Where audio lies in a file that holds more than it.
#pragma once

#include <cstdint>

namespace fathom::audio {

// A part of a file, such as a member of a tar archive (tar_index.h).
struct FilePart {
  int64_t begin = 0, size = -1;  // bytes; -1: the whole file
};

}  // namespace fathom::audio
