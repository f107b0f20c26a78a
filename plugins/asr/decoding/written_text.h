// A recognised text as people write it (plugins/lib/text/inverse_normalization), with the times of what is written.
#pragma once

#include <string>

#include "fathom/json.h"

namespace fathom::asr {

// "it costs twenty three dollars" -> "it costs $23". English; expressions may begin with a capital where the text has
// capitals. Where `timestamps`, the object that NeMo gives (hypothesis.h), has words, it gains `written`: [{written,
// start_offset, end_offset, start, end}], each from the beginning of its first spoken word to the end of its last.
// Thread-safe.
std::string written_text(const std::string& text, Json& timestamps);

}  // namespace fathom::asr
