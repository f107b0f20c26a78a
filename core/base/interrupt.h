// A request to stop, set from a signal handler and looked at between steps. Async-signal-safe and thread-safe.
#pragma once

namespace fathom {

// Remembers that `signal` asked the run to stop; 0 forgets.
void request_interrupt(int signal);
// The signal that asked, or 0.
int interrupt_requested();

}  // namespace fathom
