// A job of the SLURM workload manager: which one this process is in, and how it asks to be run again.
#pragma once

#include <string>

namespace fathom::cli {

// What scontrol calls the job: "123", or "100_7" in an array. "" outside of a batch job: an interactive shell is none.
std::string slurm_job_id();
// `scontrol requeue ID`. Says how that went in the log; false where it did not work.
bool requeue_slurm_job(const std::string& id);

}  // namespace fathom::cli
