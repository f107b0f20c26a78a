// Recorded modules, front-ends and losses of NeMo, made by name through the registry: no class is known here.
//
// A case names a class and its options; the recorded state is loaded strictly under NeMo's keys, the recorded inputs
// are sent through the ports, and outputs, loss and gradients are compared with the case's own tolerance.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/module.h>

#include <map>
#include <set>

#include "core/checkpoint/torch_file.h"
#include "core/plugins/registry.h"
#include "fathom/module.h"
#include "fathom/recurrent.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using checkpoint::NamedTensors;

struct Tolerance {
  double abs = 2e-5, rel = 1e-4;
};

struct Record {
  std::map<std::string, at::Tensor> tensors;
  Tolerance tolerance;
  // Tensors called PREFIX + rest, by rest.
  std::map<std::string, at::Tensor> below(const std::string& prefix) const {
    std::map<std::string, at::Tensor> out;
    for (const auto& [name, tensor] : tensors) {
      if (name.starts_with(prefix)) out[name.substr(prefix.size())] = tensor;
    }
    return out;
  }
};

Record read_record(const Case& c) {
  Record record;
  for (auto& [name, tensor] : checkpoint::load_safetensors(c.folder + "/io.safetensors")) record.tensors[name] = tensor;
  if (c.body.contains("tolerance")) {
    record.tolerance.abs = c.body["tolerance"].value("abs", record.tolerance.abs);
    record.tolerance.rel = c.body["tolerance"].value("rel", record.tolerance.rel);
  }
  return record;
}

// "" when equal within the tolerance; NaN equals NaN, an infinity itself.
std::string difference(const std::string& name, const at::Tensor& got, const at::Tensor& expected, const Tolerance& t) {
  if (!got.defined()) return name + ": expected a tensor, got none";
  if (got.sizes() != expected.sizes()) {
    return fmt::format("{}: expected shape {}, got {}", name, c10::str(expected.sizes()), c10::str(got.sizes()));
  }
  if (!expected.is_floating_point()) {
    return at::equal(got.to(expected.scalar_type()), expected)
               ? ""
               : fmt::format("{}: integers differ: expected {}, got {}", name,
                             c10::str(expected.flatten().slice(0, 0, 8)), c10::str(got.flatten().slice(0, 0, 8)));
  }
  const at::Tensor a = got.detach().to(at::kDouble), b = expected.to(at::kDouble);
  const at::Tensor close = at::isclose(a, b, t.rel, t.abs, /*equal_nan=*/true);
  if (close.all().item<bool>()) return "";
  const at::Tensor error = (a - b).abs().masked_fill(close, 0).nan_to_num(INFINITY).flatten();
  const int64_t worst = error.argmax().item<int64_t>();
  return fmt::format("{}: {} of {} numbers differ; worst at {}: expected {}, got {}", name,
                     close.logical_not().sum().item<int64_t>(), close.numel(), worst, b.flatten()[worst].item<double>(),
                     a.flatten()[worst].item<double>());
}

// Records write some classes with their module path and some by the last part only.
std::string registered_name(const std::string& recorded, uint32_t kinds) {
  auto& registry = plugins::registry();
  if (registry.contains(kinds, recorded)) return recorded;
  const std::string last = recorded.substr(recorded.rfind('.') + 1);
  for (const char* prefix : {"nemo.collections.asr.modules.", "nemo.collections.asr.losses.", "asr."}) {
    if (registry.contains(kinds, prefix + last)) return prefix + last;
  }
  return recorded;  // the registry's own error then names the candidates
}

ModuleHandle make(const Case& c, const Json& extra = Json::object()) {
  constexpr uint32_t kKinds = 1u << FATHOM_KIND_MODULE | 1u << FATHOM_KIND_LOSS;
  Json config = Json::object();
  config["_target_"] = registered_name(c.body["class"].get<std::string>(), kKinds);
  for (const auto& [key, value] : c.body["params"].items()) config[key] = parse_text(json_text(value));
  for (const auto& [key, value] : extra.items()) config[key] = value;
  return ModuleHandle(plugins::registry().create(kKinds, config, c.id));
}

// Copies the state in; "" or the keys that do not match. A recorded key must exist here and the other way round.
std::string load_strictly(torch::nn::Module& module, const std::map<std::string, at::Tensor>& state) {
  std::map<std::string, at::Tensor> own;
  for (const auto& item : module.named_parameters()) own[item.key()] = item.value();
  for (const auto& item : module.named_buffers()) own[item.key()] = item.value();
  std::string wrong;
  for (const auto& [name, tensor] : own) {
    if (tensor.defined() && state.count(name) == 0) wrong += " -" + name;
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state) {
    const auto it = own.find(name);
    if (it == own.end())
      wrong += " +" + name;
    else if (it->second.sizes() != tensor.sizes()) {
      wrong += fmt::format(" {} {} instead of {}", name, c10::str(it->second.sizes()), c10::str(tensor.sizes()));
    } else {
      it->second.copy_(tensor);
    }
  }
  return wrong.empty() ? "" : "state keys differ (- only here, + only recorded):" + wrong;
}

