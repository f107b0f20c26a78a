// Lets the real Python packages read what we wrote: FATHOM_PYTHON, or python3. A test is skipped where they are absent.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace fathom {

inline std::string python_program() {
  const char* chosen = std::getenv("FATHOM_PYTHON");
  return chosen != nullptr && *chosen != '\0' ? chosen : "python3";
}

struct PythonResult {
  int status = -1;
  std::string errors;  // what it wrote to stderr
};
// `folder` takes the program and its messages.
inline PythonResult run_python(const std::filesystem::path& folder, const std::string& code) {
  std::filesystem::create_directories(folder);
  const std::string script = folder / "check.py", messages = folder / "check.log";
  std::ofstream(script) << code;
  const int status = std::system((python_program() + " " + script + " > /dev/null 2> " + messages).c_str());
  std::ostringstream errors;
  errors << std::ifstream(messages).rdbuf();
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, errors.str()};
}
inline bool python_has(const std::filesystem::path& folder, const std::string& module) {
  return run_python(folder, "import " + module + "\n").status == 0;
}

}  // namespace fathom
