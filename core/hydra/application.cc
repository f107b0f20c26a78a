#include "core/hydra/application.h"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/printer.h"
#include "core/hydra/command_line.h"
#include "core/hydra/job_output.h"
#include "core/hydra/override_parser.h"
#include "core/hydra/shell_completion.h"
#include "core/hydra/sweep.h"

namespace fathom::config {
namespace fs = std::filesystem;
namespace {

// $NAME and $$; other dollars stay.
std::string fill_template(const std::string& text, const std::map<std::string, std::string>& values) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out += text[i++];
      continue;
    }
    if (text.substr(i, 2) == "$$") {
      out += '$';
      i += 2;
      continue;
    }
    size_t end = i + 1;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_')) ++end;
    const auto found = values.find(text.substr(i + 1, end - i - 1));
    out += found == values.end() ? text.substr(i, end - i) : found->second;
    i = end;
  }
  return out;
}

std::string config_groups(const ConfigRepository& repository, bool hydra_groups) {
  std::string text;
  for (const std::string& group : repository.all_groups()) {
    const bool is_hydra = group == "hydra" || group.starts_with("hydra/");
    if (is_hydra == hydra_groups) text += group + ": " + join(repository.group_options(group), ", ") + "\n";
  }
  return text;
}

std::string quoted_list(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "'" : ", '") + word + "'";
  return "[" + text + "]";
}

std::string time_stamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[40];
  const size_t n = std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
  std::snprintf(text + n, sizeof(text) - n, ",%03d", static_cast<int>(millis));
  return text;
}

class Runner {
 public:
  Runner(const Application& application, const CommandLine& flags, std::ostream& out, std::ostream& err)
      : application_(application), flags_(flags), out_(out), err_(err), request_(compose_request(application, flags)) {
    if (request_.config_path && request_.config_path->find("://") == std::string::npos) {
      request_.config_path =
          fs::absolute(fs::path(application_.base_folder) / *request_.config_path).lexically_normal().string();
    }
  }

  void run() {
    if (flags_.shell_completion) return complete();
    if (flags_.help || flags_.hydra_help) return help();
    if (flags_.cfg) return show();
    if (flags_.info) return info(*flags_.info);
    if (flags_.multirun) return multirun();
    run_or_sweep();
  }

 private:
  ResolverRegistry resolvers_of(const Composed& composed) const { return job_resolvers(composed, *request_.resolvers); }

  void prepare(Composed& composed, bool first = true) {
    if (first) {
      for (const Warning& warning : composed.warnings) err_ << "warning: " << warning.text << "\n";
    }
    if (application_.prepare) application_.prepare(composed, first);
  }

  // The words say what to do: install=SHELL, uninstall=SHELL or query=SHELL (which the script asks).
  void complete() {
    for (const std::string& word : flags_.overrides) {
      const std::string verb = word.substr(0, word.find('='));
      const std::string shell = word.substr(std::min(verb.size() + 1, word.size()));
      if (verb == "install" || verb == "uninstall") {
        const std::string& call = application_.completion_call;
        out_ << completion_script(shell, application_.name, call.empty() ? "-sc query=" + shell : call + shell,
                                  verb == "install");
        return;
      }
      if (verb == "query") return answer(typed_line(), shell);
    }
    throw ConfigError("ValueError", "Expecting one subcommand from ['install', 'uninstall', 'query'] to be set");
  }

  void answer(const TypedLine& typed, const std::string& shell) {
    if (typed.words.size() < 2) return;
    const CommandLine flags = parse_unfinished_line({typed.words.begin() + 1, typed.words.end() - 1});
    std::vector<std::string> ways = complete_word(compose_unfinished(application_, flags), typed.words.back());
    std::sort(ways.begin(), ways.end());
    for (const std::string& way : ways) out_ << shell_reply(typed, way, shell) << "\n";
  }