// out.PORT, or out.PORT.N for the N-th tensor of a list.
at::Tensor output_of(const Values& out, const std::string& name) {
  if (const Value* value = out.find(name)) return value->is_tensor() ? value->tensor() : at::Tensor();
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {};
  const Value* list = out.find(name.substr(0, dot));
  const size_t index = std::stoul(name.substr(dot + 1));
  if (list == nullptr || !list->is_list() || index >= list->list().size()) return {};
  const Value& item = list->list()[index];
  return item.is_tensor() ? item.tensor() : at::Tensor();
}

// The same of a record with one output, which some records call otherwise than the port.
at::Tensor only_output_of(const Values& out, const std::string& name, size_t recorded) {
  const at::Tensor found = output_of(out, name);
  return found.defined() || recorded != 1 || out.size() != 1 ? found : out.begin()->second.tensor();
}

class Findings {
 public:
  void add(const std::string& text) {
    if (!text.empty() && ++count_ <= 4) text_ += (text_.empty() ? "" : "; ") + text;
  }
  Outcome outcome() const {
    return count_ == 0 ? pass() : fail(count_ > 4 ? fmt::format("{} (and {} more)", text_, count_ - 4) : text_);
  }

 private:
  std::string text_;
  int64_t count_ = 0;
};

void set_mode(torch::nn::Module& module, const Case& c) { module.train(c.body.value("mode", "eval") == "train"); }

// --- frontends
// -----------------------------------------------------------------------------------------------------------

Outcome run_frontend(const Case& c, bool old) {
  const Record record = read_record(c);
  const std::string name = c.body["class"];
  Json extra = Json::object();
  if (old && name.find("MelSpectrogram") != std::string::npos) extra["front_end"] = "nemo1";
  const ModuleHandle module = make(c, extra);
  const auto torch_module = module.torch_module();
  set_mode(*torch_module, c);
  Findings findings;
  // What is recomputed must be NeMo's too, before the recorded state replaces it (torchaudio computes it in float32).
  for (const auto& item : torch_module->named_buffers()) {
    const auto it = record.tensors.find("state." + item.key());
    if (it != record.tensors.end())
      findings.add(difference("built " + item.key(), item.value(), it->second, {2e-5, 1e-3}));
  }
  findings.add(load_strictly(*torch_module, record.below("state.")));
  const Values out =
      module({{"input_signal", record.tensors.at("input_signal")}, {"length", record.tensors.at("length")}});
  for (const char* port : {"processed_signal", "processed_length"}) {
    findings.add(difference(port, output_of(out, port), record.tensors.at(port), record.tolerance));
  }
  return findings.outcome();
}

// --- modules and losses
// --------------------------------------------------------------------------------------------------

struct Forward {
  Values out;
  std::map<std::string, at::Tensor> inputs;
};

Forward run_forward(const ModuleHandle& module, const Record& record) {
  Forward result;
  Values in;
  for (auto& [port, tensor] : record.below("in.")) {
    at::Tensor input = tensor.clone();
    if (input.is_floating_point() && record.tensors.count("grad_in." + port) > 0) input.requires_grad_();
    result.inputs[port] = input;
    in.add(port, input);
  }
  result.out = module(in);
  return result;
}

// A decoder step by step: a prefix of three tokens, then one after the other. What NeMo keeps of a layer is all that
// went into it so far.
Forward run_steps(const ModuleHandle& module, const Record& record) {
  Forward result;
  for (auto& [port, tensor] : record.below("in.")) {
    at::Tensor input = tensor.clone();
    if (input.is_floating_point() && record.tensors.count("grad_in." + port) > 0) input.requires_grad_();
    result.inputs[port] = input;
  }
  const at::Tensor &ids = result.inputs.at("input_ids"), &mask = result.inputs.at("decoder_mask");
  const RecurrentHandle decoder(module.borrowed());
  Values state = decoder.initial_state(ids.size(0));
  std::vector<at::Tensor> kept;
  int64_t begin = 0;
  constexpr int64_t kPrefix = 3;
  for (int64_t step = 0; record.tensors.count(fmt::format("out.step{}.mems.0", step)) != 0; ++step) {
    const int64_t end = begin == 0 ? kPrefix : begin + 1;
    Values in{{"input_ids", ids.slice(1, begin, end)}, {"decoder_mask", mask.slice(1, begin, end)}};
    in.add("encoder_embeddings", result.inputs.at("encoder_embeddings"));
    in.add("encoder_mask", result.inputs.at("encoder_mask"));
    Recurrent::StepResult done = decoder.step(in, state);
    state = std::move(done.state);
    const auto& states = done.outputs["hidden_states"].list();
    kept.resize(states.size());
    for (size_t i = 0; i < states.size(); ++i) {
      kept[i] = kept[i].defined() ? at::cat({kept[i], states[i].tensor()}, 1) : states[i].tensor();
      result.out.add(fmt::format("step{}.mems.{}", step, i), kept[i]);
    }
    const auto& scores = done.outputs["xatt_scores"].list();
    for (size_t i = 0; i < scores.size(); ++i)
      result.out.add(fmt::format("step{}.xatt_scores.{}", step, i), scores[i].tensor());
    begin = end;
  }
  return result;
}

