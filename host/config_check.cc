#include "host/config_check.h"

#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/json.h"
#include "core/experiment/exp_manager.h"
#include "core/plugins/kind.h"
#include "core/plugins/registry.h"
#include "core/training/trainer_options.h"

namespace fathom::cli {
namespace {

constexpr uint32_t kAnyModule = 1u << FATHOM_KIND_MODULE | 1u << FATHOM_KIND_LOSS | 1u << FATHOM_KIND_METRIC |
                                1u << FATHOM_KIND_DATASET | 1u << FATHOM_KIND_TOKENIZER;

class Checker {
 public:
  Checker(const config::Node& job, const config::Node& resolved) : job_(job), resolved_(resolved) {}

  // `own`: keys that the trainer reads, not the component.
  void section(uint32_t kinds, const std::string& key, const std::vector<std::string>& own) {
    const config::Node* node = config::find_path(resolved_, key);
    if (node == nullptr || !node->is_map()) return;
    config::Node given = *node;
    for (const auto& name : own) given.erase(config::Key(name));
    component(kinds, given, key);
  }
  void component(uint32_t kinds, const config::Node& node, const std::string& key) {
    for (auto& error : plugins::registry().validate_section(kinds, Json(config::to_json(node)), key, locate()))
      add(std::move(error));
  }
  template <typename Read>
  void own_section(const std::string& key, Read&& read) {
    const config::Node* node = config::find_path(resolved_, key);
    if (node == nullptr || !node->is_map()) return;
    try {
      read(Json(config::to_json(*node)), key);
    } catch (const Error& error) {
      add(error);
    }
  }
  // Sections with a `_target_` below the model: preprocessor, encoder, decoder, loss, …
  void children(const config::Node& node, const std::string& key) {
    if (!node.is_map()) return;
    for (const auto& [name, child] : node.entries()) {
      const std::string path = config::join_full_key(key, name);
      if (!child.is_map()) continue;
      if (child.find("_target_") != nullptr && path != "model.optim")
        component(kAnyModule, child, path);
      else
        children(child, path);
    }
  }
  void missing() {
    for (const auto& key : config::missing_keys(job_)) {
      add(Error(Code::kFailed, "a mandatory value is missing")
              .at(place(key))
              .seen("???")
              .next("add " + key + "=VALUE to the command line"));
    }
  }
  void add(Error error) { problems_.push_back(std::move(error)); }
  std::vector<Error> take() { return std::move(problems_); }

 private:
  plugins::Locate locate() const {
    return [this](const std::string& key) { return place(key); };
  }
  std::string place(const std::string& key) const {
    const config::Node* node = config::find_path(job_, key);
    const std::string origin = node != nullptr ? node->origin().text() : std::string();
    return origin.empty() ? key : key + " (" + origin + ")";
  }
  const config::Node& job_;
  const config::Node& resolved_;
  std::vector<Error> problems_;
};

}  // namespace

std::vector<Error> find_problems(const config::Node& job) {
  config::Node resolved = job;
  Checker checker(job, resolved);
  checker.missing();
  try {
    config::resolve(resolved);
  } catch (const Error& error) {
    checker.add(error);
    return checker.take();
  }
  checker.own_section("trainer",
                      [](const Json& section, const std::string& key) { parse_options<TrainerOptions>(section, key); });
  checker.own_section("exp_manager",
                      [](const Json& section, const std::string& key) { read_exp_manager_options(section, key); });
  checker.section(1u << FATHOM_KIND_OPTIMIZER, "model.optim", {"sched", "args"});
  checker.section(1u << FATHOM_KIND_SCHEDULER, "model.optim.sched",
                  {"args", "monitor", "reduce_on_plateau", "max_steps", "interval", "frequency", "iters_per_batch",
                   "t_max_epochs", "t_accumulate_grad_batches", "t_limit_train_batches", "t_num_workers"});
  if (const config::Node* model = config::find_path(resolved, "model")) checker.children(*model, "model");
  return checker.take();
}

}  // namespace fathom::cli
