#include "core/typing/switches.h"

#include <atomic>

namespace fathom::typing {
namespace {

constexpr int8_t kProcess = -1;  // no scope on this thread: the process-wide value holds

std::atomic<bool> g_typecheck{true};
std::atomic<bool> g_semantic{true};
thread_local int8_t t_typecheck = kProcess;
thread_local int8_t t_semantic = kProcess;

bool current(int8_t scope, const std::atomic<bool>& process) {
  return scope == kProcess ? process.load(std::memory_order_relaxed) : scope != 0;
}

void set(int8_t& scope, std::atomic<bool>& process, bool enabled) {
  process.store(enabled, std::memory_order_relaxed);
  if (scope != kProcess) scope = enabled ? 1 : 0;
}

}  // namespace

bool typecheck_enabled() { return current(t_typecheck, g_typecheck); }
bool semantic_checks_enabled() { return current(t_semantic, g_semantic); }
void set_typecheck_enabled(bool enabled) { set(t_typecheck, g_typecheck, enabled); }
void set_semantic_checks_enabled(bool enabled) { set(t_semantic, g_semantic, enabled); }

ThreadSwitches thread_switches() { return {t_typecheck, t_semantic}; }
void set_thread_switches(ThreadSwitches switches) {
  t_typecheck = switches.checks;
  t_semantic = switches.semantic_checks;
}

DisableChecks::DisableChecks() : outer_(t_typecheck) { t_typecheck = 0; }
DisableChecks::~DisableChecks() { t_typecheck = outer_; }
DisableSemanticChecks::DisableSemanticChecks() : outer_(t_semantic) { t_semantic = 0; }
DisableSemanticChecks::~DisableSemanticChecks() { t_semantic = outer_; }

}  // namespace fathom::typing
