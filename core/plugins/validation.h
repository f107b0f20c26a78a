// `fathom plugins validate FILE.so`: whether a plugin keeps the rules of the boundary. Loads it into this process, so
// run it from a process of its own, before threads are started; components are made in child processes.
#pragma once

#include <string>
#include <vector>

#include "core/plugins/plugin_info.h"

namespace fathom::plugins {

struct ValidationCheck {
  std::string name;  // "description", "versions", "exported symbols", …, "create test.Module"
  bool ok;
  std::string detail;  // what was found; says what to do when not ok
};

struct ValidationReport {
  std::string file;
  std::vector<ValidationCheck> checks;
  bool ok() const;
};

// Never throws for what is wrong with the plugin. Checks, in order; a failed one that the rest depends on ends them:
//   description        ELF, section `.fathom.plugin`, well-formed, read within 100 ms
//   versions           may be loaded by this program
//   exported symbols   the entry and nothing else
//   load               binds all symbols, descriptor right, registration succeeds
//   registration       what is registered is what is described
//   names              no other plugin found gives them
//   unknown extension  query() of an id nobody has answers null
//   options NAME       every default has its option's type; an unknown option is an error, in the component's own code
//   too create NAME        components whose options all have defaults are made and destroyed 20 times without a crash
ValidationReport validate_plugin(const std::string& file);

// {file, ok, checks: [{name, ok, detail}]}
Json validation_json(const ValidationReport& report);
std::string validation_text(const ValidationReport& report);

}  // namespace fathom::plugins
