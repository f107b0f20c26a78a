// A program with Hydra's command line: composes its config, then shows it or runs its task once or as a sweep.
//
// Folders and files of a run: hydra.run.dir (or hydra.sweep.dir/subdir) is created, config.yaml, hydra.yaml and
// overrides.yaml go to its hydra.output_subdir, the log files of hydra.job_logging are created.
//
// run_application changes the process's working folder while a task runs where hydra.job.chdir says so; apart from
// that several may run one after the other in a process.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "core/config/node.h"
#include "core/config/resolver.h"
#include "core/hydra/command_line.h"
#include "core/hydra/composer.h"
#include "fathom/error.h"

namespace fathom::config {

// What a task gets.
struct JobContext {
  const Node& config;                  // the job's config, interpolations not resolved
  const Node& hydra;                   // with runtime.output_dir set
  const ResolverRegistry& resolvers;   // answers ${hydra:…} too
  std::string output_dir;              // absolute
  std::vector<std::string> log_files;  // of hydra.job_logging, existing
  std::vector<std::string> overrides;  // the job's words
  std::optional<int64_t> number;       // in a sweep
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
  bool strict = false;                    // see ComposeRequest::strict_overrides; also the order of flags and words
  std::vector<std::string> program_keys;  // see ComposeRequest
  std::shared_ptr<const ClassType> schema;
  const ResolverRegistry* resolvers = nullptr;
  // Called for each composed job before it is shown or run, to change it; `first`: say what there is to say.
  std::function<void(Composed& composed, bool first)> prepare;
  // Runs one job. False ends a sweep: the jobs after this one are not started.
  std::function<bool(const JobContext&)> task;
  std::function<void(std::ostream& out)> list_plugins;  // --info plugins; absent: Hydra's two
  std::string help;                                     // --help, before the config; absent: hydra.help's template
  std::string completion_call;  // after the program's name in completion scripts; absent: "-sc query=SHELL"
  std::ostream* log = nullptr;  // lines of a sweep; null: `out`, as Hydra does
};

// Jobs of a sweep failed: each has been reported; `first` is what the first one threw.
class SweepError : public Error {
 public:
  SweepError(int64_t failed, int64_t jobs, std::exception_ptr first)
      : Error(Code::kFailed, std::to_string(failed) + " of " + std::to_string(jobs) + " jobs failed"),
        first_(std::move(first)) {}
  const std::exception_ptr& first() const { return first_; }

 private:
  std::exception_ptr first_;
};

// What the command line asks the application to compose.
ComposeRequest compose_request(const Application& application, const CommandLine& flags);
// For a line that is being typed: words that are not sound yet do not count, nor does a primary config that cannot be
// composed.
Composed compose_unfinished(const Application& application, const CommandLine& flags);

// Results go to `out`, warnings and failures of single jobs to `err`. Throws ConfigError for a bad config (exit status
// 1), Error kUsage for a bad command line (2), what the task threw, and SweepError after a sweep.
void run_application(const Application& application, const std::vector<std::string>& arguments, std::ostream& out,
                     std::ostream& err);

}  // namespace fathom::config
