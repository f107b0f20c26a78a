#include "core/hydra/job_output.h"

#include <cstdlib>
#include <filesystem>

#include "core/base/file.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/printer.h"

namespace fathom::config {
namespace fs = std::filesystem;
namespace {

Node only_hydra(const Composed& composed) {
  Node root = Node::map();
  root.set("hydra", composed.hydra);
  return root;
}

void write_records(const Composed& composed, const fs::path& folder) {
  create_directories(folder.string());
  Node words = Node::list();
  for (const std::string& word : composed.task_overrides) words.append(Node::scalar(word));
  write_file_atomically((folder / "config.yaml").string(), to_yaml(composed.job));
  write_file_atomically((folder / "hydra.yaml").string(), to_yaml(only_hydra(composed)));
  write_file_atomically((folder / "overrides.yaml").string(), to_yaml(words));
}

// The file handlers among those the root logger uses.
std::vector<std::string> create_log_files(const Composed& composed, const ResolverRegistry& resolvers) {
  std::vector<std::string> files;
  const Node all = composed.all();
  Node handlers, used;
  if (!select(all, "hydra.job_logging.handlers", &handlers, resolvers) || !handlers.is_map() ||
      !select(all, "hydra.job_logging.root.handlers", &used, resolvers) || !used.is_list()) {
    return files;
  }
  for (const Node& name : used.items()) {
    const Node* handler =
        name.is_string() ? handlers.find(std::string_view(std::get<std::string>(name.value()))) : nullptr;
    if (handler == nullptr || !handler->is_map()) continue;
    const Node* type = handler->find("class");
    const Node* file = handler->find("filename");
    if (type == nullptr || file == nullptr || python_str(*type) != "logging.FileHandler") continue;
    const std::string path = fs::absolute(python_str(*file)).lexically_normal().string();
    append_file(path, "");
    files.push_back(path);
  }
  return files;
}

}  // namespace

std::string hydra_setting(const Composed& composed, const std::string& path, const ResolverRegistry& resolvers) {
  const Node value = get(composed.all(), "hydra." + path, resolvers);
  return value.is_null() ? "" : python_str(value);
}

JobOutput prepare_job_output(Composed& composed, const std::string& folder, const ResolverRegistry& resolvers) {
  JobOutput output;
  output.folder = fs::absolute(folder.empty() ? "." : folder).lexically_normal().string();
  create_directories(output.folder);
  if (Node* place = find_path(composed.hydra, "runtime.output_dir")) *place = Node::scalar(output.folder);
  const std::string records = hydra_setting(composed, "output_subdir", resolvers);
  if (!records.empty()) write_records(composed, fs::path(output.folder) / records);
  output.log_files = create_log_files(composed, resolvers);
  return output;
}

WorkingFolder::WorkingFolder(const std::string& folder) : old_(fs::current_path().string()) {
  std::error_code error;
  fs::current_path(folder, error);
  if (error) throw Error(Code::kIo, "cannot change to the job's folder: " + error.message()).at(folder);
}

WorkingFolder::~WorkingFolder() {
  std::error_code ignored;  // the old folder may have been removed meanwhile
  fs::current_path(old_, ignored);
}

EnvironmentVariables::EnvironmentVariables(const Node& variables) {
  if (!variables.is_map()) return;
  for (const auto& [key, value] : variables.entries()) {
    const std::string name = key.text();
    if (!name.empty() && name.find('=') == std::string::npos) continue;
    throw ConfigError("ValueError", "hydra.job.env_set: no name for an environment variable")
        .with_where(value.origin())
        .with_seen(name);
  }
  for (const auto& [key, value] : variables.entries()) {
    const std::string name = key.text();
    const char* old = std::getenv(name.c_str());
    old_.emplace(name, old != nullptr ? std::optional<std::string>(old) : std::nullopt);
    ::setenv(name.c_str(), python_str(value).c_str(), 1);
  }
}

EnvironmentVariables::~EnvironmentVariables() {
  for (const auto& [name, value] : old_) {
    if (value)
      ::setenv(name.c_str(), value->c_str(), 1);
    else
      ::unsetenv(name.c_str());
  }
}

}  // namespace fathom::config
