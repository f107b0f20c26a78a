// A module of plugin B as the child of plugin A's model: names, modes, freezing, state, and errors across the two.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/models/adapters_file.h"
#include "core/plugins/registry.h"
#include "core/training/freezing.h"
#include "core/training/model_wiring.h"
#include "core/training/parameters.h"
#include "fathom/model.h"
#include "fathom/typecheck.h"
#include "tests/support/error_of.h"

namespace fathom {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TwoPlugins : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    plugins::registry().use_search_path({});
    plugins::registry().add_plugin_dir(FATHOM_BINARY_DIR "/tests/plugins/two");
  }
  static ModelHandle tagger(const Json& encoder = Json::object(), const Json& more = Json::object()) {
    Json section = {{"_target_", "tagger.Tagger"}, {"encoder", {{"_target_", "embedder.Embedder"}}}};
    section["encoder"].update(encoder);
    section.update(more);
    return ModelHandle(create_object(1u << FATHOM_KIND_MODEL, section, "model"));
  }
  static ModuleHandle module(const char* target, const std::string& path, const Json& options = Json::object()) {
    Json section = {{"_target_", target}};
    section.update(options);
    return make_module(section, path);
  }
};

TEST_F(TwoPlugins, ParametersAndStateHaveTheChildsNames) {
  const ModelHandle model = tagger();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : training::state_dict(*model.torch_module())) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("encoder.linear.weight", "encoder.linear.bias", "encoder.norm.weight",
                                 "encoder.norm.bias", "encoder.norm.running_mean", "encoder.norm.running_var",
                                 "encoder.norm.num_batches_tracked", "head.weight", "head.bias"));
  // What one plugin saved the other one's module reads.
  const ModelHandle other = tagger();
  training::load_state_dict(*other.torch_module(), training::state_dict(*model.torch_module()), true, "test");
  EXPECT_TRUE(at::equal(other.torch_module()->parameters()[0], model.torch_module()->parameters()[0]));
}

TEST_F(TwoPlugins, ModesFreezingAndGradientsReachTheChild) {
  const ModelHandle model = tagger();
  const auto root = model.torch_module();
  const auto child = model.modules().at(0).second.torch_module();
  root->eval();
  EXPECT_FALSE(child->named_modules()["norm"]->is_training());
  root->train();
  EXPECT_TRUE(child->named_modules()["norm"]->is_training());

  const int64_t all = training::num_weights(*root);
  training::freeze(*child);
  EXPECT_EQ(training::num_weights(*root), all - training::count_parameters(*child));
  EXPECT_FALSE(child->is_training());
  training::unfreeze(*child);
  EXPECT_EQ(training::num_weights(*root), all);

  root->to(at::kDouble);
  EXPECT_EQ(child->parameters()[0].scalar_type(), at::kDouble);
}

TEST_F(TwoPlugins, TheWiringIsWhatForwardDoes) {
  const ModelHandle model = tagger();
  model.torch_module()->eval();
  const auto before = model.torch_module()->buffers();
  std::vector<at::Tensor> values;
  for (const auto& buffer : before) values.push_back(buffer.clone());
  at::manual_seed(1);
  const at::Tensor expected = at::rand({1});
  at::manual_seed(1);
  const typing::Wiring wiring = training::record_forward(model);
  EXPECT_TRUE(at::equal(at::rand({1}), expected)) << "the random state is as before";
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(at::equal(before[i], values[i]));
  EXPECT_FALSE(model.torch_module()->is_training());
  ASSERT_EQ(wiring.edges.size(), 1u);  // the head is no typed module: what the model computes has no source
  EXPECT_EQ(wiring.edges[0].from, "signal");
  EXPECT_EQ(wiring.edges[0].to, "encoder.audio");

  EXPECT_THAT(error_of([] { training::record_forward(tagger(Json::object(), {{"feeds", "audios"}})); }),
              AllOf(HasSubstr("embedder.Embedder of plugin 'embedder_test'"), HasSubstr("audios"),
                    HasSubstr("did you mean: audio")));
}

TEST_F(TwoPlugins, AValueOfOnePluginRefusedByAnotherNamesBoth) {
  const ModuleHandle embedder = module("embedder.Embedder", "model.encoder");
  const ModuleHandle picky = module("embedder.Picky", "model.picky");
  embedder.torch_module()->eval();
  const Values out = embedder({{"audio", at::ones({2, 8})}});
  EXPECT_THAT(
      error_of([&] { picky({{"features", out["embedding"]}}); }),
      AllOf(HasSubstr("model.picky (embedder.Picky of plugin 'embedder_test'): input 'features'"),
            HasSubstr("at: model.picky.features"), HasSubstr("TestEmbedding"), HasSubstr("MelSpectrogramType"),
            HasSubstr("from output 'embedding' of model.encoder (embedder.Embedder of plugin 'embedder_test')")));
}

