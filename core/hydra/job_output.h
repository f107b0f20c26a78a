// The folder and the files of one job: see application.h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/hydra/composer.h"

namespace fathom::config {

struct JobOutput {
  std::string folder;                  // absolute
  std::vector<std::string> log_files;  // absolute
};

// Creates the job's folder (`folder`, relative to the working folder), sets hydra.runtime.output_dir, writes
// config.yaml, hydra.yaml and overrides.yaml into hydra.output_subdir unless that is null, creates the log files.
JobOutput prepare_job_output(Composed& composed, const std::string& folder, const ResolverRegistry& resolvers);

// A string setting of the hydra section, interpolations resolved against the whole config; "" for null.
std::string hydra_setting(const Composed& composed, const std::string& path, const ResolverRegistry& resolvers);

// Changes the working folder for as long as it lives.
class WorkingFolder {
 public:
  explicit WorkingFolder(const std::string& folder);
  ~WorkingFolder();
  WorkingFolder(const WorkingFolder&) = delete;
  WorkingFolder& operator=(const WorkingFolder&) = delete;

 private:
  std::string old_;
};

// Sets the variables of a map in the process's environment for as long as it lives.
class EnvironmentVariables {
 public:
  explicit EnvironmentVariables(const Node& variables);
  ~EnvironmentVariables();
  EnvironmentVariables(const EnvironmentVariables&) = delete;
  EnvironmentVariables& operator=(const EnvironmentVariables&) = delete;

 private:
  std::map<std::string, std::optional<std::string>> old_;  // none: was not set
};

}  // namespace fathom::config
