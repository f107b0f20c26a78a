#include "host/arguments.h"

#include <algorithm>

#include "host/output.h"

namespace fathom::cli {

bool parse_arguments(CLI::App& app, const Words& words) {
  Words reversed(words.rbegin(), words.rend());  // CLI11 takes them from the back
  try {
    app.parse(reversed);
    return false;
  } catch (const CLI::CallForHelp&) {
    print(app.help());
  } catch (const CLI::CallForAllHelp&) {
    print(app.help("", CLI::AppFormatMode::All));
  } catch (const CLI::ParseError& error) {
    throw Error(Code::kUsage, error.what()).next(app.get_name() + " --help");
  }
  return true;
}

}  // namespace fathom::cli
