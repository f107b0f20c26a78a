// Compares a component's section with the options it declares (the "schema" of its descriptor): unknown keys with the
// nearest names, wrong types, values that are missing. Finds every problem, not only the first. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fathom/support.h"

namespace fathom::plugins {

// What messages call the place of this full key: "model.x (configs/a.yaml:3:5)". Empty: the key itself.
using Locate = std::function<std::string(const std::string& full_key)>;

// What an option that has no value is, be it absent or null: wrong, or for another to fill before the component is made
// (a model gives its decoder the width of its encoder).
enum class Gaps : uint8_t { kRefused, kFilledLater };

// `owner` is the component's name, `path` the full key of `options`. Types are those of fathom/options.h; an int is
// taken where a float is declared; the words inf, -inf and nan stand for those numbers; a type word that is not known
// here (of a newer SDK) is left to the component.
std::vector<Error> check_options(const std::string& owner, const Json& schema, const Json& options,
                                 const std::string& path, const Locate& locate = {}, Gaps gaps = Gaps::kRefused);

// Throws the first, saying how many more there are; does nothing for an empty list.
void throw_problems(const std::vector<Error>& problems);

// "a.b" + "c" = "a.b.c"; "" + "c" = "c".
std::string child_key(const std::string& path, const std::string& key);

}  // namespace fathom::plugins
