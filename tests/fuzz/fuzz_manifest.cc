// A manifest, opened and read line by line: what is kept of a line when it is opened is what the line says.
#include "core/base/file.h"
#include "plugins/lib/audio/manifest.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  const std::string path = fuzz::scratch_folder() + "/fuzz.json";
  write_file_atomically(path, bytes);
  audio::ManifestFilter filter;
  filter.needs_duration = bytes.size() % 2 == 0;
  const auto manifest = audio::Manifest::open({path}, filter);
  for (int64_t i = 0; i < manifest.size(); ++i)
    fuzz::must_equal(std::to_string(manifest.duration(i)), std::to_string(manifest.entry(i).duration), "a duration");
}

}  // namespace

FATHOM_FUZZ(one_input)
