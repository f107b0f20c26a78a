// What the toys can do beyond their kind, asked as the host and other plugins ask: by capability.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/data/data_loader.h"
#include "core/planning/data_section.h"
#include "core/plugins/registry.h"
#include "fathom/model.h"
#include "fathom/recurrent.h"
#include "fathom/stream.h"
#include "fathom/vocabulary.h"
#include "tests/support/error_of.h"

namespace fathom {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Toys : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    plugins::registry().use_search_path({});
    plugins::registry().add_plugin_dir(FATHOM_BINARY_DIR "/tests/toys/plugins");
  }
  static ModelHandle model(const char* target) {
    return ModelHandle(create_object(1u << FATHOM_KIND_MODEL, {{"_target_", target}}, "model"));
  }
  static DatasetHandle dataset(const char* target, int64_t items) {
    return DatasetHandle(create_object(1u << FATHOM_KIND_DATASET, {{"_target_", target}, {"items", items}}, "data"));
  }
  static std::vector<std::vector<double>> epoch(DataLoader& loader, int64_t number, int64_t first = 0) {
    std::vector<std::vector<double>> out;
    loader.start_epoch(number, first);
    while (const auto batch = loader.next()) {
      const at::Tensor x = batch->tensor("x").flatten().to(at::kDouble).contiguous();
      out.emplace_back(x.const_data_ptr<double>(), x.const_data_ptr<double>() + x.numel());
    }
    return out;
  }
};

TEST_F(Toys, ADecoderGoesStepByStepAndBack) {
  const ModuleHandle module = make_module({{"_target_", "toy.Predictor"}, {"vocabulary", 5}}, "predictor");
  const at::NoGradGuard no_grad;
  const RecurrentHandle decoder(module.borrowed());
  const Values start = decoder.initial_state(2);
  const auto first = decoder.step({{"label", at::tensor({1, 2}, at::kLong)}}, start);
  const auto second = decoder.step({{"label", at::tensor({3, 3}, at::kLong)}}, first.state);
  const at::Tensor row = second.state.tensor("hidden")[1];
  // The second hypothesis three times.
  const Values chosen = decoder.select(second.state, {1, 1, 1});
  EXPECT_EQ(chosen.tensor("hidden").sizes(), (std::vector<int64_t>{3, 4}));
  EXPECT_TRUE(at::equal(chosen.tensor("hidden")[2], row));
  // An earlier state is a value like any other: going on from it again gives the same.
  const auto again = decoder.step({{"label", at::tensor({3, 3}, at::kLong)}}, first.state);
  EXPECT_TRUE(at::equal(again.outputs.tensor("hidden"), second.outputs.tensor("hidden")));

  EXPECT_EQ(module.properties(), (Json{{"vocabulary", 5}, {"feat_out", 4}}));
}

TEST_F(Toys, PortsOfAModuleWithARequiredOptionAreInItsDescription) {
  const auto found = plugins::registry().find(1u << FATHOM_KIND_MODULE, "toy.Predictor");
  EXPECT_EQ(found.component->schema["inputs"][0]["name"], "label");
  EXPECT_EQ(found.component->schema["outputs"][0]["name"], "hidden");
}

TEST_F(Toys, AStreamReportsAsSoonAsItCanAndIsTakenUpAgain) {
  const ModelHandle listener = model("toy.Listener");
  StreamHandle stream(listener.object(), Json::object());
  EXPECT_TRUE(stream.push({{"samples", at::ones({3})}}).empty());
  const auto results = stream.push({{"samples", at::ones({6})}});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].tensor("mean").item<float>(), 1);
  const Values saved = stream.save();
  StreamHandle later(listener.object(), Json::object());
  later.load(saved);
  const auto rest = later.finish();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_TRUE(rest[0]["last"].boolean());
  EXPECT_THAT(error_of([] { StreamHandle none(model("toy.Gan").object(), {}); }), HasSubstr("does not stream"));
}

TEST_F(Toys, AModelGivesTensorsAndNumbersPerItem) {
  const auto items = model("toy.Listener").predict_step({{"in", at::ones({3})}}, {});
  ASSERT_EQ(items.size(), 1u);
  EXPECT_TRUE(at::equal(items[0].tensor("audio"), at::full({3}, 2.0f)));
  EXPECT_EQ(items[0]["seconds"].real(), 0.5);
  EXPECT_EQ(items[0]["words"].list()[1].text(), "b");
  EXPECT_THAT(error_of([&] { json_of(items[0].items()); }), HasSubstr("a tensor, which JSON cannot"));
}

TEST_F(Toys, UnknownCapabilitiesAreAbsentAndAnAuthorsOwnAreFound) {
  struct Greeting {
    uint32_t struct_size;
    int answer;
  };
  const ModelHandle listener = model("toy.Listener");
  const auto greeting = listener.query<Greeting>("toy.greeting/1");
  ASSERT_TRUE(greeting);
  EXPECT_EQ(greeting->answer, 42);
  EXPECT_FALSE(listener.query<Greeting>("toy.greeting/2"));
  EXPECT_FALSE(has_state(listener.object()));
  EXPECT_EQ(save_state(listener.object()), nullptr);
  EXPECT_THAT(error_of([&] { load_state(listener.object(), {{"x", 1}}); }), HasSubstr("which keeps none"));
  EXPECT_THAT(error_of([&] { change_vocabulary(listener.object(), {"a"}); }), HasSubstr("cannot be changed"));
}

