#include "core/model_files/pretrained.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/archive/inspect.h"
#include "core/model_files/digest.h"
#include "core/model_files/hub_cache.h"
#include "core/model_files/hub_folder.h"
#include "core/model_files/stored_model.h"
#include "core/model_files/test_models.h"
#include "fathom/error.h"
#include "tests/support/error_of.h"
#include "tests/support/http_server.h"

namespace fathom::model_files {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PretrainedTest : public ModelFilesTest {
 protected:
  PretrainedTest() {
    for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
                             "FATHOM_DOWNLOAD", "FATHOM_MODEL_MIRROR", "HF_TOKEN", "HF_ENDPOINT"})
      ::unsetenv(name);
    ::setenv("NEMO_CACHE_DIR", at("nemo").c_str(), 1);
    ::setenv("HF_HOME", at("hf").c_str(), 1);
  }
  std::string archive() {
    write_test_nemo(at("m.nemo"), "target: nemo.collections.asr.models.EncDecCTCModel\nnemo_version: 1.23.0\n",
                    {{"w", floats({2}, {1, 2})}});
    return read_file(at("m.nemo"));
  }
  const std::string repository_ = "hf/hub/models--me--speech";
};

TEST(HubNames, WhatIsOne) {
  EXPECT_EQ(parse_hub_name("nvidia/parakeet-ctc-0.6b")->name(), "parakeet-ctc-0.6b");
  EXPECT_EQ(parse_hub_name("me/x@v1.0")->revision, "v1.0");
  for (const char* text : {"x", "a/b/c", "../x", "a/..", "/x", "a/", "a/b@", "a/b@../c", "a b/c", "a--b/c"})
    EXPECT_FALSE(parse_hub_name(text)) << text;
}

