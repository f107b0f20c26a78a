// A program with Hydra's command line: composes its config, then shows it or runs its task once or as a sweep.
//
// Folders and files of a run: hydra.run.dir (or hydra.sweep.dir/subdir) is created, config.yaml, hydra.yaml and
// overrides.yaml go to its hydra.output_subdir, the log files of hydra.job_logging are created.
//
// run_application changes the process's working folder while a task runs where hydra.job.chdir says so; apart from
// that several may run one after the other in a process.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "core/config/composer.h"
#include "core/config/node.h"
#include "core/config/resolver.h"

namespace fathom::config {

// What a task gets.
struct JobContext {
  const Node& config;                  // the job's config, interpolations not resolved
  const Node& hydra;                   // with runtime.output_dir set
  const ResolverRegistry& resolvers;   // answers ${hydra:…} too
  std::string output_dir;              // absolute
  std::vector<std::string> log_files;  // of hydra.job_logging, existing
  std::vector<std::string> overrides;  // the job's words
  std::ostream& out;
};

struct Application {
  std::string name = "app";  // hydra.job.name
  std::string version_text = "Hydra " + std::string("1.3.8");
  std::string base_folder = ".";           // where a relative config_path starts
  std::optional<std::string> config_path;  // main config folder
  std::optional<std::string> config_name;
  std::string version_base = "1.1";
  // As NeMo's hydra_runner: no output folder of its own, log lines bare on stdout; exp_manager owns the rest.
  bool nemo_runner = false;
  bool strict = false;  // see ComposeRequest::strict_overrides; also the order of flags and words
  std::shared_ptr<const ClassType> schema;
  const ResolverRegistry* resolvers = nullptr;
  std::function<void(const JobContext&)> task;
};

// Results go to `out`, warnings and failures of single jobs to `err`. Throws ConfigError for a bad config (exit status
// 1), Error kUsage for a bad command line (2), and what the task threw.
void run_application(const Application& application, const std::vector<std::string>& arguments, std::ostream& out,
                     std::ostream& err);

}  // namespace fathom::config
