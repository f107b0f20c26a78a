// Files from the network: resumed where they stopped, checked, and put in place in one step. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/model_files/transfer.h"

namespace fathom::model_files {

struct DownloadRequest {
  std::string url;
  std::string path;    // missing folders are made
  std::string sha256;  // expected; "" not known: then the size alone is checked
  std::string token;
  std::function<void(uint64_t bytes, uint64_t total)> progress;  // total 0: not known
  int attempts = 5;                                              // without a byte of progress
  double retry_seconds = 1;                                      // before the second; doubles
};

// Bytes that came wait in PATH.part, with what they are of in PATH.part.json, also over the end of the process: the
// next call goes on there if the server still has the same file (its ETag), or if the checksum is known, which decides
// in the end. One process at a time has a PATH. Throws Error: kNoInput for a file the server does not have,
// kUnavailable for one it does not give, kIo for the network and the disk, kBadData for a checksum that differs,
// kInterrupted.
void download(const DownloadRequest& request, Transfer& transfer = network());

struct RemoteFile {
  std::string etag;    // without quotes
  std::string sha256;  // where the server tells it (the hub's X-Linked-Etag)
  std::string commit;  // X-Repo-Commit
};
// What the server says of a file; Errors as download().
RemoteFile ask_for_file(const std::string& url, const std::string& token, Transfer& transfer = network());

// A text of `limit` bytes at most; nothing where the server has no such file. Errors as download().
std::optional<std::string> read_remote_text(const std::string& url, const std::string& token, size_t limit,
                                            Transfer& transfer = network());

// The checksum in a file of sha256sum's form; "" where there is no such file.
std::string published_checksum(const std::string& url, Transfer& transfer = network());

}  // namespace fathom::model_files
