#include "core/model_files/download.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include "core/archive/mapped_file.h"
#include "core/base/file.h"
#include "core/base/file_lock.h"
#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/model_files/digest.h"
#include "fathom/error.h"
#include "fathom/json.h"

namespace fathom::model_files {
namespace {

namespace fs = std::filesystem;

std::string header(const TransferReply& reply, const char* name) {
  const auto found = reply.headers.find(name);
  return found == reply.headers.end() ? "" : found->second;
}

// "W/\"abc\"" -> "abc"
std::string plain_etag(std::string_view text) {
  text = trim(text);
  if (text.starts_with("W/")) text.remove_prefix(2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::optional<uint64_t> number(std::string_view text) {
  text = trim(text);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "bytes 100-199/1000"
struct ContentRange {
  uint64_t first = 0;
  std::optional<uint64_t> total;
};
std::optional<ContentRange> content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const size_t dash = text.find('-'), slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto first = number(text.substr(0, dash));
  if (!first) return std::nullopt;
  return ContentRange{*first, number(text.substr(slash + 1))};
}

void check_interrupt(const std::string& path) {
  if (interrupt_requested() == 0) return;
  throw Error(Code::kInterrupted, "the download was interrupted").at(path).next("the same command goes on with it");
}

bool may_be_tried_again(int status) { return status == 0 || status == 408 || status == 429 || status >= 500; }

[[noreturn]] void refuse(const std::string& url, const TransferReply& reply) {
  const std::string seen = "HTTP status " + std::to_string(reply.status);
  if (reply.status == 404 || reply.status == 410)
    throw Error(Code::kNoInput, "the server has no such file").at(url).seen(seen);
  if (reply.status == 401 || reply.status == 403) {
    throw Error(Code::kUnavailable, "the server does not give this file to everybody")
        .at(url)
        .seen(seen)
        .next("for a repository of the hub that is not open, accept its terms there and set HF_TOKEN");
  }
  throw Error(Code::kIo, "the server did not give the file").at(url).seen(seen);
}

class Download {
 public:
  Download(const DownloadRequest& request, Transfer& transfer)
      : request_(request), transfer_(transfer), part_(request.path + ".part"), note_(part_ + ".json") {}
  ~Download() {
    if (file_ >= 0) ::close(file_);
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  void run() {
    take_up();
    double pause = request_.retry_seconds;
    for (int failures = 0;;) {
      check_interrupt(request_.path);
      const uint64_t before = have_;
      const TransferReply reply = exchange();
      if (reply.failure.empty() && is_complete(reply)) {
        if (finish()) return;
        continue;  // a wrong checksum of what was resumed: once more from the start
      }
      if (reply.failure.empty() && !may_be_tried_again(reply.status) && reply.status != 200 && reply.status != 206 &&
          reply.status != 416)
        refuse(request_.url, reply);
      if (reply.status == 416) start_over();  // what is here goes beyond the file that is there now
      if (have_ > before) {
        failures = 0;
        pause = request_.retry_seconds;
      }
      check_interrupt(request_.path);
      if (++failures >= request_.attempts) give_up(reply);
      log_warning("download", "{} after {} bytes: trying again", trouble(reply), have_);
      rest(pause);
      pause *= 2;
    }
  }

 private:
  // What lies there of an earlier try, if it may be gone on with.
  void take_up() {
    if (!file_exists(part_) || !file_exists(note_)) return start_over();
    try {
      const Json note = parse_text(read_file(note_));
      if (note.at("url") != request_.url) return start_over();
      etag_ = note.at("etag").get<std::string>();
    } catch (const std::exception&) {  // cut short when the process ended
      return start_over();
    }
    have_ = fs::file_size(part_);
    if (etag_.empty() && request_.sha256.empty()) return start_over();
    resumed_ = have_ > 0;
    if (resumed_) log_info("download", "going on with {} after {} bytes", part_, have_);
    open(/*truncate=*/false);
  }

  void start_over() {
    have_ = 0;
    total_.reset();
    etag_.clear();
    resumed_ = false;
    open(/*truncate=*/true);
  }

  void open(bool truncate) {
    if (file_ >= 0) ::close(file_);
    file_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (truncate ? O_TRUNC : O_APPEND), 0666);
    if (file_ < 0) fail(Code::kCantCreate, "cannot create");
  }

  [[noreturn]] void fail(Code code, const std::string& what) const {
    throw Error(code, what + ": " + std::strerror(errno)).at(part_);
  }

  TransferReply exchange() {
    TransferRequest ask;
    ask.url = request_.url;
    ask.token = request_.token;
    ask.from = have_;
    if (have_ > 0 && !etag_.starts_with("W/")) ask.if_range = etag_;
    return transfer_.perform(
        ask, [&](const TransferReply& reply) { return begin(reply); }, [&](std::string_view bytes) { take(bytes); },
        [&] { return interrupt_requested() != 0; });
  }

  bool begin(const TransferReply& reply) {
    const std::string etag = header(reply, "etag");
    if (reply.status == 206) {
      const auto range = content_range(header(reply, "content-range"));
      const bool other = !etag_.empty() && !etag.empty() && etag != etag_;
      if (!range || range->first != have_ || other) {  // of another file: from the start, with the next try
        start_over();
        return false;
      }
      total_ = range->total;
    } else if (reply.status == 200) {
      if (have_ > 0) start_over();  // the server sends it whole: it cannot resume, or has another file now
      total_ = number(header(reply, "content-length"));
    } else {
      return false;
    }
    if (etag != etag_ || !file_exists(note_)) {
      etag_ = etag;
      write_file_atomically(note_, json_text(Json{{"url", request_.url}, {"etag", etag_}}));
    }
    return true;
  }

  void take(std::string_view bytes) {
    constexpr uint64_t kLargest = uint64_t{1} << 40;  // of a stream without a length
    if (have_ + bytes.size() > total_.value_or(kLargest))
      throw Error(Code::kIo, "the server sends more than it said").at(request_.url);
    while (!bytes.empty()) {
      const ssize_t n = ::write(file_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(Code::kIo, "cannot write");
      have_ += static_cast<uint64_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    if (request_.progress) request_.progress(have_, total_.value_or(0));
  }

  bool is_complete(const TransferReply& reply) const {
    if (reply.status == 416) {  // nothing after what is there
      const auto range = header(reply, "content-range");
      return have_ > 0 && range == "bytes */" + std::to_string(have_);
    }
    return (reply.status == 200 || reply.status == 206) && (!total_ || have_ == *total_);
  }

  // False where it must be done again.
  bool finish() {
    if (::fsync(file_) != 0) fail(Code::kIo, "cannot flush to disk");
    if (request_.sha256.empty()) {
      log_warning("download", "no checksum is known for {}: its size alone was checked", request_.url);
    } else {
      std::string found;
      {
        const auto file = checkpoint::MappedFile::open(part_);
        found = sha256_hex(file->bytes());
      }
      if (found != lower(request_.sha256)) {
        const bool again = resumed_;
        start_over();
        ::unlink(note_.c_str());
        if (again) {
          log_warning("download", "the checksum of {} differs: downloading it anew", request_.url);
          return false;
        }
        ::unlink(part_.c_str());
        throw Error(Code::kBadData, "the downloaded file is not the one that was published")
            .at(request_.url)
            .seen("SHA-256 " + found)
            .expected(lower(request_.sha256))
            .next("try again later; the file was not kept");
      }
    }
    if (::rename(part_.c_str(), request_.path.c_str()) != 0) fail(Code::kIo, "cannot rename into place");
    ::unlink(note_.c_str());
    return true;
  }

  static std::string trouble(const TransferReply& reply) {
    if (!reply.failure.empty()) return reply.failure;
    if (reply.status == 200 || reply.status == 206) return "the connection ended early";
    return "HTTP status " + std::to_string(reply.status);
  }

  [[noreturn]] void give_up(const TransferReply& reply) const {
    throw Error(Code::kIo, "the download failed")
        .at(request_.url)
        .seen(trouble(reply) + "; " + std::to_string(have_) + " bytes came")
        .next("the same command goes on with what is kept in " + part_);
  }

  void rest(double seconds) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::min(seconds, 60.0));
    while (std::chrono::steady_clock::now() < end) {
      check_interrupt(request_.path);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  const DownloadRequest& request_;
  Transfer& transfer_;
  const std::string part_, note_;
  int file_ = -1;
  uint64_t have_ = 0;
  std::optional<uint64_t> total_;
  std::string etag_;  // as the server writes it
  bool resumed_ = false;
};

bool nothing_stops() { return interrupt_requested() != 0; }

}  // namespace

void download(const DownloadRequest& request, Transfer& transfer) {
  if (const auto parent = fs::path(request.path).parent_path(); !parent.empty()) create_directories(parent.string());
  const FileLock lock(request.path + ".lock");
  log_info("download", "{} -> {}", request.url, request.path);
  Download(request, transfer).run();
}

RemoteFile ask_for_file(const std::string& url, const std::string& token, Transfer& transfer) {
  TransferRequest ask;
  ask.url = url;
  ask.token = token;
  ask.head = true;
  ask.follow_redirects = false;  // the hub's own answer is wanted, not its storage's
  TransferReply reply;
  for (int hops = 0; hops < 5; ++hops) {
    reply = transfer.perform(ask, [](const TransferReply&) { return false; }, [](std::string_view) {}, nothing_stops);
    // A repository that was renamed: the place is on the same host, without its name.
    const std::string elsewhere = header(reply, "location");
    if (reply.status < 301 || reply.status > 308 || !elsewhere.starts_with('/') || elsewhere.starts_with("//")) break;
    const size_t host = ask.url.find("://");
    ask.url = ask.url.substr(0, ask.url.find('/', host == std::string::npos ? 0 : host + 3)) + elsewhere;
  }
  check_interrupt(url);
  if (!reply.failure.empty()) {
    throw Error(Code::kIo, "the server cannot be asked for the file")
        .at(url)
        .seen(reply.failure)
        .next("look whether this machine is online; HF_ENDPOINT names a mirror of the hub");
  }
  if (reply.status >= 400 || reply.status == 0) refuse(url, reply);
  RemoteFile out;
  std::string etag = header(reply, "x-linked-etag");
  if (etag.empty()) etag = header(reply, "etag");
  out.etag = plain_etag(etag);
  if (is_sha256(out.etag)) out.sha256 = lower(out.etag);
  out.commit = header(reply, "x-repo-commit");
  return out;
}

std::optional<std::string> read_remote_text(const std::string& url, const std::string& token, size_t limit,
                                            Transfer& transfer) {
  TransferRequest ask;
  ask.url = url;
  ask.token = token;
  std::string text;
  const TransferReply reply = transfer.perform(
      ask, [](const TransferReply& r) { return r.status == 200; },
      [&](std::string_view bytes) {
        if (text.size() + bytes.size() > limit)
          throw Error(Code::kBadData, "the server's answer is too long")
              .at(url)
              .expected(std::to_string(limit) + " bytes");
        text += bytes;
      },
      nothing_stops);
  check_interrupt(url);
  if (!reply.failure.empty()) {
    throw Error(Code::kIo, "the server cannot be asked")
        .at(url)
        .seen(reply.failure)
        .next("look whether this machine is online, and at FATHOM_MODEL_MIRROR and HF_ENDPOINT");
  }
  if (reply.status == 404 || reply.status == 410) return std::nullopt;
  if (reply.status != 200) refuse(url, reply);
  return text;
}

std::string published_checksum(const std::string& url, Transfer& transfer) {
  const auto text = read_remote_text(url, "", 4096, transfer);
  if (!text) return "";
  const std::string word = text->substr(0, text->find_first_of(" \t\r\n"));
  if (!is_sha256(word))
    throw Error(Code::kBadData, "the published checksum is none").at(url).seen(word.substr(0, 80)).expected("SHA-256");
  return lower(word);
}

}  // namespace fathom::model_files
