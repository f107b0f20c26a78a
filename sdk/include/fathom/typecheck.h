// NeMo's typecheck.disable_checks() and disable_semantic_checks(), as scopes of the calling thread:
//
//   { const fathom::DisableChecks off; encoder_({{"audio_signal", x}}); }   // no names, counts, ranks, types
//
// Scopes nest: leaving one restores what held before it. Without a host nothing is checked anyway.
// For nesting that differs from the ports', a module overrides NeuralModule::ignore_collections().
#pragma once

#include "fathom/abi/typecheck.h"
#include "fathom/support.h"

namespace fathom {

namespace typecheck_detail {

// Null without a host, or with one that cannot switch checks off.
inline const fathom_typecheck_v1* table() {
  if (host_slot() == nullptr) return nullptr;
  static const auto found = host_extension<fathom_typecheck_v1>(FATHOM_TYPECHECK_EXTENSION);
  return found ? &*found : nullptr;
}

class Scope {
 public:
  Scope(bool checks, bool semantic) {
    if (table() == nullptr) return;
    table()->get(&checks_, &semantic_);
    table()->set(checks ? checks_ : 0, semantic ? semantic_ : 0);
  }
  ~Scope() {
    if (table() != nullptr) table()->set(checks_, semantic_);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  int32_t checks_ = -1, semantic_ = -1;
};

}  // namespace typecheck_detail

// No port checks at all: names, counts, ranks and types.
class DisableChecks : typecheck_detail::Scope {
 public:
  DisableChecks() : Scope(false, true) {}
};
// No comparison of neural types; the other checks stay.
class DisableSemanticChecks : typecheck_detail::Scope {
 public:
  DisableSemanticChecks() : Scope(true, false) {}
};

}  // namespace fathom
