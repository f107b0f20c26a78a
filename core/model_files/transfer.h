// One exchange over HTTP, as libfathom_download.so makes it with libcurl. The library is opened by the first command
// that downloads, so that no other pays for it; tests put their own in its place.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace fathom::model_files {

struct TransferRequest {
  std::string url;
  bool head = false;             // headers alone
  bool follow_redirects = true;  // ten at most, from https to https only
  std::string token;             // bearer; sent to the URL's own host alone
  uint64_t from = 0;             // first byte wanted
  std::string if_range;          // ETag that the bytes from there must belong to
};

struct TransferReply {
  int status = 0;                              // of the last response; 0: there was none
  std::map<std::string, std::string> headers;  // of the last response, names in lower case
  std::string failure;                         // of the network, or "" where all that was announced came
};

class Transfer {
 public:
  virtual ~Transfer() = default;
  // `begin` sees status and headers before the first byte of a body; false leaves the body unread. `body` gets it piece
  // by piece. Their exceptions end the exchange and come out of it. `stop` is asked about once a second.
  virtual TransferReply perform(const TransferRequest& request, const std::function<bool(const TransferReply&)>& begin,
                                const std::function<void(std::string_view)>& body,
                                const std::function<bool()>& stop) = 0;
};

// Of libfathom_download.so, beside this library; Error(kUnavailable) where it or libcurl is not there.
Transfer& network();

}  // namespace fathom::model_files

// The one symbol that is looked up.
extern "C" __attribute__((visibility("default"))) fathom::model_files::Transfer* fathom_make_transfer();