TEST_F(TwoPlugins, TheModelSaysWhoseValueDidNotFit) {
  // The model's own input is typed; the value given to its child keeps that type.
  const ModelHandle model = tagger({{"sample_rate", 8000}});
  Value signal(at::ones({2, 8}));
  const auto ports = model.ports();
  signal.set_type(ports.inputs[0].type);
  EXPECT_THAT(error_of([&] {
                Values out;
                const Values in{{"signal", signal}};
                model.modules().at(0).second({{"audio", in["signal"]}});
              }),
              AllOf(HasSubstr("model.encoder (embedder.Embedder of plugin 'embedder_test')"), HasSubstr("freq=8000")));
}

TEST_F(TwoPlugins, WhatAModuleGivesIsCheckedAgainstItsPorts) {
  const auto run = [](const char* gives, const Values& in) {
    return error_of([&] {
      const ModuleHandle embedder = module("embedder.Embedder", "model.encoder", {{"gives", gives}});
      embedder.torch_module()->eval();
      embedder(in);
    });
  };
  const Values good{{"audio", at::ones({2, 8})}};
  EXPECT_EQ(run("embedding", good), "");
  EXPECT_THAT(run("undeclared", good), AllOf(HasSubstr("model.encoder"), HasSubstr("no output 'embeddings'"),
                                             HasSubstr("did you mean: embedding")));
  EXPECT_THAT(run("rank", good), AllOf(HasSubstr("output 'embedding' has the wrong number of dimensions"),
                                       HasSubstr("seen: 3 dimensions"), HasSubstr("expected: 2")));
  EXPECT_THAT(run("nothing", good), AllOf(HasSubstr("wrong number of outputs"), HasSubstr("expected: 1: embedding")));
  EXPECT_THAT(run("embedding", {{"audio", at::ones({2, 8, 1})}}), HasSubstr("input 'audio' has the wrong number"));
  EXPECT_THAT(run("embedding", {}), AllOf(HasSubstr("wrong number of inputs"), HasSubstr("expected: 1: audio")));
  EXPECT_THAT(run("embedding", {{"audio", Value()}}),
              AllOf(HasSubstr("input 'audio'"), HasSubstr("got nothing"), HasSubstr("embedder_test")));
}

TEST_F(TwoPlugins, AdaptersGoIntoAModuleOfAnotherPluginAndIntoAFileOfTheirOwn) {
  const Json section = {{"one", {{"_target_", "embedder.Scale"}}},
                        {"encoder:two", {{"_target_", "embedder.Scale"}, {"enabled", false}}}};
  const ModelHandle model = tagger(Json::object(), {{"adapters", section}});
  const auto root = model.torch_module();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : training::named_parameters(*root)) {
    if (name.find("adapter_layer") != std::string::npos) names.push_back(name);
  }
  EXPECT_THAT(names, ElementsAre("encoder.adapter_layer.one.factor", "encoder.adapter_layer.two.factor"));

  train_adapters_only(model);
  EXPECT_EQ(training::num_weights(*root), 1);  // "two" is not enabled
  EXPECT_FALSE(root->named_modules("", false)["encoder.norm"]->is_training());
  EXPECT_TRUE(root->named_modules("", false)["encoder.adapter_layer.one"]->is_training());

  const at::NoGradGuard no_grad;
  root->named_parameters()["encoder.adapter_layer.one.factor"].fill_(3);
  const std::string path = testing::TempDir() + "/adapters.pt";
  save_adapters(*root, section, path);
  EXPECT_EQ(read_adapters_section(path), section);
  const ModelHandle other = tagger(Json::object(), {{"adapters", section}});
  load_adapters(*other.torch_module(), path);
  EXPECT_EQ(other.torch_module()->named_parameters()["encoder.adapter_layer.one.factor"].item<float>(), 3);
  EXPECT_THAT(error_of([&] { load_adapters(*tagger().torch_module(), path); }),
              AllOf(HasSubstr("of another model"), HasSubstr("expected: 0 modules")));

  EXPECT_THAT(error_of([] { tagger(Json::object(), {{"adapters", {{"head:x", {{"_target_", "embedder.Scale"}}}}}}); }),
              AllOf(HasSubstr("module 'head' takes no adapters"), HasSubstr("adapters.head:x")));
  EXPECT_THAT(error_of([] { tagger(Json::object(), {{"adapters", {{"hat:x", {{"_target_", "embedder.Scale"}}}}}}); }),
              HasSubstr("no module 'hat'"));
  EXPECT_THAT(error_of([] {
                tagger(
                    Json::object(),
                    {{"adapters",
                      {{"x", {{"_target_", "embedder.Embedder"}}}, {"encoder:x", {{"_target_", "embedder.Scale"}}}}}});
              }),
              AllOf(HasSubstr("exists already"), HasSubstr("'x'")));
}