  void help() {
    ComposeRequest request = request_;
    if (flags_.hydra_help) request.config_name.reset();
    if (!application_.help.empty() && !flags_.hydra_help) return own_help();
    Composed composed;
    try {
      composed = compose(request);
    } catch (const Error&) {
      if (!flags_.hydra_help) throw;
      ComposeRequest bare;  // what is Hydra's own needs no folder
      bare.version_base = request.version_base;
      composed = compose(bare);
    }
    const ResolverRegistry resolvers = resolvers_of(composed);
    std::map<std::string, std::string> values = {{"FLAGS_HELP", command_line_flags_help()},
                                                 {"HYDRA_CONFIG_GROUPS", config_groups(*composed.repository, true)},
                                                 {"APP_CONFIG_GROUPS", config_groups(*composed.repository, false)}};
    const ConfigPart part = flags_.hydra_help ? ConfigPart::kHydra : ConfigPart::kJob;
    values["CONFIG"] = show_config(composed, part, std::nullopt, flags_.resolve, *request_.resolvers);
    const std::string section = flags_.hydra_help ? "hydra_help.template" : "help.template";
    out_ << fill_template(hydra_setting(composed, section, resolvers), values) << "\n";
  }

  // The program's own text, then what the command line's config has to offer, when it names one that can be composed.
  void own_help() {
    out_ << application_.help;
    if (!flags_.config_name && !flags_.config_path) return;
    Composed composed;
    std::string shown;
    try {
      composed = compose(request_);
      prepare(composed, false);
      shown = show_config(composed, ConfigPart::kJob, std::nullopt, flags_.resolve, *request_.resolvers);
    } catch (const Error& error) {
      err_ << "warning: the config is not shown: " << error.what() << "\n";
      return;
    }
    const std::string groups = config_groups(*composed.repository, false);
    if (!groups.empty())
      out_ << "\n== Configuration groups ==\nCompose your configuration from those groups "
           << "(group=option)\n\n"
           << groups;
    out_ << "\n== Config ==\nOverride anything in the config (foo.bar=value)\n\n" << shown;
  }

  void show() {
    Composed composed = compose(request_);
    prepare(composed);
    out_ << show_config(composed, part_named(*flags_.cfg), flags_.package, flags_.resolve, *request_.resolvers);
  }

  void info(const std::string& what) {
    Composed composed = compose(request_);
    prepare(composed);
    const bool all = what == "all";
    if ((all || what == "plugins") && application_.list_plugins) {
      application_.list_plugins(out_);
    } else if (all || what == "plugins") {
      out_ << "\nBuilt-in plugins\n****************\n\tLauncher: BasicLauncher\n\tSweeper: BasicSweeper\n";
    }
    if (all || what == "searchpath" || what == "config") {
      out_ << "\nConfig search path\n******************\n";
      table({"Provider", "Search path"}, [&](auto add) {
        for (const auto& source : composed.repository->sources()) {
          add({source->provider(), source->scheme() + "://" + source->path()});
        }
      });
    }
    if (all || what == "defaults-tree") {
      out_ << "\nDefaults Tree\n*************\n";
      for (const DefaultsTreeLine& line : composed.defaults.tree) {
        out_ << std::string(static_cast<size_t>(line.depth) * 2, ' ') << line.text << "\n";
      }
    }
    if (all || what == "defaults") {
      out_ << "\nDefaults List\n*************\n";
      table({"Config path", "Package", "_self_", "Parent"}, [&](auto add) {
        for (const ResultDefault& d : composed.defaults.defaults) {
          add({d.config_path, d.package, d.is_self ? "True" : "False", d.parent.value_or("")});
        }
      });
    }
    if (all || what == "config") {
      out_ << "\nConfig\n******\n"
           << show_config(composed, ConfigPart::kJob, flags_.package, flags_.resolve, *request_.resolvers);
    }
  }

  template <typename Fill>
  void table(std::vector<std::string> header, Fill fill) {
    std::vector<std::vector<std::string>> rows = {std::move(header)};
    fill([&](std::vector<std::string> row) { rows.push_back(std::move(row)); });
    std::vector<size_t> widths(rows[0].size());
    for (const auto& row : rows) {
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      std::string line = "|";
      for (size_t i = 0; i < rows[r].size(); ++i) {
        line += " " + rows[r][i] + std::string(widths[i] - rows[r][i].size(), ' ') + " |";
      }
      out_ << line << "\n";
      if (r == 0) out_ << std::string(line.size(), '-') << "\n";
    }
  }

