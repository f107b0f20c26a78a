#include "core/model_files/hub_cache.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/model_files/download.h"
#include "core/model_files/pretrained.h"
#include "fathom/error.h"
#include "fathom/json.h"

namespace fathom::model_files {
namespace {

namespace fs = std::filesystem;

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string own = setting(name); !own.empty()) return own;
  }
  if (const std::string home = setting("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  if (const std::string cache = setting("XDG_CACHE_HOME"); cache.starts_with('/'))
    return fs::path(cache) / "huggingface" / "hub";
  const std::string home = setting("HOME");
  return fs::path(home.empty() ? "." : home) / ".cache/huggingface/hub";
}

fs::path folder_of(const HubRepository& repository) {
  std::string name = "models--" + repository.id;
  name.replace(name.find('/'), 1, "--");
  return hub_cache() / name;
}

// One part of a name of the hub, or a revision: letters, digits, '-', '_' and '.', and none that leads elsewhere.
bool is_hub_word(std::string_view word) {
  return !word.empty() && word.size() <= 96 && word.front() != '.' && word.front() != '-' &&
         word.find("..") == std::string_view::npos && word.find("--") == std::string_view::npos &&
         std::all_of(word.begin(), word.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
}

// The commit that a revision means here: itself, or what refs/REVISION says.
std::string commit_of(const fs::path& folder, const std::string& revision) {
  const fs::path ref = folder / "refs" / revision;
  std::error_code error;
  if (!fs::is_regular_file(ref, error)) return revision;
  const std::string commit(trim(read_file(ref.string())));
  return is_hub_word(commit) ? commit : revision;
}

void check_allowed(const HubRepository& repository) {
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    const std::string value = setting(name);
    if (value.empty() || value == "0" || value == "false" || value == "False") continue;
    throw Error(Code::kUnavailable, "the hub must not be asked for " + repository.id)
        .seen(std::string(name) + "=" + value)
        .next(std::string("unset ") + name + ", or put the model into " + folder_of(repository).string());
  }
}

// What a download from the hub needs to know.
struct HubPlace {
  const HubRepository& repository;
  const FetchOptions& options;
  std::string endpoint, token;
  fs::path folder;  // of the repository in the cache

  // One file into blobs/, linked into its snapshot; the link's path.
  std::string fetch(const std::string& file) const {
    DownloadRequest request;
    request.url = endpoint + "/" + repository.id + "/resolve/" + repository.revision + "/" + file;
    request.token = token;
    request.progress = options.progress;
    request.retry_seconds = options.retry_seconds;
    // The hub tells a file's commit and its checksum before it sends one elsewhere for the bytes.
    const RemoteFile remote = ask_for_file(request.url, request.token);
    const std::string commit = is_hub_word(remote.commit) ? remote.commit : repository.revision;
    const fs::path place = folder / "snapshots" / commit / file;
    request.sha256 = remote.sha256;
    if (!is_hub_word(remote.etag)) {  // a mirror that is no hub
      request.path = place;
      download(request);
    } else {
      request.path = folder / "blobs" / remote.etag;
      if (!file_exists(request.path)) download(request);
      create_directories(place.parent_path().string());
      std::error_code error;
      fs::create_symlink(fs::path("../../blobs") / remote.etag, place, error);
      if (error && error != std::errc::file_exists)
        throw Error(Code::kCantCreate, "cannot link the model into its snapshot: " + error.message())
            .at(place.string());
    }
    if (commit != repository.revision) {
      create_directories((folder / "refs").string());
      write_file_atomically((folder / "refs" / repository.revision).string(), commit);
    }
    return place;
  }

  // The names of the files at the repository's top; empty where the server does not tell.
  std::vector<std::string> files() const {
    constexpr size_t kLongest = 4 << 20, kMost = 1000;
    const std::string url = endpoint + "/api/models/" + repository.id + "/revision/" + repository.revision;
    std::vector<std::string> names;
    const auto text = read_remote_text(url, token, kLongest);
    const Json answer = text ? Json::parse(*text, nullptr, /*allow_exceptions=*/false) : Json();
    if (!answer.is_object() || !answer.contains("siblings") || !answer["siblings"].is_array()) return names;
    for (const Json& file : answer["siblings"]) {
      const bool named = file.is_object() && file.contains("rfilename") && file["rfilename"].is_string();
      if (named && names.size() < kMost && is_hub_word(file["rfilename"].get<std::string>()))
        names.push_back(file["rfilename"].get<std::string>());
    }
    return names;
  }
};

}  // namespace

std::optional<HubRepository> parse_hub_name(std::string_view text) {
  HubRepository out;
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    out.revision = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || !is_hub_word(text.substr(0, slash)) || !is_hub_word(text.substr(slash + 1)) ||
      !is_hub_word(out.revision))
    return std::nullopt;
  out.id = text;
  return out;
}

std::string find_in_hub_cache(const HubRepository& repository, std::vector<std::string>* places) {
  const fs::path folder = folder_of(repository);
  const fs::path snapshot = folder / "snapshots" / commit_of(folder, repository.revision);
  if (places != nullptr) places->push_back("snapshot in " + folder.string());
  std::error_code error;
  const fs::path named = snapshot / (repository.name() + ".nemo");
  if (fs::exists(named, error)) return named;
  std::vector<std::string> archives;
  for (fs::directory_iterator it(snapshot, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".nemo" && fs::exists(it->path())) archives.push_back(it->path());
  }
  if (archives.size() == 1) return archives.front();
  if (archives.size() > 1) {
    std::sort(archives.begin(), archives.end());
    throw Error(Code::kBadData, "the repository holds several models")
        .at(repository.id)
        .seen(join(archives, ", "))
        .expected("one .nemo, or one called " + repository.name() + ".nemo")
        .next("give the path of one of them");
  }
  if (fs::exists(snapshot / "model_config.yaml", error)) return snapshot;
  return "";
}

std::string fetch_from_hub(const HubRepository& repository, const FetchOptions& options) {
  check_allowed(repository);
  HubPlace hub{repository, options, setting("HF_ENDPOINT"), setting("HF_TOKEN"), folder_of(repository)};
  if (hub.endpoint.empty()) hub.endpoint = "https://huggingface.co";
  while (hub.endpoint.ends_with('/')) hub.endpoint.pop_back();
  try {
    return hub.fetch(repository.name() + ".nemo");
  } catch (const Error& error) {
    if (error.code() != Code::kNoInput) throw;
    // Under another name, or not packed.
    const std::vector<std::string> files = hub.files();
    std::vector<std::string> archives;
    for (const auto& file : files) {
      if (file.ends_with(".nemo")) archives.push_back(file);
    }
    if (archives.size() == 1) return hub.fetch(archives.front());
    if (!archives.empty() || std::find(files.begin(), files.end(), "model_config.yaml") == files.end()) {
      if (archives.empty()) throw;
      throw Error(Code::kNoInput, "the repository holds several models, and none has its name")
          .at(repository.id)
          .seen(join(archives, ", "))
          .expected(repository.name() + ".nemo");
    }
    std::string place;
    for (const auto& file : files) place = hub.fetch(file);
    return fs::path(place).parent_path();
  }
}

}  // namespace fathom::model_files
