#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model_files/hub_folder.h"
#include "core/model_files/pretrained.h"
#include "host/arguments.h"
#include "host/output.h"
#include "host/progress.h"
#include "host/signals.h"

namespace fathom::cli {
namespace {

int list_models(bool json) {
  const Json models = model_files::pretrained_json();
  if (json) {
    print_json(models);
    return 0;
  }
  size_t width = 4;
  for (const auto& model : models) width = std::max(width, model["name"].get<std::string>().size());
  for (const auto& model : models) {
    print_line(fmt::format("{:<{}}  {:<10}  {}  {}", model["name"].get<std::string>(), width,
                           model["path"].is_null() ? "-" : "here", model["class"].get<std::string>(),
                           model["description"].get<std::string>()));
  }
  if (models.empty()) log_info("models", "no plugin declares pretrained models");
  return 0;
}

int fetch(const std::string& name) {
  catch_interrupts();
  std::string path;
  try {
    ProgressLine line("download");
    model_files::FetchOptions options;
    options.progress = [&](uint64_t bytes, uint64_t total) {
      if (!line.due()) return;
      line.show(total > 0 ? fmt::format("{:.1f} of {:.1f} MB ({:.0f} %)", bytes / 1e6, total / 1e6,
                                        100.0 * static_cast<double>(bytes) / static_cast<double>(total))
                          : fmt::format("{:.1f} MB", bytes / 1e6));
    };
    path = model_files::fetch_model(name, options);
  } catch (const Error& error) {
    if (error.code() != Code::kInterrupted) throw;
    print_error(error);
    return interrupt_status(/*saved=*/false);
  }
  print_line(path);
  return 0;
}

}  // namespace

int run_models(const Words& words, const Globals&) {
  bool json = false, force = false;
  std::string name, nemo, folder;
  model_files::HubCard card;
  CLI::App app(
      "Pretrained models by name: those the plugins declare, and user/name of the Hugging Face hub. Every command that "
      "takes a .nemo file takes such a name, once the model is on this machine; FATHOM_DOWNLOAD=1 lets them "
      "download.\n\n"
      "  fathom models list\n"
      "  fathom models fetch stt_en_quartznet15x5\n"
      "  fathom models push model.nemo me/my-model --folder my-model",
      "fathom models");
  app.require_subcommand(0, 1);
  auto* list = app.add_subcommand("list", "the models that plugins declare, and which of them are here");
  list->add_flag("--json", json, "one JSON document");
  auto* path = app.add_subcommand("path", "where a model lies on this machine");
  path->add_option("name", name, "a name, or user/name of the hub")->required();
  auto* get = app.add_subcommand("fetch", "download a model, unless it is here; prints its path");
  get->add_option("name", name, "a name, or user/name[@revision] of the hub")->required();
  auto* push = app.add_subcommand("push", "write a model's repository of the Hugging Face hub: archive and card");
  push->add_option("nemo", nemo, "the .nemo")->required();
  push->add_option("repository", card.repository, "user/name")->required();
  push->add_option("--folder", folder, "where to write it; a clone of the repository, or a new folder");
  push->add_option("--license", card.licence, "of the weights, as the hub spells it")->capture_default_str();
  push->add_option("--language", card.languages, "languages, as en");
  push->add_option("--dataset", card.datasets, "data the model was trained with");
  push->add_option("--tag", card.tags, "further tags");
  push->add_option("--description", card.description, "first words of the card, in Markdown");
  push->add_flag("--force", force, "replace files that are there");
  if (parse_arguments(app, words)) return 0;
  if (*list) return list_models(json);
  if (*get) return fetch(name);
  if (*path) {
    std::vector<std::string> places;
    const std::string found = model_files::find_on_this_machine(name, &places);
    if (found.empty()) {
      throw Error(Code::kNoInput, "the model is not on this machine")
          .seen("no " + join(places, "; no "))
          .next("fathom models fetch " + name);
    }
    print_line(found);
    return 0;
  }
  if (*push) {
    if (folder.empty()) {
      throw Error(Code::kUnavailable, "nothing is uploaded: fathom does not speak the hub's protocol for that")
          .next("write the repository with --folder DIR, then `huggingface-cli upload " + card.repository +
                " DIR`, or git push it; both ask for your token");
    }
    for (const auto& file : model_files::write_hub_folder(nemo, card, folder, force)) print_line(file);
    log_info("models", "to upload it: huggingface-cli upload {} {}", card.repository, folder);
    return 0;
  }
  print(app.help());
  return FATHOM_USAGE;
}

}  // namespace fathom::cli
