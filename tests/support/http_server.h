// A small HTTP/1.1 server on 127.0.0.1 for tests of downloads, with the faults of real ones: connections that break,
// ranges that are not understood, files that change, errors that pass. One request a connection, one at a time.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fathom {

class HttpServer {
 public:
  struct File {
    std::string content = {};
    std::string etag = {};                            // with its quotes; "": none
    std::map<std::string, std::string> headers = {};  // further ones
    std::string redirect = {};                        // 302 to there
    int errors = 0;                                   // so many answers with `error` first
    int error = 503;
    int cuts = 0;  // so many answers that end after `cut_after` bytes
    size_t cut_after = 0;
    bool ranges = true;
  };
  struct Request {
    std::string method, path;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string header(const std::string& name) const {
      const auto found = headers.find(name);
      return found == headers.end() ? "" : found->second;
    }
  };

  HttpServer() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 16) != 0 || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("the test's server cannot listen");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpServer() {
    stopped_ = true;
    thread_.join();
    ::close(listener_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url(const std::string& path = "") const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  void put(const std::string& path, File file) {
    const std::scoped_lock lock(mutex_);
    files_[path] = std::move(file);
  }
  std::vector<Request> requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }

 private:
  void serve() {
    while (!stopped_) {
      pollfd waits = {listener_, POLLIN, 0};
      if (::poll(&waits, 1, 20) <= 0) continue;
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) continue;
      std::string text;
      char chunk[4096];
      while (text.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = ::recv(client, chunk, sizeof chunk, 0);
        if (n <= 0) break;
        text.append(chunk, static_cast<size_t>(n));
      }
      if (text.find("\r\n\r\n") != std::string::npos) answer(client, parse(text));
      ::shutdown(client, SHUT_WR);
      ::close(client);
    }
  }

  static Request parse(const std::string& text) {
    Request out;
    const size_t first = text.find(' '), second = text.find(' ', first + 1);
    out.method = text.substr(0, first);
    out.path = text.substr(first + 1, second - first - 1);
    size_t at = text.find("\r\n") + 2;
    while (at < text.size()) {
      const size_t end = text.find("\r\n", at);
      const std::string line = text.substr(at, end - at);
      if (line.empty()) break;
      const size_t colon = line.find(':');
      std::string name = line.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      out.headers[name] = line.substr(std::min(line.find_first_not_of(' ', colon + 1), line.size()));
      at = end + 2;
    }
    return out;
  }

  static void send(int client, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  static void reply(int client, const std::string& status, const std::map<std::string, std::string>& headers,
                    std::string_view body) {
    std::string text = "HTTP/1.1 " + status + "\r\nConnection: close\r\n";
    for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
    send(client, text + "\r\n");
    send(client, body);
  }

  void answer(int client, const Request& request) {
    const std::scoped_lock lock(mutex_);
    requests_.push_back(request);
    const auto found = files_.find(request.path);
    if (found == files_.end()) return reply(client, "404 Not Found", {{"Content-Length", "9"}}, "not found");
    File& file = found->second;
    if (file.errors > 0) {
      --file.errors;
      return reply(client, std::to_string(file.error) + " Error", {{"Content-Length", "5"}}, "later");
    }
    std::map<std::string, std::string> headers = file.headers;
    if (!file.etag.empty()) headers["ETag"] = file.etag;
    const bool head = request.method == "HEAD";
    if (!file.redirect.empty()) {
      headers["Location"] = file.redirect;
      headers["Content-Length"] = "0";
      return reply(client, "302 Found", headers, "");
    }
    size_t from = 0;
    std::string status = "200 OK";
    const std::string range = request.header("range"), condition = request.header("if-range");
    if (file.ranges && range.starts_with("bytes=") && (condition.empty() || condition == file.etag)) {
      from = std::stoul(range.substr(6));
      const std::string size = std::to_string(file.content.size());
      if (from >= file.content.size()) {
        headers["Content-Range"] = "bytes */" + size;
        headers["Content-Length"] = "0";
        return reply(client, "416 Range Not Satisfiable", headers, "");
      }
      headers["Content-Range"] =
          "bytes " + std::to_string(from) + "-" + std::to_string(file.content.size() - 1) + "/" + size;
      status = "206 Partial Content";
    }
    std::string_view body = std::string_view(file.content).substr(from);
    headers["Content-Length"] = std::to_string(body.size());
    if (head) {
      body = {};
    } else if (file.cuts > 0) {
      --file.cuts;
      body = body.substr(0, file.cut_after);
    }
    reply(client, status, headers, body);
  }

  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopped_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, File> files_;
  std::vector<Request> requests_;
  std::thread thread_;
};

}  // namespace fathom
