// An option that is one of a few words.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "fathom/error.h"
#include "fathom/nearest_names.h"

namespace fathom::tts {

// Throws kFailed at `option` for a word that is none of them.
template <typename Choice>
Choice choose(const char* option, const std::string& given,
              std::initializer_list<std::pair<const char*, Choice>> known) {
  std::vector<std::string> names;
  for (const auto& [name, choice] : known) {
    if (given == name) return choice;
    names.emplace_back(name);
  }
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
  throw Error(Code::kFailed, "not one of the choices")
      .at(option)
      .seen(given)
      .expected(list)
      .candidates(nearest_names(given, names));
}

}  // namespace fathom::tts
