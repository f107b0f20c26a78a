// What a tar archive holds and where, so that a clip is read from it like a file of its own: shards need not be read
// from front to back. Uses no torch; no state, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom::audio {

struct TarMember {
  std::string name;
  int64_t begin = 0, size = 0;  // bytes
};

// The regular files of an archive, in its order: ustar, GNU's long names and sizes, pax. Only headers are read.
// Errors name the archive: kNoInput for one that is missing or unreadable, kBadData for one that is compressed, that
// ends before a member does, or that is no tar archive.
std::vector<TarMember> tar_members(const std::string& path);

}  // namespace fathom::audio
