// Models of the Hugging Face hub in the cache that huggingface_hub keeps on this machine:
//   HUB/models--USER--NAME/refs/main             the revision's commit
//   HUB/models--USER--NAME/snapshots/COMMIT/…    the files, links into blobs/
// Thread-safe but for the environment.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::model_files {

struct FetchOptions;

inline constexpr std::string_view kMainRevision = "main";

struct HubRepository {
  std::string id;  // "user/name"
  std::string revision = std::string(kMainRevision);
  std::string name() const { return id.substr(id.find('/') + 1); }
};

// "user/name" or "user/name@revision"; nothing for another text.
std::optional<HubRepository> parse_hub_name(std::string_view text);

// NAME.nemo of the snapshot, its only .nemo, or the snapshot itself where it is an unpacked archive; "" where there is
// none. Error(kBadData) where several .nemo files leave it open which one is meant.
std::string find_in_hub_cache(const HubRepository& repository, std::vector<std::string>* places);

// Downloads NAME.nemo into that cache, else the repository's only .nemo, else all files at the top of one that is an
// unpacked archive; gives its path. Errors as fetch_model().
std::string fetch_from_hub(const HubRepository& repository, const FetchOptions& options);

}  // namespace fathom::model_files
