// JSON as Python's json module reads it, which takes more than the standard has. Uses no torch; thread-safe (no state).
#pragma once

#include <string>
#include <string_view>

namespace fathom::audio {

// `line` with what only Python takes in a form that every parser takes:
//   NaN, Infinity, -Infinity       a list of the word, so that it is of the wrong type wherever a number or text is
//   wanted an integer beyond 64 bits      a floating point number; one beyond those is the largest of them half a
//   surrogate pair \ud83d   U+FFFD, the replacement character
// All else stays as it is, wrong or right.
std::string strict_json(std::string_view line);

}  // namespace fathom::audio