TEST_F(PretrainedTest, NemosCacheByNameAndNewest) {
  write("nemo/NeMo_1.23.0/thing/0123/thing.nemo", "old");
  write("nemo/NeMo_3.0.0/thing/4567/thing.nemo", "new");
  fs::last_write_time(at("nemo/NeMo_1.23.0/thing/0123/thing.nemo"),
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(find_on_this_machine("thing"), at("nemo/NeMo_3.0.0/thing/4567/thing.nemo"));
  EXPECT_EQ(model_file("thing"), at("nemo/NeMo_3.0.0/thing/4567/thing.nemo"));
  EXPECT_EQ(find_on_this_machine("any/thing"), at("nemo/NeMo_3.0.0/thing/4567/thing.nemo"));
  EXPECT_EQ(find_on_this_machine("any/thing@v2"), "") << "NeMo's cache knows no revisions";
  EXPECT_EQ(find_on_this_machine("../thing"), "");
}

TEST_F(PretrainedTest, TheHubsCache) {
  write(repository_ + "/refs/main", "abc123\n");
  write(repository_ + "/snapshots/abc123/other.nemo", "x");
  EXPECT_EQ(find_on_this_machine("me/speech"), at(repository_ + "/snapshots/abc123/other.nemo"));
  write(repository_ + "/snapshots/abc123/third.nemo", "x");
  EXPECT_THAT(error_of([] { find_on_this_machine("me/speech"); }), HasSubstr("third.nemo"));
  write(repository_ + "/snapshots/abc123/speech.nemo", "x");
  EXPECT_EQ(find_on_this_machine("me/speech"), at(repository_ + "/snapshots/abc123/speech.nemo"));
  EXPECT_EQ(find_on_this_machine("me/speech@abc123"), at(repository_ + "/snapshots/abc123/speech.nemo"));
  EXPECT_EQ(find_on_this_machine("me/speech@v2"), "");
  ::setenv("HF_HUB_CACHE", at("elsewhere").c_str(), 1);
  EXPECT_EQ(find_on_this_machine("me/speech"), "");
}

// A snapshot that is an unpacked archive: its files are links into blobs/.
TEST_F(PretrainedTest, ASnapshotThatIsAnArchive) {
  archive();
  const auto packed = checkpoint::NemoArchive::open(at("m.nemo"));
  packed.extract("model_config.yaml", at(repository_ + "/blobs"));
  packed.extract("model_weights.ckpt", at(repository_ + "/blobs"));
  const fs::path snapshot = at(repository_ + "/snapshots/main");
  fs::create_directories(snapshot);
  for (const char* name : {"model_config.yaml", "model_weights.ckpt"})
    fs::create_symlink(fs::path("../../blobs") / name, snapshot / name);
  EXPECT_EQ(model_file("me/speech"), snapshot);
  EXPECT_EQ(checkpoint::inspect_file(snapshot).tensors.size(), 1u);
  write("secret.txt", "x");
  fs::create_symlink(at("secret.txt"), snapshot / "vocab.txt");
  EXPECT_THAT(error_of([&] { checkpoint::inspect_file(snapshot); }), HasSubstr("it holds a link"));
}

TEST_F(PretrainedTest, NothingIsDownloadedUnasked) {
  HttpServer server;
  ::setenv("HF_ENDPOINT", server.url().c_str(), 1);
  const std::string refusal = error_of([] { model_file("me/speech", "model_path"); });
  for (const std::string& part : {std::string("model_path"), at("nemo"), at(repository_),
                                  std::string("fathom models fetch me/speech"), std::string("FATHOM_DOWNLOAD=1")})
    EXPECT_THAT(refusal, HasSubstr(part));
  EXPECT_TRUE(server.requests().empty());
  EXPECT_EQ(model_file("no/such.nemo"), "no/such.nemo") << "a path stays one: opening it says that it is not there";
}

TEST_F(PretrainedTest, FetchedFromTheHubIntoItsCache) {
  const std::string bytes = archive(), checksum = sha256_hex(bytes);
  HttpServer server;
  ::setenv("HF_ENDPOINT", (server.url() + "/").c_str(), 1);
  ::setenv("HF_TOKEN", "hf_secret", 1);
  server.put("/me/speech/resolve/main/speech.nemo",
             {.etag = "\"x\"",
              .headers = {{"X-Repo-Commit", "0a1b2c"}, {"X-Linked-Etag", "\"" + checksum + "\""}},
              .redirect = server.url("/storage/1234")});
  server.put("/storage/1234", {.content = bytes, .etag = "\"s\"", .cuts = 1, .cut_after = 1000});
  FetchOptions options;
  options.retry_seconds = 0.001;
  const std::string path = fetch_model("me/speech", options);
  EXPECT_EQ(path, at(repository_ + "/snapshots/0a1b2c/speech.nemo"));
  EXPECT_TRUE(fs::is_symlink(path));
  EXPECT_EQ(read_file(at(repository_ + "/blobs/" + checksum)), bytes);
  EXPECT_EQ(read_file(at(repository_ + "/refs/main")), "0a1b2c");
  EXPECT_EQ(read_stored_model(path).state.size(), 1u);
  const auto requests = server.requests();
  EXPECT_EQ(requests[0].method, "HEAD");
  EXPECT_EQ(requests[0].header("authorization"), "Bearer hf_secret");
  EXPECT_EQ(fetch_model("me/speech"), path);
  EXPECT_EQ(server.requests().size(), requests.size()) << "what is here is not asked for";

  EXPECT_THAT(error_of([] { fetch_model("me/other"); }), HasSubstr("404"));
  ::setenv("HF_HUB_OFFLINE", "1", 1);
  EXPECT_THAT(error_of([] { fetch_model("me/other"); }), HasSubstr("HF_HUB_OFFLINE=1"));
}

TEST_F(PretrainedTest, ModelsOfOtherNamesAndUnpackedOnes) {
  const std::string bytes = archive();
  HttpServer server;
  ::setenv("HF_ENDPOINT", server.url().c_str(), 1);
  server.put(
      "/api/models/me/one/revision/main",
      {.content =
           R"({"siblings": [{"rfilename": "README.md"}, {"rfilename": "x.nemo"}, {"rfilename": "../y.nemo"}]})"});
  server.put("/me/one/resolve/main/x.nemo", {.content = bytes});
  EXPECT_EQ(fetch_model("me/one"), at("hf/hub/models--me--one/snapshots/main/x.nemo"));

  const auto packed = checkpoint::NemoArchive::open(at("m.nemo"));
  std::string names;
  for (const auto& member : packed.members()) {
    names += R"({"rfilename": ")" + member.name + R"("}, )";
    server.put("/me/open/resolve/main/" + member.name,
               {.content = std::string(member.bytes),
                .headers = {{"X-Repo-Commit", "c0"}, {"ETag", "\"" + member.name + "\""}}});
  }
  server.put("/api/models/me/open/revision/main",
             {.content = "{\"siblings\": [" + names + "{\"rfilename\": \".gitattributes\"}]}"});
  const std::string folder = fetch_model("me/open");
  EXPECT_EQ(folder, at("hf/hub/models--me--open/snapshots/c0"));
  EXPECT_EQ(read_stored_model(folder).state.size(), 1u);
  EXPECT_EQ(model_file("me/open"), folder);

  server.put("/api/models/me/two/revision/main",
             {.content = R"({"siblings": [{"rfilename": "x.nemo"}, {"rfilename": "y.nemo"}]})"});
  EXPECT_THAT(error_of([] { fetch_model("me/two"); }), HasSubstr("x.nemo, y.nemo"));
  server.put("/api/models/me/odd/revision/main", {.content = "[1, 2"});
  EXPECT_THAT(error_of([] { fetch_model("me/odd"); }), HasSubstr("404"));
}

TEST_F(PretrainedTest, AllowedByTheEnvironment) {
  const std::string bytes = archive();
  HttpServer server;
  ::setenv("HF_ENDPOINT", server.url().c_str(), 1);
  ::setenv("FATHOM_DOWNLOAD", "1", 1);
  server.put("/me/speech/resolve/v2/speech.nemo", {.content = bytes});  // a mirror that is no hub
  const std::string path = model_file("me/speech@v2");
  EXPECT_EQ(path, at(repository_ + "/snapshots/v2/speech.nemo"));
  EXPECT_EQ(read_file(path), bytes);
}

TEST_F(PretrainedTest, UnknownNamesGetTheNearest) {
  EXPECT_THAT(error_of([] { fetch_model("surely_unknown"); }), HasSubstr("fathom models list"));
  EXPECT_THAT(error_of([] { model_file("surely_unknown"); }), HasSubstr("fathom models list"));
}

TEST_F(PretrainedTest, AFolderForTheHub) {
  archive();
  HubCard card;
  card.repository = "me/speech";
  card.languages = {"en"};
  card.description = "Hears \"yes\" and no.";
  const auto files = write_hub_folder(at("m.nemo"), card, at("out"));
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(read_file(at("out/speech.nemo")), read_file(at("m.nemo")));
  const std::string readme = read_file(at("out/README.md"));
  EXPECT_THAT(readme, testing::StartsWith("---\nlibrary_name: nemo\nlicense: cc-by-4.0\nlanguage:\n- en\npipeline_tag: "
                                          "automatic-speech-recognition\ntags:\n- pytorch\n- NeMo\n---\n\n# speech\n"));
  EXPECT_THAT(readme, HasSubstr("Hears \"yes\" and no."));
  EXPECT_EQ(read_file(at("out/.gitattributes")), "*.nemo filter=lfs diff=lfs merge=lfs -text\n");
  EXPECT_THAT(error_of([&] { write_hub_folder(at("m.nemo"), card, at("out")); }), HasSubstr("--force"));
  write_hub_folder(at("m.nemo"), card, at("out"), true);
  card.repository = "speech";
  EXPECT_THAT(error_of([&] { write_hub_folder(at("m.nemo"), card, at("other")); }), HasSubstr("user/name"));
}

}  // namespace
}  // namespace fathom::model_files
