// Descriptors and tables of functions as plugins give them, brought into this program's version: a plugin of an older
// SDK gives shorter ones, one of a newer SDK longer ones. Everything past registration sees copies that are as long as
// this program's structs, with null where the plugin has nothing, so that a call needs at most a null test.
// Thread-safe. No torch.
#pragma once

#include "fathom/abi/component.h"

namespace fathom::plugins {

// The copy of a descriptor with its table, the same one for the same descriptor; both stay until the process ends.
// Throws Error(kBadData) in one sentence where the descriptor or its table is unusable: no name, an unknown kind, no
// struct_size, or a mandatory function that is missing, named.
const fathom_component* adopt(const fathom_component& given);

// The same for an object that came straight from a plugin (a model's dataset).
fathom_object adopt(fathom_object object);

}  // namespace fathom::plugins
