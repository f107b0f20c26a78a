#include "host/arguments.h"
#include "host/output.h"

namespace fathom::host {

int run_plugins(const Words& words, const Globals&) {
  CLI::App app("List, describe and check plugins.", "fathom plugins");
  if (parse_arguments(app, words)) return 0;
  return 0;
}

}  // namespace fathom::host
