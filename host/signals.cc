#include "host/signals.h"

#include <unistd.h>

#include <csignal>

#include "core/base/interrupt.h"
#include "fathom/abi/base.h"
#include "host/slurm.h"

namespace fathom::cli {
namespace {

bool slurm_job = false;  // read from the handler: a signal cannot look into the environment

// Only async-signal-safe calls here.
void on_signal(int number) {
  if (interrupt_requested() != 0) ::_exit(128 + number);
  request_interrupt(number);
  constexpr char kText[] = "\ninterrupted: finishing the step and saving; once more stops at once\n";
  (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
}

// Save and go on; under SLURM it says that the time is nearly over, so then: save, stop, and ask for the next turn.
void on_save_signal(int number) {
  if (!slurm_job) return request_save();
  if (interrupt_requested() == 0) request_interrupt(number);
}

}  // namespace

void catch_interrupts() {
  slurm_job = !slurm_job_id().empty();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = on_save_signal;
  ::sigaction(SIGUSR1, &action, nullptr);
}

int interrupt_status(bool saved) {
  if (saved) return FATHOM_INTERRUPTED;
  return 128 + interrupt_requested();
}

}  // namespace fathom::cli
