// Requests to stop and to save, set from a signal handler and looked at between steps. Async-signal-safe and
// thread-safe.
#pragma once

namespace fathom {

// Remembers that `signal` asked the run to stop; 0 forgets.
void request_interrupt(int signal);
// The signal that asked, or 0.
int interrupt_requested();

// Remembers that the run is to save and go on (SIGUSR1).
void request_save();
// Whether somebody asked since the last call.
bool take_save_request();

}  // namespace fathom
