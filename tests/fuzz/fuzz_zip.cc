// The zip container of checkpoints: its directory, its members, and what stands in them for a checkpoint.
#include "core/archive/pickle_file.h"
#include "core/archive/zip_reader.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  const checkpoint::ZipReader zip(bytes, "fuzz.zip");
  for (const auto& member : zip.members()) {
    try {
      const auto content = zip.read(member, /*verify=*/false);  // a checksum is hard to guess
      fuzz::must_equal(std::to_string(member.size), std::to_string(content.bytes.size()), "a member of another size");
    } catch (const Error&) {
    }
  }
  checkpoint::PickleFileOptions options;
  options.verify = false;
  checkpoint::read_pickle_bytes(bytes, nullptr, "fuzz.zip", options);
}

}  // namespace

FATHOM_FUZZ(one_input)
