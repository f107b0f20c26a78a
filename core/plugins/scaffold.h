// `fathom plugins new DIR`: a plugin project to start from, copied from the installed template.
#pragma once

#include <string>
#include <vector>

namespace fathom::plugins {

// The template: PREFIX/share/fathom/template, PREFIX found from the running program. Throws Error(kNoInput) when
// absent.
std::string template_folder();

// Copies `from` to the new folder `to`; the word my_collection becomes the folder's name (letters, digits and
// underscores) in texts and file names. Returns the files written. Throws Error(kCantCreate) when `to` exists and is
// not empty.
std::vector<std::string> new_plugin_project(const std::string& from, const std::string& to);

}  // namespace fathom::plugins
