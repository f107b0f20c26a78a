// Commands around model files: convert, diff, models, names in the place of files, and how a model is restored.
#include <algorithm>
#include <set>

#include "core/model_files/digest.h"
#include "tests/e2e/training.h"
#include "tests/support/http_server.h"

namespace fathom::e2e {
namespace {

class ModelFiles : public TrainingTest {
 protected:
  // With caches of the test's own, and nothing of the user's.
  Result here(std::vector<std::string> words, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> environment = {"NEMO_CACHE_DIR=" + folder_ + "/nemo",
                                            "HF_HOME=" + folder_ + "/hf",
                                            "HF_HUB_CACHE=",
                                            "HF_TOKEN=",
                                            "HF_HUB_OFFLINE=",
                                            "FATHOM_DOWNLOAD="};
    environment.insert(environment.end(), more.begin(), more.end());
    words.insert(words.begin(), fathom_program());
    return run(words, environment);
  }
  Result validate(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"validate",
                                      "-cp",
                                      FATHOM_SOURCE_DIR "/configs/asr",
                                      "-cn",
                                      "digits_quartznet",
                                      "data_dir=" + kDigits,
                                      "++trainer.limit_val_batches=2",
                                      "--json-summary",
                                      "-"};
    words.insert(words.end(), more.begin(), more.end());
    return here(words);
  }
  std::string at(const std::string& name) const { return folder_ + "/" + name; }
};

TEST_F(ModelFiles, ConvertedWeightsAreTheModels) {
  for (const char* name : {"x.ckpt", "x.pt", "x.safetensors"}) {
    const Result converted = here({"convert", small_quartznet(), at(name)});
    ASSERT_EQ(converted.status, 0) << converted.err;
    const Result same = here({"diff", small_quartznet(), at(name)});
    EXPECT_EQ(same.status, 0) << same.out;
    EXPECT_TRUE(contains(same.out, "equal: ")) << same.out;
    const Result back = here({"convert", at(name), at("back.nemo"), "--like", small_quartznet(), "--force", "--json"});
    ASSERT_EQ(back.status, 0) << back.err;
    EXPECT_TRUE(parse_text(back.out)["config"].get<bool>());
    EXPECT_EQ(here({"diff", small_quartznet(), at("back.nemo")}).status, 0);
  }
  const auto metrics = [](const Result& result) { return parse_text(result.out)["metrics"]; };
  const Result nemo = validate({"model_path=" + small_quartznet()});
  ASSERT_EQ(nemo.status, 0) << nemo.err;
  const Result back = validate({"model_path=" + at("back.nemo")});
  EXPECT_EQ(metrics(nemo), metrics(back)) << back.err;
  const Result checkpoint = validate({"ckpt_path=" + at("x.ckpt")});
  ASSERT_EQ(checkpoint.status, 0) << checkpoint.err;
  EXPECT_EQ(metrics(nemo), metrics(checkpoint));
}

TEST_F(ModelFiles, DiffSaysWhatDiffers) {
  ASSERT_EQ(here({"convert", small_quartznet(), at("encoder.pt"), "--module", "encoder"}).status, 0);
  const Result found = here({"diff", small_quartznet(), at("encoder.pt"), "--json"});
  EXPECT_EQ(found.status, 1);
  const Json document = parse_text(found.out);
  EXPECT_FALSE(document["equal"].get<bool>());
  EXPECT_FALSE(document["config"]["compared"].get<bool>());
  const auto& tensors = document["tensors"]["differences"];
  EXPECT_TRUE(std::any_of(tensors.begin(), tensors.end(), [](const Json& t) { return t["difference"] == "missing"; }));
  EXPECT_EQ(here({"diff", small_quartznet(), at("encoder.pt"), "--config"}).status, 0);
  const Result split = here({"convert", small_quartznet(), at("parts"), "--split-by-module"});
  ASSERT_EQ(split.status, 0) << split.err;
  EXPECT_TRUE(fs::exists(at("parts/encoder.ckpt")) && fs::exists(at("parts/decoder.ckpt"))) << split.out;
  EXPECT_EQ(here({"diff", at("parts/encoder.ckpt"), at("encoder.pt"), "--tolerance", "0"}).status, 0);
}

TEST_F(ModelFiles, StatusesOfWrongUse) {
  EXPECT_EQ(here({"convert", small_quartznet(), at("x.onx")}).status, 2);
  EXPECT_EQ(here({"convert", at("none.nemo"), at("x.pt")}).status, 66);
  EXPECT_EQ(here({"diff", small_quartznet(), at("none.nemo")}).status, 66);
  write_file_atomically(at("text.nemo"), "no archive");
  EXPECT_EQ(here({"convert", at("text.nemo"), at("x.pt")}).status, 65);
  EXPECT_EQ(here({"diff", at("text.nemo"), small_quartznet()}).status, 65);
  EXPECT_EQ(here({"inspect", at("text.nemo")}).status, 65);
  ASSERT_EQ(here({"convert", small_quartznet(), at("x.pt")}).status, 0);
  EXPECT_EQ(here({"convert", small_quartznet(), at("x.pt")}).status, 73);
  EXPECT_EQ(here({"convert", at("x.pt"), at("y.nemo")}).status, 2);
  EXPECT_EQ(here({"convert", small_quartznet()}).status, 2);
  EXPECT_EQ(here({"convert", small_quartznet(), at("x.pt"), "--split-by-module", "--module", "encoder"}).status, 2);
  EXPECT_EQ(here({"models", "push", small_quartznet(), "me/digits"}).status, 69);
}

TEST_F(ModelFiles, ThePretrainedModelsAreListed) {
  const Result listed = here({"models", "list", "--json"});
  ASSERT_EQ(listed.status, 0) << listed.err;
  bool found = false;
  std::set<std::string> names;  // one class has each: a class that derives from another lists its own
  for (const auto& model : parse_text(listed.out)) {
    for (const char* key : {"name", "description", "location", "class", "plugin", "aliases", "sha256", "path"})
      EXPECT_TRUE(model.contains(key)) << key;
    EXPECT_TRUE(model["location"].get<std::string>().starts_with("https://")) << model["location"];
    EXPECT_TRUE(names.insert(model["name"]).second) << model["name"];
    found = found || (model["name"] == "stt_en_quartznet15x5" && model["class"] == "asr.EncDecCTCModel");
  }
  EXPECT_TRUE(found) << listed.out;
  EXPECT_TRUE(contains(here({"models", "list"}).out, "QuartzNet 15x5 for English"));
}

TEST_F(ModelFiles, AModelByNameFromAMirrorThatBreaks) {
  const std::string name = "stt_en_quartznet15x5", bytes = read_file(small_quartznet());
  HttpServer server;
  const std::string mirror = "FATHOM_MODEL_MIRROR=" + server.url("/models/");
  server.put("/models/" + name + ".nemo",
             {.content = bytes, .etag = "\"1\"", .cuts = 1, .cut_after = bytes.size() / 2});
  server.put("/models/" + name + ".nemo.sha256", {.content = model_files::sha256_hex(bytes) + "  " + name + ".nemo\n"});

  const Result refused = here({"transcribe", name, any_clip()}, {mirror});
  EXPECT_EQ(refused.status, 66) << refused.err;
  for (const std::string& part :
       {name + ".nemo below " + at("nemo"), "fathom models fetch " + name, std::string("FATHOM_DOWNLOAD=1")})
    EXPECT_TRUE(contains(refused.err, part)) << refused.err;
  EXPECT_TRUE(server.requests().empty());

  const Result fetched = here({"models", "fetch", name}, {mirror});
  ASSERT_EQ(fetched.status, 0) << fetched.err;
  const std::string path = fetched.out.substr(0, fetched.out.find('\n'));
  EXPECT_EQ(read_file(path), bytes);
  EXPECT_EQ(fs::relative(path, at("nemo/NeMo_3.0.0") + "/" + name).filename(), name + ".nemo");
  EXPECT_EQ(here({"models", "path", name}).out, fetched.out);
  const Result by_name = here({"transcribe", name, any_clip()}),
               by_path = here({"transcribe", small_quartznet(), any_clip()});
  ASSERT_EQ(by_name.status, 0) << by_name.err;
  EXPECT_EQ(by_name.out, by_path.out);
  EXPECT_EQ(here({"transcribe", "--model", name, any_clip()}).out, by_path.out);
  EXPECT_EQ(here({"inspect", name}).status, 0);

  fs::remove_all(at("nemo"));
  server.put("/models/" + name + ".nemo.sha256", {.content = std::string(64, '0')});
  const Result wrong = here({"models", "fetch", name}, {mirror});
  EXPECT_EQ(wrong.status, 65) << wrong.err;
  EXPECT_EQ(here({"models", "path", name}).status, 66);
  const Result unknown = here({"models", "fetch", "stt_en_quartznet15x6"}, {mirror});
  EXPECT_EQ(unknown.status, 66);
  EXPECT_TRUE(contains(unknown.err, "did you mean: ")) << unknown.err;
}

TEST_F(ModelFiles, AFolderForTheHubIsFoundAgain) {
  const Result pushed =
      here({"models", "push", small_quartznet(), "me/digits", "--folder", at("out"), "--language", "en"});
  ASSERT_EQ(pushed.status, 0) << pushed.err;
  EXPECT_TRUE(contains(read_file(at("out/README.md")), "library_name: nemo"));
  fs::create_directories(at("hf/hub/models--me--digits/snapshots"));
  fs::rename(at("out"), at("hf/hub/models--me--digits/snapshots/main"));
  EXPECT_EQ(here({"transcribe", "me/digits", any_clip()}).out, here({"transcribe", small_quartznet(), any_clip()}).out);
}

// NeMo's restore_from: an unpacked archive, another config, weights that are not all there.
TEST_F(ModelFiles, RestoredAsTheUserSays) {
  const auto archive = checkpoint::NemoArchive::open(small_quartznet());
  for (const auto& member : archive.members()) archive.extract(member.name, at("unpacked"));
  const Result packed = validate({"model_path=" + small_quartznet()});
  const Result unpacked = validate({"model_path=" + at("unpacked")});
  ASSERT_EQ(unpacked.status, 0) << unpacked.err;
  EXPECT_EQ(parse_text(packed.out)["metrics"], parse_text(unpacked.out)["metrics"]);

  std::string config = here({"inspect", small_quartznet(), "--config"}).out;
  write_file_atomically(at("same.yaml"), config);
  const Result same = validate({"model_path=" + small_quartznet(), "override_config_path=" + at("same.yaml")});
  EXPECT_EQ(parse_text(packed.out)["metrics"], parse_text(same.out)["metrics"]) << same.err;
  const std::string once = "\n    repeat: 1\n";  // of the encoder's first block
  const size_t repeat = config.find(once);
  ASSERT_NE(repeat, std::string::npos) << config;
  config.replace(repeat, once.size(), "\n    repeat: 2\n");
  write_file_atomically(at("more.yaml"), config);
  const std::vector<std::string> more = {"model_path=" + small_quartznet(), "override_config_path=" + at("more.yaml")};
  const Result strict = validate(more);
  EXPECT_EQ(strict.status, 65) << strict.err;
  EXPECT_TRUE(contains(strict.err, "encoder.encoder.0.mconv.")) << strict.err;
  std::vector<std::string> loose = more;
  loose.push_back("restore_strict=false");
  EXPECT_EQ(validate(loose).status, 0) << validate(loose).err;
  loose.back() = "restore_strict=perhaps";
  EXPECT_TRUE(contains(validate(loose).err, "restore_strict")) << validate(loose).err;
  EXPECT_EQ(validate({"model_path=" + small_quartznet(), "override_config_path=" + at("none.yaml")}).status, 66);
}

}  // namespace
}  // namespace fathom::e2e
