// A .nemo archive, plain or compressed, unpacked: nothing may be written outside the folder.
#include "core/archive/nemo_archive.h"
#include "core/base/file.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT
namespace fs = std::filesystem;

void one_input(std::string_view bytes) {
  const fs::path scratch = fuzz::scratch_folder();
  const std::string path = scratch / "fuzz.nemo", out = scratch / "out";
  write_file_atomically(path, bytes);
  struct Removed {
    ~Removed() { fs::remove_all(folder); }
    fs::path folder;
  } const removed{out};
  try {
    const auto archive = checkpoint::NemoArchive::open(path);
    archive.extract_artifacts(out);
    for (const auto& member : archive.members()) {
      if (member.name.ends_with(checkpoint::kNemoWeights)) continue;
      fuzz::must_equal(std::string(member.bytes), read_file(out + "/" + member.name), "a member has other bytes");
    }
  } catch (const Error&) {
  }
  for (const auto& entry : fs::directory_iterator(scratch))
    fuzz::must_equal("true", entry.path() == path || entry.path() == out ? "true" : entry.path().string(),
                     "a file outside the folder");
}

}  // namespace

FATHOM_FUZZ(one_input)
