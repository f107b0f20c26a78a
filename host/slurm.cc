#include "host/slurm.h"

#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "core/base/log.h"

extern char** environ;

namespace fathom::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

// As Lightning tells a batch job: interactive ones are called bash or interactive.
std::string slurm_job_id() {
  const std::string name = variable("SLURM_JOB_NAME");
  if (variable("SLURM_NTASKS").empty() || name == "bash" || name == "interactive") return "";
  const std::string array = variable("SLURM_ARRAY_JOB_ID");
  return array.empty() ? variable("SLURM_JOB_ID") : array + "_" + variable("SLURM_ARRAY_TASK_ID");
}

bool requeue_slurm_job(const std::string& id) {
  std::string job = id;
  char program[] = "scontrol", word[] = "requeue";
  std::array<char*, 4> arguments = {program, word, job.data(), nullptr};
  pid_t child = 0;
  int status = ::posix_spawnp(&child, program, nullptr, nullptr, arguments.data(), environ);
  if (status != 0) {
    log_warning("slurm", "cannot run scontrol: {}; job {} is not requeued", std::strerror(status), id);
    return false;
  }
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (done)
    log_info("slurm", "job {} is requeued", id);
  else
    log_warning("slurm", "scontrol requeue {} failed; the job is not requeued", id);
  return done;
}

}  // namespace fathom::cli
