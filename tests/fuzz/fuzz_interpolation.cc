// A value with interpolations, read in a config that has something to refer to.
#include "core/config/access.h"
#include "core/config/interpolation.h"
#include "core/config/yaml_loader.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  config::check_interpolation(bytes);
  config::Node tree = config::load_yaml_text("a: 1\nb: {c: [1, two, null], d: ???}\ne: ${a}\nf: ${f}\n", "fuzz.yaml");
  tree.set("x", config::Node::scalar(std::string(bytes)));
  config::get(tree, "x");
  config::get_resolved(tree, {"x"});  // and what stands below it
}

}  // namespace

FATHOM_FUZZ(one_input)
