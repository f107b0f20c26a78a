// A model as a repository of the Hugging Face hub: what NeMo's push_to_hf_hub() uploads, written into a folder.
// Thread-safe.
#pragma once

#include <string>
#include <vector>

namespace fathom::model_files {

struct HubCard {
  std::string repository;             // "user/name"
  std::string licence = "cc-by-4.0";  // of the weights, as the hub spells it
  std::vector<std::string> languages, datasets, tags;
  std::string description;  // Markdown; "": what the archive says
};

// Writes NAME.nemo, README.md (the model's card with its YAML) and .gitattributes (archives by Git LFS) into `folder`,
// which may not hold files of these names unless `replace`. The paths. Throws Error: kUsage for a name that is not
// "user/name", kBadData for a file that is no .nemo, kCantCreate.
std::vector<std::string> write_hub_folder(const std::string& nemo, const HubCard& card, const std::string& folder,
                                          bool replace = false);

}  // namespace fathom::model_files
