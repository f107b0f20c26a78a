#include "tests/conformance/config_compose_suites.h"
#include "tests/conformance/config_tree_suites.h"

namespace fathom::conformance {

void add_config_suites(std::vector<Suite>& suites) {
  add_config_tree_suites(suites);
  add_config_compose_suites(suites);
}

}  // namespace fathom::conformance
