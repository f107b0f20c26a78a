// What plugins ask of the program with fathom/model_files.h.
#pragma once

namespace fathom {

// Offers "fathom.model_files/1" to every plugin; once in a process.
void offer_model_files();

}  // namespace fathom
