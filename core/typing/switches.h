// The two switches of typed calls: whether ports are checked at all, and whether neural types are compared.
//
// A process-wide setting (on by default) and scopes that switch a check off for the calling thread. Scopes nest:
// leaving one restores what held before it, also when an exception passes. (NeMo's context managers always switch on
// again.)
#pragma once

#include <cstdint>

namespace fathom::typing {

bool typecheck_enabled();
bool semantic_checks_enabled();

// Sets the process-wide value; inside a scope of the calling thread also that scope's value, until it ends.
void set_typecheck_enabled(bool enabled);
void set_semantic_checks_enabled(bool enabled);

// What scopes have set on this thread: 0 off, 1 on, -1 nothing. For scopes on the other side of the plugin boundary.
struct ThreadSwitches {
  int8_t checks, semantic_checks;
};
ThreadSwitches thread_switches();
void set_thread_switches(ThreadSwitches switches);

// No port checks on this thread while it lives: names, counts, ranks and types.
class DisableChecks {
 public:
  DisableChecks();
  ~DisableChecks();
  DisableChecks(const DisableChecks&) = delete;
  DisableChecks& operator=(const DisableChecks&) = delete;

 private:
  int8_t outer_;
};

// No comparison of neural types on this thread while it lives.
class DisableSemanticChecks {
 public:
  DisableSemanticChecks();
  ~DisableSemanticChecks();
  DisableSemanticChecks(const DisableSemanticChecks&) = delete;
  DisableSemanticChecks& operator=(const DisableSemanticChecks&) = delete;

 private:
  int8_t outer_;
};

}  // namespace fathom::typing
