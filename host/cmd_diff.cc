#include "core/model_files/compare.h"
#include "host/arguments.h"
#include "host/output.h"

namespace fathom::cli {

int run_diff(const Words& words, const Globals&) {
  std::string a, b;
  model_files::CompareOptions options;
  bool json = false, config = false, tensors = false;
  CLI::App app(
      "What differs between two models' files (.nemo, .ckpt, .pt, .safetensors): keys of the config, files in the "
      "archive, tensors. Exit status 0: nothing, 1: something, as of diff.\n\n"
      "  fathom diff a.nemo b.nemo\n"
      "  fathom diff before.ckpt after.ckpt --tensors --tolerance 1e-6",
      "fathom diff");
  app.add_option("a", a, "a model file")->required();
  app.add_option("b", b, "another")->required();
  app.add_flag("--config", config, "compare the configs alone");
  app.add_flag("--tensors", tensors, "compare the tensors alone");
  app.add_option("--tolerance", options.tolerance, "elements that differ by so much at most count as equal")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--json", json, "one JSON document");
  if (parse_arguments(app, words)) return 0;
  if (config != tensors) {
    options.config = config;
    options.tensors = tensors;
  }
  const Json comparison = model_files::compare_model_files(a, b, options);
  if (json)
    print_json(comparison);
  else
    print(model_files::comparison_text(comparison));
  return comparison["equal"].get<bool>() ? 0 : FATHOM_FAILED;
}

}  // namespace fathom::cli
