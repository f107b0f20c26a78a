// The body of a G2P model's file (its checksum would keep all else out), and a word said by what can be read.
#include "plugins/lib/text/trained_g2p/g2p_model.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) { text::G2pModel::parse_body(bytes, "fuzz").pronounce("cabin", 3); }

}  // namespace

FATHOM_FUZZ(one_input)
