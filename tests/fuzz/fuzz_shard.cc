// A tar file of audio, whose members must lie in it: nothing else is read of them.
#include "core/base/file.h"
#include "plugins/lib/audio/tar_index.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  const std::string path = fuzz::scratch_folder() + "/fuzz.tar";
  write_file_atomically(path, bytes);
  try {
    int64_t end = 0;
    for (const audio::TarMember& member : audio::tar_members(path)) {
      fuzz::must_equal("true", member.begin >= end && member.size >= 0 ? "true" : member.name, "a member overlaps");
      end = member.begin + member.size;
      fuzz::must_equal("true", end <= static_cast<int64_t>(bytes.size()) ? "true" : member.name,
                       "a member ends behind");
    }
  } catch (const Error&) {
  }
}

}  // namespace

FATHOM_FUZZ(one_input)
