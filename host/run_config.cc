#include "host/run_config.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <sstream>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/json.h"
#include "core/config/printer.h"
#include "core/config/upgrade.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "host/output.h"

namespace fathom::cli {

config::ComposeRequest compose_request(const config::CommandLine& line, bool strict) {
  config::ComposeRequest request = config::compose_request(hydra_application(strict), line);
  request.multirun = line.multirun;
  return request;
}

namespace {

// Tells the warnings once on stderr and upgrades old NeMo spellings.
void finish_composing(config::Composed& composed, bool strict, bool tell) {
  if (strict) return;
  for (const auto& note : config::upgrade_job_config(composed.job)) {
    if (tell) log_info("config", "{}", note);
  }
}

void list_plugins(std::ostream& out) {
  for (const auto& plugin : plugins::registry().plugins()) {
    out << plugin.info.name << " " << plugin.info.version << "  " << plugin.file
        << (plugin.refusal.empty() ? "" : "  refused: " + plugin.refusal) << "\n";
  }
}

}  // namespace

config::Application hydra_application(bool strict) {
  config::Application application;
  application.name = "fathom";
  application.config_path = ".";
  application.config_name = "config";
  application.nemo_runner = true;
  application.strict = strict;
  application.program_keys = {"model_path", "ckpt_path", "override_config_path", "restore_strict"};
  application.completion_call = kCompletionCall;
  application.log = &std::cerr;
  application.list_plugins = list_plugins;
  application.prepare = [strict](config::Composed& composed, bool first) { finish_composing(composed, strict, first); };
  return application;
}

void run_and_print(const config::Application& application, const Words& arguments) {
  std::ostringstream out;
  config::run_application(application, arguments, out, std::cerr);
  print(out.str());
}

config::Composed compose_job(const config::ComposeRequest& request) {
  config::Composed composed = config::compose(request);
  for (const auto& warning : composed.warnings) log_warning("config", "{}", warning.text);
  finish_composing(composed, request.strict_overrides, true);
  return composed;
}

void check_job(const config::JobContext& job, ConfigUse use) {
  const std::vector<Error> problems = find_problems(job.config, job.resolvers, use);
  if (problems.empty()) return;
  for (size_t i = 0; i + 1 < problems.size(); ++i) print_error(problems[i]);
  throw problems.back();
}

RunRequest run_request(const config::JobContext& job, const Globals& globals) {
  RunRequest request;
  config::Node resolved = job.config;
  config::resolve(resolved, job.resolvers);
  request.config = config::to_json(resolved);
  if (job.number && request.config.contains("exp_manager") && request.config["exp_manager"].is_object()) {
    Json& exp = request.config["exp_manager"];
    const auto given = [&](const char* key) { return exp.contains(key) && exp[key].is_string(); };
    const char* key = given("explicit_log_dir") ? "explicit_log_dir" : "exp_dir";
    exp[key] = given(key) ? exp[key].get<std::string>() + "/" + std::to_string(*job.number) : job.output_dir;
  }
  request.config_yaml = config::to_yaml(job.config);
  request.command_line = globals.all;
  request.threads = globals.threads;
  return request;
}

std::string config_command_help(const std::string& command, const std::string& about) {
  return "fathom " + command + " [flags] [overrides…]: " + about +
         "\n\n"
         "  fathom " +
         command +
         " -cp configs/asr -cn digits_quartznet trainer.max_epochs=5 model.optim.lr=0.01\n\n"
         "Overrides are Hydra's: key=value changes, +key=value adds, ++key=value does either, ~key removes, "
         "group=option\n"
         "chooses a config of a group. Quote words with brackets or blanks: 'model.optim.betas=[0.9,0.98]'.\n\n"
         "Flags (anywhere):\n" +
         config::command_line_flags_help() +
         "\n  --strict-overrides             plain Hydra, without fathom's friendlier readings\n" +
         (command == "train"
              ? "  --profile                      a table of where time went, in the log and profile.txt, "
                "and a trace\n"
                "                                 for chrome://tracing or Perfetto, profile.json\n"
              : "") +
         (command == "predict" ? "  --output FILE                  where the JSON objects go, one a line; - is stdout\n"
                               : "") +
         "  --json-summary FILE            (- is stdout) write status, steps, checkpoints and metrics there at the "
         "end\n";
}

}  // namespace fathom::cli
