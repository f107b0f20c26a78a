// Where a value came from: an output port of a component, interned to a number that travels with the value, so that an
// error at the receiving port can name both sides. Any thread; ids live until the process ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::typing {

// Equal texts give equal ids, from 1 on.
uint32_t intern_source(std::string_view owner, std::string_view port);
// "output 'outputs' of model.encoder (asr.ConvASREncoder of plugin 'asr')"; empty for 0 and ids never given out.
std::string source_text(uint32_t id);

}  // namespace fathom::typing
