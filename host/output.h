// Streams: results on stdout, everything else on stderr; errors in the project's one form.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "fathom/support.h"

namespace fathom::cli {

enum class Colour { kAuto, kAlways, kNever };
// --color, then NO_COLOR, CLICOLOR_FORCE, TERM=dumb, then whether stderr is a terminal.
void set_colour(Colour choice);

// Writes a result to stdout. A reader that went away (`| head -1`) ends the program quietly; any other failure is
// Error(kIo).
void print(std::string_view text);
void print_line(std::string_view text);
void print_json(const Json& document);

// Prints "error: …" with its parts on stderr.
void print_error(const Error& error);
// Prints any exception and gives its exit status.
int report_exception(const std::exception& error);

}  // namespace fathom::cli
