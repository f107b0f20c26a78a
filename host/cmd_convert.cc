#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model_files/convert.h"
#include "host/arguments.h"
#include "host/output.h"

namespace fathom::cli {

int run_convert(const Words& words, const Globals&) {
  std::string input, output;
  model_files::ConvertOptions options;
  bool json = false, split = false;
  CLI::App app(
      "Writes a model file in another format: .nemo, .ckpt, .pt, .safetensors; needs neither its plugin nor "
      "libtorch.\n\n"
      "  fathom convert model.nemo model.safetensors\n"
      "  fathom convert weights.ckpt model.nemo --like base.nemo\n"
      "  fathom convert model.nemo encoder.ckpt --module encoder\n"
      "  fathom convert model.nemo folder --split-by-module",
      "fathom convert");
  app.add_option("input", input, "a .nemo (file or folder), .ckpt, .pt or .safetensors; told apart by content")
      ->required();
  app.add_option("output", output, "the file to write; its suffix says the format (FOLDER/: an unpacked .nemo)")
      ->required();
  auto* config =
      app.add_option("--config", options.config,
                     "YAML with the model's config, for a .nemo of weights that have none; files it names as "
                     "nemo:X lie beside it");
  auto* like = app.add_option("--like", options.like, "take config and artifacts of this .nemo of the same model");
  auto* module = app.add_option("--module", options.module,
                                "only this module, its names without the prefix; as a .nemo, a model within the model");
  app.add_option("--config-field", options.config_field, "where the module's config stands, if not at its name")
      ->needs(module);
  app.add_flag("--split-by-module", split, "OUTPUT is a folder: a .ckpt of each part of the model")
      ->excludes(config)
      ->excludes(like)
      ->excludes(module);
  app.add_flag("--force", options.replace, "replace an output that is there");
  app.add_flag("--json", json, "what was written, as one JSON document");
  if (parse_arguments(app, words)) return 0;
  if (split) {
    const auto files = model_files::split_by_module(input, output, options.replace);
    if (json)
      print_json({{"outputs", files}});
    else
      for (const auto& file : files) print_line(file);
    return 0;
  }
  const model_files::Converted done = model_files::convert_model_file(input, output, options);
  if (!done.left_out.empty()) {
    log_warning("convert", "left out of {}, as these are no tensors: {}", input, join(done.left_out, ", "));
  }
  if (json) {
    print_json({{"output", output},
                {"tensors", done.tensors},
                {"tensor_bytes", done.bytes},
                {"config", done.has_config},
                {"artifacts", done.artifacts},
                {"left_out", done.left_out}});
  } else {
    print_line(fmt::format("{}: {} tensors ({} bytes), {}, {} artifacts", output, done.tensors, done.bytes,
                           done.has_config ? "config" : "no config", done.artifacts.size()));
  }
  return 0;
}

}  // namespace fathom::cli