  // hydra.mode may ask for a sweep; whether it does is known only after composing.
  void run_or_sweep() {
    std::optional<Composed> composed;
    try {
      composed = compose(request_);
    } catch (const ConfigError&) {
      if (flags_.run || !wants_multirun()) throw;
    }
    const Node* mode = composed ? composed->hydra.find("mode") : nullptr;
    if (!composed || (!flags_.run && mode != nullptr && is_multirun(*mode))) return multirun();
    prepare(*composed);
    run_job(*composed, hydra_setting(*composed, "run.dir", resolvers_of(*composed)), std::nullopt);
  }

  static bool is_multirun(const Node& mode) {
    const auto* member = mode.is_scalar() ? std::get_if<EnumMember>(&mode.value()) : nullptr;
    return member != nullptr && member->name == "MULTIRUN";
  }

  bool wants_multirun() const {
    ComposeRequest request = request_;
    request.multirun = true;
    try {
      const Composed composed = compose(request);
      const Node* mode = composed.hydra.find("mode");
      return mode != nullptr && is_multirun(*mode);
    } catch (const ConfigError&) {
      return false;  // the error of the plain composition is the one to report
    }
  }

  bool run_job(Composed& composed, const std::string& folder, std::optional<int64_t> number) {
    const JobOutput output = prepare_job_output(composed, folder, resolvers_of(composed));
    const ResolverRegistry resolvers = resolvers_of(composed);  // the output folder is known now
    std::optional<WorkingFolder> working_folder;
    const std::string chdir = hydra_setting(composed, "job.chdir", resolvers);
    // The old default was to change. NeMo's users trip over it: relative paths of data fail in a sweep only.
    const bool by_default =
        !VersionBase::parse(request_.version_base).at_least(2) && (application_.strict || !application_.nemo_runner);
    if (chdir.empty() ? by_default : chdir == "True") working_folder.emplace(output.folder);
    Node environment;
    select(*resolvers.hydra_config, "hydra.job.env_set", &environment, resolvers);
    const EnvironmentVariables variables(environment);
    const JobContext context{composed.job,     composed.hydra,          resolvers, output.folder,
                             output.log_files, composed.task_overrides, number,    out_};
    try {
      return application_.task(context);
    } catch (const std::exception&) {
      if (number || application_.strict)
        err_ << "Error executing job with overrides: " << quoted_list(composed.task_overrides) << "\n";
      throw;
    }
  }

  void log(const std::string& text) {
    (application_.log != nullptr ? *application_.log : out_) << "[" << time_stamp() << "][HYDRA] " << text << "\n"
                                                             << std::flush;
  }

  void multirun() {
    ComposeRequest request = request_;
    request.multirun = true;
    Composed master = compose(request);
    prepare(master);
    const ResolverRegistry resolvers = resolvers_of(master);
    const Node all = master.all();
    const std::vector<std::vector<Job>> batches = plan(master, all, resolvers);
    const std::string folder = hydra_setting(master, "sweep.dir", resolvers);
    create_directories(folder);
    write_file_atomically((fs::path(folder) / "multirun.yaml").string(), to_yaml(all));
    int64_t number = 0;
    for (const std::vector<Job>& batch : batches) {
      if (!launch(master, batch, number)) break;
    }
    if (first_failure_) {
      for (const std::string& failure : failures_) err_ << failure << "\n";
      throw SweepError(static_cast<int64_t>(failures_.size()), number, first_failure_);
    }
  }

  // The words of hydra.sweeper.params, then those of the command line.
  std::vector<std::vector<Job>> plan(const Composed& master, const Node& all, const ResolverRegistry& resolvers) {
    std::vector<std::string> words;
    Node params;
    if (select(all, "hydra.sweeper.params", &params, resolvers) && params.is_map()) {
      for (const auto& [key, value] : params.entries()) words.push_back(key.text() + "=" + python_str(value));
    }
    words.insert(words.end(), master.task_overrides.begin(), master.task_overrides.end());
    const auto overrides = parse_overrides(words, {.lenient = !application_.strict});
    std::optional<int64_t> limit;
    Node value;
    if (select(all, "hydra.sweeper.max_batch_size", &value, resolvers) && !value.is_null()) {
      const auto* number = value.is_scalar() ? std::get_if<int64_t>(&value.value()) : nullptr;
      if (number == nullptr) {
        throw ConfigError("ValidationError", "hydra.sweeper.max_batch_size must be an integer")
            .with_seen(python_str(value));
      }
      limit = *number;
    }
    return split_batches(sweep_jobs(overrides, master.repository.get()), limit);
  }

