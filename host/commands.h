// The commands of the program. Each takes the words after its name and returns the exit status; errors are thrown.
#pragma once

#include <string>
#include <vector>

namespace fathom::cli {

using Words = std::vector<std::string>;

// Flags that stand before or after any command's own.
struct Globals {
  int threads = 0;  // 0: all cores
  Words all;        // the whole command line
};

struct Command {
  const char* name;
  const char* summary;
  int (*run)(const Words& words, const Globals& globals);
};
const std::vector<Command>& commands();

int run_train(const Words& words, const Globals& globals);
int run_validate(const Words& words, const Globals& globals);
int run_test(const Words& words, const Globals& globals);
int run_predict(const Words& words, const Globals& globals);
int run_config(const Words& words, const Globals& globals);
int run_transcribe(const Words& words, const Globals& globals);
int run_infer(const Words& words, const Globals& globals);
int run_synthesize(const Words& words, const Globals& globals);
int run_inspect(const Words& words, const Globals& globals);
int run_convert(const Words& words, const Globals& globals);
int run_diff(const Words& words, const Globals& globals);
int run_models(const Words& words, const Globals& globals);
int run_runs(const Words& words, const Globals& globals);
int run_plugins(const Words& words, const Globals& globals);
int run_doctor(const Words& words, const Globals& globals);
int run_completion(const Words& words, const Globals& globals);
int run_complete(const Words& words, const Globals& globals);  // candidates, for the completion scripts
int run_version(const Words& words, const Globals& globals);

std::string version_text();

}  // namespace fathom::cli