TEST_F(TwoPlugins, TypesAndAxesOfTwoPluginsMeetByName) {
  const ModuleHandle speakers = module("embedder.Speakers", "a"), counter = module("tagger.SpeakerCounter", "b");
  const Values out = speakers({{"embedding", at::ones({2, 3, 4})}});
  EXPECT_TRUE(at::equal(counter({{"embedding", out["embedding"]}}).tensor("count"), at::full({2}, 3)));
  EXPECT_EQ(out["embedding"].type(), counter.ports().inputs[0].type);
}

TEST_F(TwoPlugins, AModuleFreezesAnotherForAWhile) {
  const Values out = module("tagger.Probe", "probe")({});
  EXPECT_EQ(out["inside"].integer(), 0);
  EXPECT_EQ(out["mode_inside"].integer(), 0);
  EXPECT_EQ(out["outside"].integer(), 6);
  EXPECT_EQ(out["mode_outside"].integer(), 1);
}

TEST_F(TwoPlugins, ChecksAreSwitchedOffInNestedScopes) {
  const ModuleHandle picky = module("embedder.Picky", "picky"), speakers = module("embedder.Speakers", "speakers");
  const Values typed = speakers({{"embedding", at::ones({2, 3, 4})}});
  const auto semantic = [&] { return error_of([&] { picky({{"features", typed["embedding"]}}); }); };
  const auto rank = [&] { return error_of([&] { picky({{"features", at::ones({2})}}); }); };
  EXPECT_THAT(semantic(), HasSubstr("another neural type"));
  {
    const DisableSemanticChecks no_types;
    EXPECT_THAT(semantic(), HasSubstr("dimensions"));  // the rank is checked still
    {
      const DisableChecks nothing;
      EXPECT_EQ(semantic(), "");
      EXPECT_EQ(rank(), "");
      const DisableSemanticChecks inner;
      EXPECT_EQ(rank(), "");
    }
    EXPECT_THAT(semantic(), HasSubstr("dimensions"));
  }
  EXPECT_THAT(semantic(), HasSubstr("another neural type"));
}

TEST_F(TwoPlugins, AModuleMayIgnoreHowListsAreNested) {
  const auto run = [](bool ignore) {
    return error_of([&] {
      const ModuleHandle embedder =
          module("embedder.Embedder", "model.encoder", {{"gives", "list"}, {"ignore_collections", ignore}});
      embedder.torch_module()->eval();
      embedder({{"audio", at::ones({2, 8})}});
    });
  };
  EXPECT_THAT(run(false), HasSubstr("is not nested in lists as declared"));
  EXPECT_EQ(run(true), "");
}

TEST_F(TwoPlugins, TheGraphHasShapesAndParameters) {
  const ModelHandle model = tagger();
  model.torch_module()->eval();
  const typing::Wiring wiring = training::record_forward(model);
  const Json graph = training::graph_json(model, wiring);
  const Json& encoder = graph["modules"][1];
  EXPECT_EQ(encoder["name"], "encoder");
  EXPECT_EQ(encoder["plugin"], "embedder_test");
  EXPECT_EQ(encoder["params"], 8 * 4 + 4 + 4 + 4);
  EXPECT_EQ(encoder["inputs"][0]["from"], Json::array({"signal"}));
  EXPECT_EQ(encoder["outputs"][0]["shape"], "[2, 4]");
  EXPECT_THAT(training::graph_text(model, wiring), HasSubstr("embedding  TestEmbedding (batch, dimension)  [2, 4]"));
}

TEST_F(TwoPlugins, WhatATrainingStepLogsDoesNotEndItsRecording) {
  const ModelHandle model = tagger();
  const DataLoader train(model.make_dataset(Stage::kTrain, Json::object(), "data"), LoaderOptions{}, 0);
  const typing::Wiring wiring = training::record_training(model, train);
  const Json graph = training::graph_json(model, wiring);
  std::string shape;
  for (const Json& one : graph["modules"]) {
    if (one["name"] == "encoder") shape = one["outputs"][0].value("shape", "");
  }
  EXPECT_EQ(shape, "[2, 4]") << json_text(graph);
}

}  // namespace
}  // namespace fathom
