#include "core/model_files/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/interrupt.h"
#include "core/model_files/digest.h"
#include "core/model_files/test_models.h"
#include "fathom/error.h"
#include "tests/support/http_server.h"

namespace fathom::model_files {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string noise(size_t size, uint32_t seed = 1) {
  std::string out(size, '\0');
  for (char& byte : out) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return out;
}

class DownloadTest : public ModelFilesTest {
 protected:
  DownloadRequest request(const std::string& sha256 = "") const {
    DownloadRequest out;
    out.url = server_.url("/m.nemo");
    out.path = at("cache/m.nemo");
    out.sha256 = sha256;
    out.retry_seconds = 0.001;
    return out;
  }
  void expect_error(Code code, const std::string& part, const DownloadRequest& wanted) {
    try {
      download(wanted);
      FAIL() << "no error with " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }
  // Only what was asked for, and the lock.
  void expect_no_rest() {
    EXPECT_FALSE(fs::exists(at("cache/m.nemo.part")));
    EXPECT_FALSE(fs::exists(at("cache/m.nemo.part.json")));
  }
  HttpServer server_;
  const std::string content_ = noise(300'000);
};

TEST(Digest, PublishedExamples) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  Sha256 pieces;
  for (const char* piece : {"a", "", "bc"}) pieces.add(piece);
  EXPECT_EQ(pieces.hex(), sha256_hex("abc"));
  EXPECT_EQ(md5_hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(md5_hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(md5_hex("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57edf4a22be3c955ac49da2e2107b67a");
}

TEST_F(DownloadTest, AWholeFile) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\""});
  uint64_t seen = 0, total = 0;
  DownloadRequest wanted = request(sha256_hex(content_));
  wanted.progress = [&](uint64_t bytes, uint64_t all) { seen = bytes, total = all; };
  download(wanted);
  EXPECT_EQ(read_file(wanted.path), content_);
  EXPECT_EQ(seen, content_.size());
  EXPECT_EQ(total, content_.size());
  expect_no_rest();
}

TEST_F(DownloadTest, BrokenConnectionsAreTakenUpWhereTheyBroke) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\"", .cuts = 8, .cut_after = 30'000});
  const DownloadRequest wanted = request(sha256_hex(content_));  // more breaks than attempts: each brought something
  download(wanted);
  EXPECT_EQ(read_file(wanted.path), content_);
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 9u);
  for (size_t i = 1; i < requests.size(); ++i) {
    EXPECT_EQ(requests[i].header("range"), "bytes=" + std::to_string(30'000 * i) + "-");
    EXPECT_EQ(requests[i].header("if-range"), "\"a\"");
  }
  expect_no_rest();
}

TEST_F(DownloadTest, TheNextCallGoesOn) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\"", .cuts = 1, .cut_after = 100'000});
  DownloadRequest wanted = request();
  wanted.attempts = 1;
  expect_error(Code::kIo, "100000 bytes came", wanted);
  EXPECT_EQ(fs::file_size(at("cache/m.nemo.part")), 100'000u);
  EXPECT_FALSE(fs::exists(wanted.path));
  download(wanted);
  EXPECT_EQ(read_file(wanted.path), content_);
  EXPECT_EQ(server_.requests().back().header("range"), "bytes=100000-");
}

TEST_F(DownloadTest, AFileThatChangedIsTakenFromItsStart) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\"", .cuts = 1, .cut_after = 100'000});
  DownloadRequest wanted = request();
  wanted.attempts = 1;
  expect_error(Code::kIo, "bytes came", wanted);
  const std::string newer = noise(200'000, 7);
  server_.put("/m.nemo", {.content = newer, .etag = "\"b\""});
  download(wanted);
  EXPECT_EQ(read_file(wanted.path), newer);
}

TEST_F(DownloadTest, AServerThatKnowsNoRanges) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\"", .cuts = 2, .cut_after = 50'000, .ranges = false});
  download(request(sha256_hex(content_)));
  EXPECT_EQ(read_file(at("cache/m.nemo")), content_);
}

TEST_F(DownloadTest, AnotherChecksumIsRefusedAndNothingStays) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\""});
  expect_error(Code::kBadData, sha256_hex(content_), request(sha256_hex("something else")));
  EXPECT_FALSE(fs::exists(at("cache/m.nemo")));
  expect_no_rest();
}

// Bytes that went wrong on the way, or on the disk, before the download was taken up.
TEST_F(DownloadTest, ADamagedRestIsFoundAndLoadedAnew) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\"", .cuts = 1, .cut_after = 100'000});
  DownloadRequest wanted = request(sha256_hex(content_));
  wanted.attempts = 1;
  expect_error(Code::kIo, "bytes came", wanted);
  std::string damaged = read_file(at("cache/m.nemo.part"));
  damaged[5] ^= 1;
  write("cache/m.nemo.part", damaged);
  download(wanted);
  EXPECT_EQ(read_file(wanted.path), content_);
  EXPECT_EQ(server_.requests().size(), 3u);
}

TEST_F(DownloadTest, StatusesOfServers) {
  expect_error(Code::kNoInput, "404", request());
  EXPECT_EQ(server_.requests().size(), 1u) << "what is not there is not asked for again";
  server_.put("/m.nemo", {.content = content_, .errors = 1, .error = 403});
  expect_error(Code::kUnavailable, "HF_TOKEN", request());
  server_.put("/m.nemo", {.content = content_, .errors = 2, .error = 503});
  download(request());
  EXPECT_EQ(read_file(at("cache/m.nemo")), content_);
  server_.put("/m.nemo", {.content = content_, .errors = 100, .error = 500});
  expect_error(Code::kIo, "500", request());
}

TEST_F(DownloadTest, ARestBeyondTheFileIsThrownAway) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\"", .cuts = 1, .cut_after = 100'000});
  DownloadRequest wanted = request();
  wanted.attempts = 1;
  expect_error(Code::kIo, "bytes came", wanted);
  const std::string shorter = noise(1000, 3);
  server_.put("/m.nemo", {.content = shorter, .etag = "\"a\""});  // a server that does not keep its word
  wanted.attempts = 2;
  download(wanted);
  EXPECT_EQ(read_file(wanted.path), shorter);
}

TEST_F(DownloadTest, AnInterruptLeavesWhatCame) {
  server_.put("/m.nemo", {.content = content_, .etag = "\"a\"", .cuts = 1, .cut_after = 100'000});
  DownloadRequest wanted = request();
  wanted.progress = [](uint64_t bytes, uint64_t) {
    if (bytes >= 100'000) request_interrupt(2);
  };
  expect_error(Code::kInterrupted, "interrupted", wanted);
  request_interrupt(0);
  EXPECT_EQ(fs::file_size(at("cache/m.nemo.part")), 100'000u);
  download(wanted = request());
  EXPECT_EQ(read_file(wanted.path), content_);
}

TEST_F(DownloadTest, NobodyListens) {
  DownloadRequest wanted = request();
  wanted.url = "http://127.0.0.1:1/m.nemo";
  wanted.attempts = 2;
  expect_error(Code::kIo, "127.0.0.1", wanted);
  wanted.url = "file:///etc/hostname";
  expect_error(Code::kIo, "file", wanted);
}

}  // namespace
}  // namespace fathom::model_files
