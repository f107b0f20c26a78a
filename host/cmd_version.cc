#include "host/commands.h"
#include "host/output.h"

namespace fathom::cli {

std::string version_text() {
  return std::string("fathom ") + FATHOM_VERSION + " (plugin ABI " + std::to_string(FATHOM_ABI_MAJOR) + "." +
         std::to_string(FATHOM_ABI_MINOR) + ", libtorch " + FATHOM_LIBTORCH_VERSION + ", g++ " + __VERSION__ + ")";
}

int run_version(const Words& words, const Globals&) {
  if (!words.empty() && words[0] == "--json") {
    print_json({{"version", FATHOM_VERSION},
                {"abi", {FATHOM_ABI_MAJOR, FATHOM_ABI_MINOR}},
                {"libtorch", FATHOM_LIBTORCH_VERSION},
                {"compiler", __VERSION__}});
    return 0;
  }
  if (!words.empty() && words[0] != "--help" && words[0] != "-h")
    throw Error(Code::kUsage, "version takes no words").seen(words[0]);
  print_line(version_text());
  return 0;
}

}  // namespace fathom::cli
