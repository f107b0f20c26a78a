// Writes PickleValues as the pickle (protocol 2) that torch.save writes and torch.load(weights_only=True) reads.
// Thread-safe: no shared state.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/archive/pickle_value.h"

namespace fathom::checkpoint {

struct PickledValue {
  std::string pickle;
  // Storage i is the record data/i. Storages that share memory appear once.
  std::vector<std::shared_ptr<PickleStorage>> storages;
};

// Lists, dicts and tuples that appear several times are written once and stay shared. Objects are written as their
// plain content. Error(kUsage) for what has no form in such a file: other objects, values that contain themselves.
PickledValue write_pickle(const PickleValue& value);

}  // namespace fathom::checkpoint
