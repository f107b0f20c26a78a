// The adapter alone, and in a host module: what the recorded cases (neural_module_core/adapters) do not cover.
#include "linear_adapter.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/plugins/registry.h"
#include "fathom/adapter.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::common {
namespace {

struct Host final : public torch::nn::Module, public AdapterModuleMixin {
  Host() : AdapterModuleMixin(this) {}
};

class LinearAdapterTest : public testing::Test {
 protected:
  void SetUp() override {
    plugins::registry().use_search_path({});
    plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  }
  static Json section(Json changes = Json::object()) {
    Json out = {
        {"_target_", "nemo.collections.common.parts.adapter_modules.LinearAdapter"}, {"in_features", 4}, {"dim", 2}};
    out.update(changes);
    return out;
  }
  static std::string error_of(Host& host, const std::string& name, const Json& config) {
    try {
      host.add_adapter(name, config);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
};

TEST_F(LinearAdapterTest, ANewAdapterChangesNothing) {
  const at::Tensor x = at::randn({3, 4});
  for (const char* position : {"pre", "post"}) {
    Host host;
    host.add_adapter("one", section({{"norm_position", position}, {"dropout", 0.5}}));
    host.train();
    EXPECT_TRUE(at::equal(host.forward_enabled_adapters(x), x)) << position;
  }
}

TEST_F(LinearAdapterTest, StochasticDepthDropsWholeSamplesInTrainingOnly) {
  Host host;
  host.add_adapter(
      "one", section({{"adapter_strategy",
                       {{"_target_", "nemo.core.classes.mixins.adapter_mixin_strategies.ResidualAddAdapterStrategy"},
                        {"stochastic_depth", 1.0}}}}));
  {
    const at::NoGradGuard no_grad;
    for (auto& p : host.parameters()) p.fill_(0.5);
  }
  const at::Tensor x = at::randn({3, 4});
  host.train();
  EXPECT_TRUE(at::equal(host.forward_enabled_adapters(x), x));
  host.eval();
  EXPECT_FALSE(at::equal(host.forward_enabled_adapters(x), x));
}

TEST_F(LinearAdapterTest, BadInputNamesTheKey) {
  Host host;
  EXPECT_NE(error_of(host, "a", section({{"activation", "tanhh"}})).find("activation"), std::string::npos);
  EXPECT_NE(error_of(host, "a", section({{"norm_position", "mid"}})).find("pre or post"), std::string::npos);
  EXPECT_NE(error_of(host, "a", section({{"dim", 0}})).find("dim"), std::string::npos);
  EXPECT_NE(error_of(host, "a", section({{"dimm", 3}})).find("did you mean: dim"), std::string::npos);
  EXPECT_NE(error_of(host, "global_cfg", section()).find("reserved"), std::string::npos);
  EXPECT_NE(error_of(host, "a", section({{"adapter_strategy", {{"_target_", "x.Y"}}}})).find("x.Y"), std::string::npos);
  EXPECT_FALSE(host.is_adapter_available());
  EXPECT_TRUE(host.parameters().empty());  // nothing half-made stays behind
  host.add_adapter("a", section());
  const std::string twice = error_of(host, "a", section());
  EXPECT_NE(twice.find("exists already"), std::string::npos);
  EXPECT_NE(twice.find("other than: a"), std::string::npos);
}

}  // namespace
}  // namespace fathom::common
