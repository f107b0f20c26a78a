#include "core/model_files/hub_folder.h"

#include <fmt/format.h>

#include <filesystem>

#include "core/archive/inspect.h"
#include "core/archive/mapped_file.h"
#include "core/base/file.h"
#include "core/config/json.h"
#include "core/config/printer.h"
#include "core/model_files/convert.h"
#include "core/model_files/hub_cache.h"
#include "fathom/error.h"

namespace fathom::model_files {
namespace {

namespace fs = std::filesystem;

std::string class_name(const std::string& target) { return target.substr(target.rfind('.') + 1); }

// What NeMo calls the kind of task, by the collection that the class is of; "" where the hub has no word for it.
std::string pipeline_of(const std::string& target) {
  if (target.find(".asr.") != std::string::npos)
    return target.find("Classification") != std::string::npos || target.find("Label") != std::string::npos
               ? "audio-classification"
               : "automatic-speech-recognition";
  if (target.find(".tts.") != std::string::npos) return "text-to-speech";
  return "";
}

std::string card_text(const HubCard& card, const checkpoint::Inspection& model) {
  Json yaml = {{"library_name", "nemo"}, {"license", card.licence}};
  if (!card.languages.empty()) yaml["language"] = card.languages;
  if (!card.datasets.empty()) yaml["datasets"] = card.datasets;
  if (const std::string pipeline = pipeline_of(model.target); !pipeline.empty()) yaml["pipeline_tag"] = pipeline;
  yaml["tags"] = {"pytorch", "NeMo"};
  for (const auto& tag : card.tags) yaml["tags"].push_back(tag);
  const std::string name = card.repository.substr(card.repository.find('/') + 1);
  std::string text = "---\n" + config::to_yaml(config::from_json(yaml)) + "---\n\n# " + name + "\n\n";
  text += card.description.empty() ? fmt::format("A `{}` of {} parameters in NeMo's archive format.\n",
                                                 class_name(model.target), model.parameters)
                                   : card.description + "\n";
  text += fmt::format(
      "\n| | |\n|---|---|\n| class | `{}` |\n| NeMo version | {} |\n| parameters | {} |\n| tensors | {} |\n",
      model.target, model.nemo_version, model.parameters, model.tensors.size());
  text += fmt::format("\n## Use\n\n```\nfathom models fetch {0}\nfathom inspect {0}\n", card.repository);
  if (pipeline_of(model.target) == "automatic-speech-recognition")
    text += fmt::format("fathom transcribe {} clip.wav\n", card.repository);
  text += fmt::format(
      "```\n\nIn Python with NeMo:\n\n```python\nfrom nemo.core import ModelPT\n\nmodel = "
      "ModelPT.from_pretrained(\"{}\")\n```\n",
      card.repository);
  return text;
}

}  // namespace

std::vector<std::string> write_hub_folder(const std::string& nemo, const HubCard& card, const std::string& folder,
                                          bool replace) {
  const auto repository = parse_hub_name(card.repository);
  if (!repository || card.repository.find('@') != std::string::npos) {
    throw Error(Code::kUsage, "is no name of a repository of the hub").seen(card.repository).expected("user/name");
  }
  const checkpoint::Inspection model = checkpoint::inspect_file(nemo);
  if (!model.format.starts_with("nemo")) {
    throw Error(Code::kBadData, "only .nemo archives are given to the hub")
        .at(nemo)
        .seen(model.format)
        .next("`fathom convert` makes a .nemo of it");
  }
  const fs::path place(folder);
  const std::string archive = place / (repository->name() + ".nemo"), readme = place / "README.md",
                    attributes = place / ".gitattributes";
  const std::vector<std::string> paths = {archive, readme, attributes};
  for (const auto& path : paths) {
    if (!replace && file_exists(path))
      throw Error(Code::kCantCreate, "the output is there already").at(path).next("give another folder, or --force");
  }
  create_directories(folder);
  if (model.format == "nemo") {
    const auto file = checkpoint::MappedFile::open(nemo);
    write_file_atomically(archive, file->bytes());
  } else {  // a folder, or compressed as before NeMo 1.7
    ConvertOptions options;
    options.replace = replace;
    convert_model_file(nemo, archive, options);
  }
  write_file_atomically(readme, card_text(card, model));
  write_file_atomically(attributes, "*.nemo filter=lfs diff=lfs merge=lfs -text\n");
  return paths;
}

}  // namespace fathom::model_files
