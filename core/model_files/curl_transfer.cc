// libfathom_download.so: HTTP by libcurl.
#include <curl/curl.h>

#include <exception>
#include <memory>

#include "core/model_files/transfer.h"
#include "fathom/error.h"

namespace fathom::model_files {
namespace {

// What libcurl's callbacks work on. Exceptions must not pass through its frames.
struct Exchange {
  CURL* handle;
  const std::function<bool(const TransferReply&)>& begin;
  const std::function<void(std::string_view)>& body;
  const std::function<bool()>& stop;
  TransferReply reply;
  bool begun = false, wanted = false;
  std::exception_ptr failure;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

size_t take_header(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, size * count);
  try {
    constexpr size_t kMost = 200, kLongest = 8192;
    if (line.starts_with("HTTP/")) {  // a new response: after a redirect, or after "100 Continue"
      exchange.reply.headers.clear();
    } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
      std::string name(line.substr(0, colon));
      for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
      if (exchange.reply.headers.size() < kMost && line.size() < kLongest)
        exchange.reply.headers[name] = trimmed(line.substr(colon + 1));
    }
    return size * count;
  } catch (...) {
    exchange.failure = std::current_exception();
    return 0;
  }
}

size_t take_body(char* data, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  try {
    if (!exchange.begun) {
      exchange.begun = true;
      long status = 0;
      curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
      exchange.reply.status = static_cast<int>(status);
      exchange.wanted = exchange.begin(exchange.reply);
    }
    if (!exchange.wanted) return 0;  // ends the exchange
    exchange.body({data, size * count});
    return size * count;
  } catch (...) {
    exchange.failure = std::current_exception();
    return 0;
  }
}

int watch(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& exchange = *static_cast<Exchange*>(user);
  try {
    return exchange.stop() ? 1 : 0;
  } catch (...) {
    exchange.failure = std::current_exception();
    return 1;
  }
}

template <typename T>
void set(CURL* handle, CURLoption option, T value) {
  if (const CURLcode code = curl_easy_setopt(handle, option, value); code != CURLE_OK)
    throw Error(Code::kInternal, std::string("libcurl refuses an option: ") + curl_easy_strerror(code));
}

class CurlTransfer final : public Transfer {
 public:
  CurlTransfer() { curl_global_init(CURL_GLOBAL_DEFAULT); }

  TransferReply perform(const TransferRequest& request, const std::function<bool(const TransferReply&)>& begin,
                        const std::function<void(std::string_view)>& body, const std::function<bool()>& stop) override {
    const std::unique_ptr<CURL, void (*)(CURL*)> owner(curl_easy_init(), curl_easy_cleanup);
    CURL* handle = owner.get();
    if (handle == nullptr) throw Error(Code::kInternal, "libcurl gives no handle");
    Exchange exchange{handle, begin, body, stop, {}, false, false, nullptr};
    char message[CURL_ERROR_SIZE] = "";
    set(handle, CURLOPT_ERRORBUFFER, message);
    set(handle, CURLOPT_URL, request.url.c_str());
    const bool plain = request.url.starts_with("http://");  // only where the user's own setting says so
    set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    set(handle, CURLOPT_REDIR_PROTOCOLS_STR, plain ? "http,https" : "https");
    set(handle, CURLOPT_FOLLOWLOCATION, request.follow_redirects ? 1L : 0L);
    set(handle, CURLOPT_MAXREDIRS, 10L);
    set(handle, CURLOPT_NOSIGNAL, 1L);
    set(handle, CURLOPT_USERAGENT, "fathom");
    set(handle, CURLOPT_CONNECTTIMEOUT, 30L);
    set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);  // not a byte in so many seconds
    set(handle, CURLOPT_LOW_SPEED_TIME, 60L);
    set(handle, CURLOPT_NOPROGRESS, 0L);
    set(handle, CURLOPT_XFERINFOFUNCTION, watch);
    set(handle, CURLOPT_XFERINFODATA, &exchange);
    set(handle, CURLOPT_HEADERFUNCTION, take_header);
    set(handle, CURLOPT_HEADERDATA, &exchange);
    set(handle, CURLOPT_WRITEFUNCTION, take_body);
    set(handle, CURLOPT_WRITEDATA, &exchange);
    if (request.head) set(handle, CURLOPT_NOBODY, 1L);
    if (!request.token.empty()) {  // not given to the hosts of redirects
      set(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
      set(handle, CURLOPT_XOAUTH2_BEARER, request.token.c_str());
    }
    curl_slist* headers = nullptr;
    const auto add = [&](const std::string& line) { headers = curl_slist_append(headers, line.c_str()); };
    // libcurl's own CURLOPT_RANGE would make an error of a server that sends the whole file.
    if (request.from > 0) add("Range: bytes=" + std::to_string(request.from) + "-");
    if (!request.if_range.empty()) add("If-Range: " + request.if_range);
    const std::unique_ptr<curl_slist, void (*)(curl_slist*)> header_owner(headers, curl_slist_free_all);
    set(handle, CURLOPT_HTTPHEADER, headers);

    const CURLcode code = curl_easy_perform(handle);
    if (exchange.failure) std::rethrow_exception(exchange.failure);
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    exchange.reply.status = static_cast<int>(status);
    if (code == CURLE_OK && !exchange.begun) exchange.begin(exchange.reply);  // an empty body
    const bool declined = code == CURLE_WRITE_ERROR && exchange.begun && !exchange.wanted;
    if (code != CURLE_OK && !declined) exchange.reply.failure = *message != '\0' ? message : curl_easy_strerror(code);
    return std::move(exchange.reply);
  }
};

}  // namespace
}  // namespace fathom::model_files

fathom::model_files::Transfer* fathom_make_transfer() { return new fathom::model_files::CurlTransfer(); }
