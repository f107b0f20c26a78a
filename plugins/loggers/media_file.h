// Audio and images as the files that viewers know: WAV (16 bit) and PNG (8 bit), rounded as PyTorch's SummaryWriter
// does; what lies outside the range is clipped, what is no number is silent or black.
#pragma once

#include <string>

#include "fathom/media.h"

namespace fathom::loggers {

std::string wav_file(const Audio& audio);
// Not compressed: nothing but this format's own rules is needed to read or to write it.
std::string png_file(const Image& image);

}  // namespace fathom::loggers
