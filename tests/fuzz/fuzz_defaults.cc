// A folder of configs: files parted by lines of "== NAME"; the first part holds override words.
#include <filesystem>

#include "core/base/file.h"
#include "core/config/printer.h"
#include "core/hydra/composer.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace fathom;  // NOLINT

void one_input(std::string_view bytes) {
  const std::string folder = fuzz::scratch_folder() + "/conf";
  std::filesystem::remove_all(folder);
  config::ComposeRequest request;
  request.config_path = folder;
  request.config_name = "config";
  std::string name, text;
  const auto finish = [&] {
    // Names stay inside of the folder, whatever the bytes say.
    if (name.empty() || name.find("..") != std::string::npos || name[0] == '/' || name.find('\0') != std::string::npos)
      return;
    const auto file = std::filesystem::path(folder) / (name + ".yaml");
    std::error_code ignored;
    std::filesystem::create_directories(file.parent_path(), ignored);
    if (!ignored && name.size() < 100) write_file_atomically(file.string(), text);
  };
  for (const std::string& line : fuzz::lines_of(bytes)) {
    if (line.starts_with("== ")) {
      finish();
      name = line.substr(3);
      text.clear();
    } else if (name.empty()) {
      request.overrides.push_back(line);
    } else {
      text += line + "\n";
    }
  }
  finish();
  config::to_yaml(config::compose(request).job);
}

}  // namespace

FATHOM_FUZZ(one_input)
