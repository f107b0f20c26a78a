// SIGINT and SIGTERM: the first asks the run to finish its step and save, the second ends the program at once.
// SIGUSR1: save and go on; in a SLURM job, which is sent it before its time is over: save and stop.
#pragma once

namespace fathom::cli {

void catch_interrupts();
// The exit status of a run that was interrupted: 75 when a checkpoint was written, else 130 or 143.
int interrupt_status(bool saved);

}  // namespace fathom::cli