  // All jobs of a batch are composed before the first one starts: a typo shall not cost an hour.
  // False when the task ended the sweep.
  bool launch(const Composed& master, const std::vector<Job>& batch, int64_t& number) {
    std::vector<Composed> jobs;
    for (const Job& words : batch) {
      ComposeRequest request = request_;
      request.overrides = master.hydra_overrides;
      request.overrides.insert(request.overrides.end(), words.begin(), words.end());
      jobs.push_back(compose(request));
      prepare(jobs.back(), false);
    }
    log("Launching " + std::to_string(jobs.size()) + " jobs locally");
    for (Composed& job : jobs) {
      if (Node* id = find_path(job.hydra, "job.id")) *id = Node::scalar(std::to_string(number));
      if (Node* num = find_path(job.hydra, "job.num")) *num = Node::scalar(number);
      if (Node* mode = job.hydra.find("mode")) *mode = *master.hydra.find("mode");
      log("\t#" + std::to_string(number) + " : " + join(job.task_overrides, " "));
      const ResolverRegistry resolvers = resolvers_of(job);
      const fs::path folder =
          fs::path(hydra_setting(job, "sweep.dir", resolvers)) / hydra_setting(job, "sweep.subdir", resolvers);
      try {
        if (!run_job(job, folder.string(), number)) return false;
      } catch (const std::exception& error) {
        failures_.push_back("job #" + std::to_string(number) + " failed: " + error.what());
        err_ << failures_.back() << "\n" << std::flush;
        if (!first_failure_) first_failure_ = std::current_exception();
      }
      ++number;
    }
    return true;
  }

  const Application& application_;
  const CommandLine& flags_;
  std::ostream& out_;
  std::ostream& err_;
  ComposeRequest request_;
  std::vector<std::string> failures_;
  std::exception_ptr first_failure_;
};

}  // namespace

ComposeRequest compose_request(const Application& application, const CommandLine& flags) {
  ComposeRequest request;
  request.config_path = flags.config_path ? flags.config_path : application.config_path;
  if (request.config_path && (request.config_path->ends_with(".yaml") || request.config_path->ends_with(".yml"))) {
    throw ConfigError("ValueError",
                      "Using config_path to specify the config name is not supported, specify the config name via "
                      "config_name")
        .with_seen(*request.config_path)
        .with_next("--config-path FOLDER --config-name NAME");
  }
  request.config_dir = flags.config_dir;
  request.config_name = flags.config_name ? flags.config_name : application.config_name;
  if (flags.config_name) request.config_name_origin = command_line_origin("--config-name " + *flags.config_name);
  request.overrides = flags.overrides;
  if (application.nemo_runner) {
    for (const char* word : {"hydra.output_subdir=null", "hydra/job_logging=stdout", "hydra.run.dir=."}) {
      request.overrides.emplace_back(word);
    }
  }
  request.version_base = application.version_base;
  request.job_name = application.name;
  request.strict_overrides = application.strict;
  request.program_keys = application.program_keys;
  request.schema = application.schema;
  request.resolvers = application.resolvers != nullptr ? application.resolvers : &default_resolvers();
  return request;
}

Composed compose_unfinished(const Application& application, const CommandLine& flags) {
  CommandLine bare = flags;
  bare.overrides.clear();
  ComposeRequest whole = compose_request(application, flags), no_words = compose_request(application, bare);
  whole.multirun = no_words.multirun = true;  // groups that must be chosen yet are no error here
  ComposeRequest groups_only = no_words;
  groups_only.config_name.reset();
  for (const ComposeRequest* request : {&whole, &no_words}) {
    try {
      return compose(*request);
    } catch (const Error&) {  // the next one asks for less
    }
  }
  return compose(groups_only);
}

void run_application(const Application& application, const std::vector<std::string>& arguments, std::ostream& out,
                     std::ostream& err) {
  const CommandLine flags = parse_command_line(arguments, application.strict);
  if (flags.version) {
    out << application.version_text << "\n";
    return;
  }
  Runner(application, flags, out, err).run();
}

}  // namespace fathom::config
