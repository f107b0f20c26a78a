// Trained models by name, as NeMo's list_available_models() and from_pretrained(): those the plugins declare
// ("stt_en_quartznet15x5") and those of the Hugging Face hub ("user/name", "user/name@revision").
//
// A name is looked for on this machine alone:
//   1. NeMo's cache, $NEMO_CACHE_DIR or ~/.cache/torch/NeMo: NeMo_VERSION/NAME/HASH/NAME.nemo, the newest
//   2. the hub's cache, $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub:
//      models--USER--NAME/snapshots/REVISION/NAME.nemo, the one .nemo there is, or the snapshot as an unpacked archive
// Nothing is downloaded unless the user says so: `fathom models fetch NAME`, or FATHOM_DOWNLOAD=1 for every command.
// Downloads come from the declared location, from $FATHOM_MODEL_MIRROR/NAME.nemo where that is set, and of the hub from
// $HF_ENDPOINT (https://huggingface.co); they go where the search finds them, so NeMo and Python find them too.
// Thread-safe but for the environment.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fathom/error.h"
#include "fathom/json.h"

namespace fathom::model_files {

struct PretrainedModel {
  std::string name, description, location;
  std::vector<std::string> aliases;
  std::string sha256;               // "" where not known
  std::string model_class, plugin;  // "asr.EncDecCTCModel", "asr"
};

// What the plugins declare, sorted by name; no plugin is loaded. A declaration that is malformed is an Error(kBadData)
// naming the plugin.
std::vector<PretrainedModel> pretrained_models();
// [{name, description, location, class, plugin, aliases, sha256, path}]; path is null where it is not on this machine.
Json pretrained_json();

// Where a model of that name lies on this machine; "" nowhere. `places` (optional) gets where it was looked for.
std::string find_on_this_machine(const std::string& name, std::vector<std::string>* places = nullptr);

struct FetchOptions {
  std::function<void(uint64_t bytes, uint64_t total)> progress;  // total 0: not known
  double retry_seconds = 1;                                      // before the second attempt; doubles
};
// Downloads a model that is not here yet, and gives its path. Throws Error: kNoInput for a name that nobody declares
// and the hub does not know, kUnavailable where downloads were switched off (HF_HUB_OFFLINE) or libcurl is not there,
// kIo for the network, kBadData for a checksum that differs, kInterrupted.
std::string fetch_model(const std::string& name, const FetchOptions& options = {});

// The file a user means by `given`: a file that exists, else a model by name. A name that is not on this machine is
// downloaded where FATHOM_DOWNLOAD=1 allows it, else Error(absent) saying what was looked for, where, and how to allow
// it. `where` is the key or argument.
std::string model_file(const std::string& given, const std::string& where = {}, Code absent = Code::kNoInput);

}  // namespace fathom::model_files
