// Override words, one a line, parsed and applied to a small config.
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"
#include "core/hydra/override_apply.h"
#include "core/hydra/override_parser.h"
#include "core/hydra/sweep.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  const auto overrides = config::parse_overrides(fuzz::lines_of(bytes), {.lenient = bytes.size() % 2 == 0});
  config::sweep_jobs(overrides, nullptr);
  config::Node tree = config::load_yaml_text(
      "a: 1\nb: {c: [1, two, null], name: x}\nmodel: {optim: {name: adam, lr: 1e-3}}\n", "fuzz.yaml");
  config::apply_overrides(tree, overrides, {.strict = bytes.size() % 2 == 1});
  config::to_yaml(tree);
}

}  // namespace

FATHOM_FUZZ(one_input)
