// A .nemo or .ckpt file as `fathom inspect` opens it.
#include "core/archive/inspect.h"
#include "core/base/file.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  const std::string path = fuzz::scratch_folder() + (bytes.size() % 2 == 0 ? "/fuzz.nemo" : "/fuzz.ckpt");
  write_file_atomically(path, bytes);
  checkpoint::to_json(checkpoint::inspect_file(path));
}

}  // namespace

FATHOM_FUZZ(one_input)
