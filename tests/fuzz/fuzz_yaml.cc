// YAML text to a tree; what was read must print and read back as the same.
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  const config::Node tree = config::load_yaml_text(bytes, "fuzz.yaml");
  const std::string printed = config::to_yaml(tree);
  if (printed.find("\u0085") != std::string::npos) return;  // NEL in quotes reads back as a blank, in PyYAML too
  fuzz::must_equal(printed, config::to_yaml(config::load_yaml_text(printed, "printed.yaml")),
                   "printed YAML changes when read");
}

}  // namespace

FATHOM_FUZZ(one_input)
