// Reads Python pickles (protocols 2 to 5) as torch.save writes them, into PickleValues. Nothing is ever called: each
// global name is on a list that says which value it stands for, and a name that is not on the list is an error.
//
// Every fault of the input (cut short, unknown opcode, stack or memo misuse, a tensor outside its storage, a forbidden
// global, too deep, growing beyond measure) is an Error(kBadData). Memory stays in proportion to the input.
// Thread-safe: no shared state.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/pickle_value.h"

namespace fathom::checkpoint {

struct PickleOptions {
  std::string source;  // named in errors
  // What to do with classes we know nothing of. Classes of NeMo, Lightning, OmegaConf and of some standard modules are
  // always read as PickleObjects.
  enum class UnknownGlobals : uint8_t { kReject, kAsObjects };
  UnknownGlobals unknown_globals = UnknownGlobals::kReject;
};

struct PickleReadResult {
  PickleValue value;
  std::vector<std::shared_ptr<PickleStorage>> storages;  // in order of first appearance; their bytes are not set yet
  size_t consumed = 0;                                   // bytes up to and including the STOP opcode
};

PickleReadResult read_pickle(std::string_view bytes, const PickleOptions& options);

}  // namespace fathom::checkpoint