TEST_F(Toys, AnIterableDatasetIsReadToItsEndAndTakenUpInTheMiddle) {
  for (const int64_t workers : {0, 2}) {
    DataLoader loader(dataset("toy.Endless", 10), {.batch_size = 4, .num_workers = workers}, 3);
    EXPECT_EQ(loader.size(), -1);
    const auto whole = epoch(loader, 1);
    ASSERT_EQ(whole.size(), 3u);
    EXPECT_EQ(whole[2].size(), 2u);
    EXPECT_EQ(whole[1][0], whole[0][3] + 1);
    EXPECT_NE(epoch(loader, 2)[0], whole[0]) << "epochs differ by their seed";
    const auto rest = epoch(loader, 1, 1);
    EXPECT_EQ(rest, (std::vector<std::vector<double>>{whole[1], whole[2]}));
    loader.start_epoch(1);
    EXPECT_TRUE(loader.has_next());
    EXPECT_TRUE(loader.next());
  }
  EXPECT_THAT(error_of([] { DataLoader loader(dataset("toy.Endless", 10), {.shuffle = true}, 3); }),
              HasSubstr("in its own order"));
}

TEST_F(Toys, BatchesOfLikeLength) {
  DataLoader plain(dataset("toy.Lengths", 64), {.batch_size = 4, .shuffle = true}, 5);
  DataLoader loader(dataset("toy.Lengths", 64),
                    {.batch_size = 4, .shuffle = true, .use_bucketing = true, .num_buckets = 4}, 5);
  const auto spread = [](const std::vector<std::vector<double>>& batches) {
    double worst = 0;
    for (const auto& batch : batches)
      worst = std::max(worst,
                       *std::max_element(batch.begin(), batch.end()) - *std::min_element(batch.begin(), batch.end()));
    return worst;
  };
  const auto batches = epoch(loader, 0);
  EXPECT_EQ(batches.size(), 16u);
  EXPECT_LT(spread(batches), 16) << "a quarter of all lengths";
  EXPECT_GT(spread(epoch(plain, 0)), 32);
  std::vector<double> all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  std::sort(all.begin(), all.end());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], static_cast<double>(i)) << "every item once";
  EXPECT_NE(epoch(loader, 1), batches);
  EXPECT_EQ(epoch(loader, 0), batches);
  const auto rest = epoch(loader, 0, 10);
  EXPECT_EQ(rest, std::vector(batches.begin() + 10, batches.end()));
  EXPECT_THAT(error_of([] {
                DataLoader loader(
                    DatasetHandle(create_object(1u << FATHOM_KIND_DATASET, {{"_target_", "toy.Circle"}}, "data")),
                    {.use_bucketing = true}, 1);
              }),
              HasSubstr("use_bucketing needs the length of every item"));
}

TEST_F(Toys, ADatasetPlansItsOwnBatches) {
  DataLoader loader(dataset("toy.Pairs", 8), {.batch_size = 2}, 0);
  const auto batches = epoch(loader, 0);
  EXPECT_EQ(loader.size(), 4);
  EXPECT_THAT(batches[0], ElementsAre(0, 1));  // items 0 and 7, whose lengths are 0 and 7 * 7 % 8
}

TEST_F(Toys, ADataSectionIsSplitBySchema) {
  const DataSection flat = read_data_section(
      {{"_target_", "toy.Lengths"}, {"items", 8}, {"batch_size", 2}, {"shuffle", true}}, "model.train_ds");
  EXPECT_TRUE(flat.names_dataset);
  EXPECT_EQ(flat.dataset, (Json{{"_target_", "toy.Lengths"}, {"items", 8}}));
  EXPECT_EQ(flat.loader, (Json{{"batch_size", 2}, {"shuffle", true}}));
  const DataSection nested = read_data_section(
      {{"dataset", {{"_target_", "toy.Lengths"}}}, {"dataloader_params", {{"batch_size", 2}}}}, "model.train_ds");
  EXPECT_EQ(nested.loader_path, "model.train_ds.dataloader_params");
  EXPECT_FALSE(read_data_section({{"manifest_filepath", "x.json"}}, "model.train_ds").names_dataset);
  EXPECT_THAT(error_of([] { read_data_section({{"_target_", "toy.Lengths"}, {"batchsize", 2}}, "model.train_ds"); }),
              ::testing::AllOf(HasSubstr("unknown key 'batchsize'"), HasSubstr("model.train_ds.batchsize"),
                               HasSubstr("did you mean: batch_size")));
  EXPECT_THAT(error_of([] { read_data_section({{"_target_", "toy.Lenghts"}}, "model.train_ds"); }),
              HasSubstr("toy.Lengths"));
}

TEST_F(Toys, AModelsChildrenOfAllKindsAreListed) {
  const ModelHandle line = model("toy.Line");
  ASSERT_EQ(line.metrics().size(), 1u);
  EXPECT_EQ(line.metrics()[0].first, "error");
  EXPECT_TRUE(line.modules().empty());
}

}  // namespace
}  // namespace fathom
