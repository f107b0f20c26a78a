#include "tests/conformance/nlp_cases.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>

#include "core/base/file.h"
#include "core/checkpoint/torch_file.h"
#include "plugins/lib/nn/bert_encoder.h"
#include "tests/conformance/case_reader.h"
#include "tests/conformance/model_compare.h"

namespace fathom::conformance {
namespace {

constexpr Bounds kEncoderBounds{2e-5, 1e-4};

}  // namespace

Outcome run_v1_encoder(const Case& c) {
  try {
    nn::BertEncoder encoder(nn::BertOptions::read(Json::parse(read_file(c.folder + "/config.json")), "config"));
    std::map<std::string, at::Tensor> recorded;
    for (auto& [name, tensor] : checkpoint::load_safetensors(c.folder + "/io.safetensors")) recorded[name] = tensor;
    Differences differences;
    auto parameters = encoder.named_parameters();
    size_t loaded = 0;
    {
      const at::NoGradGuard no_grad;
      for (auto& [name, tensor] : checkpoint::load_safetensors(c.folder + "/model.safetensors")) {
        const std::string own = nn::bert_parameter_name(name);
        if (own.empty()) continue;
        at::Tensor* parameter = parameters.find(own);
        if (parameter == nullptr || parameter->sizes() != tensor.sizes()) {
          differences.add(name + ": a weight without a place");
          continue;
        }
        parameter->copy_(tensor);
        ++loaded;
      }
    }
    if (loaded != parameters.size())
      differences.add(fmt::format("{} of {} weights were loaded", loaded, parameters.size()));
    encoder.eval();
    const auto given = [&](const char* name) { return recorded.count(name) > 0 ? recorded.at(name) : at::Tensor(); };
    const at::Tensor ids = recorded.at("input_ids"), mask = given("attention_mask"), types = given("token_type_ids");
    const auto compare = [&](const std::string& name, const at::Tensor& got) {
      if (recorded.count(name) > 0) differences.add(tensor_difference(name, got, recorded.at(name), kEncoderBounds));
    };
    nn::BertEncoder::Inside inside;
    const at::Tensor seen = encoder.forward(ids, mask, types, &inside);
    for (size_t i = 0; i < inside.states.size(); ++i) compare(fmt::format("hidden.{}", i), inside.states[i]);
    for (size_t i = 0; i < inside.weights.size(); ++i) compare(fmt::format("attention.{}", i), inside.weights[i]);
    compare("last_hidden_state", seen);
    const at::Tensor last = encoder.forward(ids, mask, types);
    compare("last_hidden_state", last);
    if (recorded.count("pooler_output") > 0) compare("pooler_output", encoder.pool(last));
    compare("last_hidden_state.no_mask_no_segments", encoder.forward(ids, {}, {}));
    ((last * recorded.at("loss_weights")).sum() / mask.sum()).backward();
    compare_gradients(encoder, c.folder + "/grads.json", "", differences);
    return differences.outcome();
  } catch (const std::exception& error) {
    return fail(fmt::format("expected no error, got: {}", error.what()));
  }
}

}  // namespace fathom::conformance