void compare_gradients(const std::string& prefix, const std::map<std::string, at::Tensor>& expected,
                       const std::map<std::string, at::Tensor>& of, const Tolerance& tolerance, Findings& findings) {
  for (const auto& [name, gradient] : expected) {
    const auto it = of.find(name);
    if (it == of.end()) {
      findings.add(prefix + name + ": no such tensor here");
      continue;
    }
    // A gradient that never arrived is a zero gradient.
    const at::Tensor got = it->second.grad().defined() ? it->second.grad() : at::zeros_like(it->second);
    findings.add(difference(prefix + name, got, gradient, tolerance));
  }
}

Outcome run_module(const Case& c, bool old) {
  const Record record = read_record(c);
  Json extra = Json::object();
  const std::string name = c.body["class"];
  if (old && (name.ends_with("ConformerEncoder") || name.ends_with("SqueezeformerEncoder")))
    extra["subsampling_conv_masking"] = false;
  const ModuleHandle module = make(c, extra);
  const auto torch_module = module.torch_module();
  set_mode(*torch_module, c);
  Findings findings;
  findings.add(load_strictly(*torch_module, record.below("state.")));
  if (c.body.contains("seed")) at::manual_seed(c.body["seed"].get<uint64_t>());
  const bool in_steps = record.tensors.count("out.step0.mems.0") > 0;
  const Forward run = in_steps ? run_steps(module, record) : run_forward(module, record);

  at::Tensor loss;
  const auto outputs = record.below("out.");
  for (const auto& [port, expected] : outputs) {
    const at::Tensor got = only_output_of(run.out, port, outputs.size());
    findings.add(difference("out." + port, got, expected, record.tolerance));
    const auto probe = record.tensors.find("probe." + port);
    if (probe == record.tensors.end() || !got.defined() || got.sizes() != probe->second.sizes()) continue;
    const at::Tensor product = (got * probe->second);
    const at::Tensor part = at::where(got.isfinite(), product, at::zeros({}, product.options())).mean();
    loss = loss.defined() ? loss + part : part;
  }
  if (loss.defined() && record.tensors.count("loss") > 0) {
    findings.add(difference("loss", loss, record.tensors.at("loss").reshape(loss.sizes()), record.tolerance));
    if (loss.requires_grad()) loss.backward();
    std::map<std::string, at::Tensor> parameters;
    for (const auto& item : torch_module->named_parameters()) parameters[item.key()] = item.value();
    compare_gradients("grad.", record.below("grad."), parameters, record.tolerance, findings);
    compare_gradients("grad_in.", record.below("grad_in."), run.inputs, record.tolerance, findings);
  }
  return findings.outcome();
}

Outcome run_loss(const Case& c) {
  const Record record = read_record(c);
  const ModuleHandle module = make(c);
  Findings findings;
  const Forward run = run_forward(module, record);
  const at::Tensor loss = output_of(run.out, "loss");
  findings.add(difference("out.loss", loss, record.tensors.at("out.loss"), record.tolerance));
  if (loss.defined()) {
    if (loss.requires_grad()) loss.sum().backward();
    compare_gradients("grad_in.", record.below("grad_in."), run.inputs, record.tolerance, findings);
  }
  return findings.outcome();
}

// A class that is not there yet, or refuses its options, is a failure with its reason, not the end of the run.
template <typename Run>
auto guarded(Run run) {
  return [run](const Case& c) {
    try {
      return run(c);
    } catch (const Error& error) {
      return fail(error.what());
    } catch (const c10::Error& error) {
      return fail(error.what_without_backtrace());
    } catch (const std::exception& error) {
      return fail(error.what());
    }
  };
}

}  // namespace

void add_model_suites(std::vector<Suite>& suites) {
  suites.push_back({"nemo_models/frontends", guarded([](const Case& c) { return run_frontend(c, false); })});
  suites.push_back({"nemo_models/frontends_old", guarded([](const Case& c) { return run_frontend(c, true); })});
  suites.push_back({"nemo_models/modules", guarded([](const Case& c) { return run_module(c, false); })});
  suites.push_back({"nemo_models/modules_old", guarded([](const Case& c) { return run_module(c, true); })});
  suites.push_back({"nemo_models/losses", guarded(run_loss)});
}

}  // namespace fathom::conformance
