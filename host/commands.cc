#include "host/commands.h"

namespace fathom::cli {

const std::vector<Command>& commands() {
  static const std::vector<Command> list = {
      {"train", "train a model from a config", run_train},
      {"validate", "run a model over its validation data", run_validate},
      {"test", "run a model over its test data", run_test},
      {"predict", "what a model makes of each item of its predict data", run_predict},
      {"transcribe", "speech to text with a .nemo model", run_transcribe},
      {"infer", "what a .nemo model makes of the lines of a file: classes, tags, texts", run_infer},
      {"synthesize", "text to speech with a .nemo model and a vocoder", run_synthesize},
      {"inspect", "what is inside a .nemo, .ckpt or .safetensors file", run_inspect},
      {"convert", "write a model file in another format", run_convert},
      {"diff", "what differs between two model files", run_diff},
      {"models", "pretrained models by name: list, fetch, push", run_models},
      {"runs", "list the runs below a folder, or plot their metrics", run_runs},
      {"config", "show a composed config, or explain one of its keys", run_config},
      {"plugins", "list, describe and check plugins", run_plugins},
      {"doctor", "check this installation", run_doctor},
      {"completion", "print a completion script for bash, zsh or fish", run_completion},
      {"version", "print the version", run_version},
  };
  return list;
}

}  // namespace fathom::cli
