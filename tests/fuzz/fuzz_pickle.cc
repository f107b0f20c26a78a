// The pickle reader of checkpoints.
#include "core/archive/pickle_reader.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  checkpoint::PickleOptions options;
  options.source = "fuzz.pkl";
  options.unknown_globals = bytes.size() % 2 == 0 ? checkpoint::PickleOptions::UnknownGlobals::kReject
                                                  : checkpoint::PickleOptions::UnknownGlobals::kAsObjects;
  checkpoint::read_pickle(bytes, options);
}

}  // namespace

FATHOM_FUZZ(one_input)
