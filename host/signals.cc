#include "host/signals.h"

#include <unistd.h>

#include <csignal>

#include "core/base/interrupt.h"
#include "fathom/abi/base.h"

namespace fathom::cli {
namespace {

// Only async-signal-safe calls here.
void on_signal(int number) {
  if (interrupt_requested() != 0) ::_exit(128 + number);
  request_interrupt(number);
  constexpr char kText[] = "\ninterrupted: finishing the step and saving; once more stops at once\n";
  (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

int interrupt_status(bool saved) {
  if (saved) return FATHOM_INTERRUPTED;
  return 128 + interrupt_requested();
}

}  // namespace fathom::cli
