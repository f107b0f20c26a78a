// Tensors in the files that people keep beside their data.
#pragma once

#include <string>

#include "core/checkpoint/torch_file.h"

namespace fathom {

// Of a file of torch.save, numpy.save or safetensors, told apart by content. One tensor has the name "", those of a
// list "0", "1", …, of dicts in dicts "a.b". Error(kNoInput), or kBadData for another file, for entries that are no
// tensors, and for numpy arrays of Fortran's order with more than one dimension, of objects or of big-endian numbers.
checkpoint::NamedTensors load_tensor_file(const std::string& path);

}  // namespace fathom
