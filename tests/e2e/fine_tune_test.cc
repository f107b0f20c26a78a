// Training that starts from a .nemo: its whole model with another vocabulary, adapters alone, adapters from a file; and
// what is refused before any data or weight is touched.
#include <sstream>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class FineTune : public TrainingTest {
 protected:
  static std::map<std::string, std::string> weights_of(const std::string& nemo) {
    std::map<std::string, std::string> weights;
    const auto archive = checkpoint::NemoArchive::open(nemo);
    const auto& member = archive.at(checkpoint::kNemoWeights);
    const auto state = checkpoint::read_pickle_bytes(member.bytes, member.owner, nemo);
    for (const auto& [name, value] : state.value.as_dict())
      weights[name.as_string()] = std::string(value.as_tensor().storage->bytes);
    return weights;
  }
};

TEST_F(FineTune, AWholeModelWithAnotherVocabulary) {
  write_file_atomically(folder_ + "/finetune.yaml",
                        "name: finetune\ninit_from_nemo_model: " + small_quartznet() +
                            "\nmodel:\n  char_labels: {update_labels: true, labels: [' ', e, n, o, t]}\n  train_ds: "
                            "{manifest_filepath: " +
                            kDigits +
                            "/train.json, sample_rate: 8000, batch_size: 8}\n  optim: {name: sgd, lr: 0.0}\n"
                            "trainer: {max_steps: 2, limit_val_batches: 1, limit_test_batches: 1}\n"
                            "exp_manager: {explicit_log_dir: " +
                            folder_ + "/run}\n");
  const Result trained = fathom({"train", "-cp", folder_, "-cn", "finetune"});
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_TRUE(contains(trained.err, "changed the vocabulary: 5 labels")) << trained.err;
  const auto before = weights_of(small_quartznet()), after = weights_of(folder_ + "/run/checkpoints/finetune.nemo");
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, bytes] : after) {
    if (contains(name, "running_") || contains(name, "num_batches")) continue;  // statistics are taken at any rate
    if (name.starts_with("decoder."))
      EXPECT_EQ(bytes.size() / 6, before.at(name).size() / 17) << name;  // 5 and 16 labels, and the blank
    else
      EXPECT_EQ(bytes, before.at(name)) << name;
  }
  const Result shown = fathom({"inspect", folder_ + "/run/checkpoints/finetune.nemo", "--config"});
  EXPECT_TRUE(contains(shown.out, "num_classes: 5")) << shown.out;

  const Result none = fathom({"train", "-cp", folder_, "-cn", "finetune", "model.char_labels.labels=null",
                              "exp_manager.explicit_log_dir=" + folder_ + "/none"});
  EXPECT_EQ(none.status, 1);
  EXPECT_TRUE(contains(none.err, "model.char_labels.labels")) << none.err;
  EXPECT_FALSE(fs::exists(folder_ + "/none"));

  const Result unknown = fathom({"train", "-cp", folder_, "-cn", "finetune", "+model.use_cerr=true",
                                 "exp_manager.explicit_log_dir=" + folder_ + "/none"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_TRUE(contains(unknown.err, "did you mean: use_cer")) << unknown.err;
  EXPECT_TRUE(contains(unknown.err, "command line: +model.use_cerr=true")) << unknown.err;
}

TEST_F(FineTune, AdaptersAloneAreTrainedSavedAndTakenUpAgain) {
  const std::string adapters =
      "++model.adapters={one: {_target_: nemo.collections.common.parts.adapter_modules.LinearAdapter, in_features: 1, "
      "dim: 4}, global_cfg: {train_only: true}}";
  const Result trained =
      run(words("run", {"++init_from_nemo_model=" + small_quartznet(), adapters, "trainer.max_epochs=1"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string nemo = folder_ + "/run/checkpoints/digits_quartznet.nemo",
                    file = folder_ + "/run/checkpoints/digits_quartznet.adapters.pt";
  const auto before = weights_of(small_quartznet()), after = weights_of(nemo);
  size_t added = 0;
  for (const auto& [name, bytes] : after) {
    if (contains(name, "adapter_layer.one."))
      ++added;
    else
      EXPECT_EQ(bytes, before.at(name)) << name;  // also the statistics of the norms
  }
  EXPECT_EQ(after.size(), before.size() + added);
  EXPECT_GT(added, 4u);
  EXPECT_LT(fs::file_size(file), fs::file_size(nemo) / 2);

  const Result listed = fathom({"inspect", file, "--tensors"});
  EXPECT_EQ(listed.status, 0) << listed.err;
  EXPECT_TRUE(contains(listed.out, "one.0.one.")) << listed.out;

  // The file alone brings the adapters into the model they were trained for: nothing is trained, so nothing differs.
  const Result again =
      run(words("again", {"++init_from_nemo_model=" + small_quartznet(), "++init_from_adapters=" + file,
                          "trainer.max_epochs=1", "model.optim.lr=0", "~model.optim.sched"}));
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(weights_of(folder_ + "/again/checkpoints/digits_quartznet.nemo"), after);

  // One that is switched off may be given.
  const Result off =
      run(words("off", {"++init_from_nemo_model=" + small_quartznet(), adapters, "++model.adapters.one.enabled=false",
                        "++model.adapters.global_cfg.train_only=false", "trainer.max_epochs=1"}));
  EXPECT_EQ(off.status, 0) << off.err;

  // A restored model has its adapters.
  const Result graph = fathom({"inspect", nemo, "--graph", "--json"});
  ASSERT_EQ(graph.status, 0) << graph.err;
  const auto document = nlohmann::json::parse(graph.out);
  int64_t base_parameters = 0;
  const auto plain = nlohmann::json::parse(fathom({"inspect", small_quartznet(), "--graph", "--json"}).out);
  for (const auto& module : plain["modules"]) {
    if (module["name"] == "encoder") base_parameters = module["params"];
  }
  for (const auto& module : document["modules"]) {
    if (module["name"] != "encoder") continue;
    EXPECT_GT(module["params"], base_parameters);
  }

  const Result absent = run(words("absent", {"++init_from_adapters=" + folder_ + "/no.pt"}));
  EXPECT_EQ(absent.status, 66) << absent.err;
  const Result foreign = run(words("foreign", {"++init_from_adapters=" + nemo}));
  EXPECT_EQ(foreign.status, 65) << foreign.err;
  EXPECT_FALSE(fs::exists(folder_ + "/absent") || fs::exists(folder_ + "/foreign"));

  for (const char* key : {"one.enabled", "global_cfg.train_only"}) {
    const Result unclear = run(words("unclear", {"++init_from_nemo_model=" + small_quartznet(), adapters,
                                                 "++model.adapters." + std::string(key) + "=maybe"}));
    EXPECT_EQ(unclear.status, 1) << unclear.err;
    for (const std::string& part :
         {"adapters." + std::string(key), std::string("\"maybe\""), std::string("true or false")})
      EXPECT_TRUE(contains(unclear.err, part)) << unclear.err;
  }
  EXPECT_FALSE(fs::exists(folder_ + "/unclear"));
}

TEST_F(FineTune, APretrainedModelIsFoundInNeMosCache) {
  const std::string cache = folder_ + "/cache/NeMo_3.0.0/my_model/0123abcd";
  fs::create_directories(cache);
  fs::copy_file(small_quartznet(), cache + "/my_model.nemo");
  const auto train = [&](const std::string& name, const std::string& value) {
    auto more = words(name, {"++init_from_pretrained_model=" + value, "trainer.max_epochs=1", "model.optim.lr=0",
                             "~model.optim.sched"});
    more.insert(more.begin(), {"/usr/bin/env", "NEMO_CACHE_DIR=" + folder_ + "/cache"});
    return run(more);
  };
  const Result whole = train("whole", "my_model");
  ASSERT_EQ(whole.status, 0) << whole.err;
  const auto before = weights_of(small_quartznet());
  for (const auto& [name, bytes] : final_weights("whole")) {
    if (contains(name, "running_") || contains(name, "num_batches")) continue;
    EXPECT_EQ(bytes, before.at(name)) << name;
  }
  const Result part = train("part", "{a: {name: my_model, include: [encoder]}}");
  ASSERT_EQ(part.status, 0) << part.err;
  const auto after = final_weights("part");
  EXPECT_EQ(after.at("encoder.encoder.0.mconv.0.conv.weight"), before.at("encoder.encoder.0.mconv.0.conv.weight"));
  EXPECT_NE(after.at("decoder.decoder_layers.0.weight"), before.at("decoder.decoder_layers.0.weight"));
  const Result unknown = train("unknown", "other_model");
  EXPECT_EQ(unknown.status, 69) << unknown.err;
  EXPECT_TRUE(contains(unknown.err, "other_model") && contains(unknown.err, folder_ + "/cache")) << unknown.err;
}

TEST_F(FineTune, TheGraphShowsTypesShapesAndWhatFeedsWhat) {
  const Result graph = fathom({"inspect", small_quartznet(), "--graph"});
  ASSERT_EQ(graph.status, 0) << graph.err;
  EXPECT_TRUE(contains(graph.out, "encoder  asr.ConvASREncoder of plugin 'asr'  72568 parameters")) << graph.out;
  EXPECT_TRUE(contains(graph.out, "[1, 128, ")) << graph.out;
  EXPECT_TRUE(contains(graph.out, "<- spec_augmentation.augmented_spec")) << graph.out;
}

TEST_F(FineTune, AWiringThatDoesNotFitIsRefusedBeforeAnythingIsWritten) {
  // An encoder of another collection that takes audio: neither side of it fits.
  const Result result = run(words(
      "run", {"--plugin-dir", FATHOM_BINARY_DIR "/tests/plugins/two", "~model.encoder",
              "+model.encoder={_target_: embedder.Embedder}", "model.decoder.feat_in=4", "++model.spec_augment=null"}));
  EXPECT_EQ(result.status, 1);
  EXPECT_TRUE(contains(result.err, "model.encoder (embedder.Embedder of plugin 'embedder_test')")) << result.err;
  EXPECT_TRUE(contains(result.err, "audio_signal")) << result.err;
  const Result rate = run(words("rate", {"model.train_ds.sample_rate=16000"}));
  EXPECT_EQ(rate.status, 1);
  EXPECT_TRUE(contains(rate.err, "model.train_ds.sample_rate")) << rate.err;
  EXPECT_FALSE(fs::exists(folder_ + "/rate"));
  EXPECT_FALSE(fs::exists(folder_ + "/run"));
}

TEST_F(FineTune, AConfigThatNamesAnUnsafeTargetIsRefused) {
  const std::string path = folder_ + "/unsafe.nemo";
  const auto archive = checkpoint::NemoArchive::open(small_quartznet());
  std::string config(archive.config_text());
  config += "extra:\n- _target_: os.system\n  command: 'true'\n";
  checkpoint::write_nemo_archive(
      path, {checkpoint::NemoMember::of_text(std::string(checkpoint::kNemoConfig), config),
             checkpoint::NemoMember::of_text(std::string(checkpoint::kNemoWeights),
                                             std::string(archive.at(checkpoint::kNemoWeights).bytes))});
  const Result result = fathom({"transcribe", path, kDigits + "/flac/0_george_0.flac"});
  EXPECT_EQ(result.status, 65) << result.err;
  EXPECT_TRUE(contains(result.err, "os.system")) << result.err;
  EXPECT_TRUE(contains(result.err, "extra[0]._target_")) << result.err;
  EXPECT_TRUE(result.out.empty()) << result.out;
}

}  // namespace
}  // namespace fathom::e2e
