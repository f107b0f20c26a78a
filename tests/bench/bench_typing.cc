// Nanoseconds that the checks of a typed call add: a module with four inputs, which carry types, and two outputs.
#include <ATen/ATen.h>

#include "core/plugins/registry.h"
#include "core/typing/switches.h"
#include "fathom/module.h"
#include "fathom/tokenizer.h"
#include "tests/bench/measure.h"

namespace {

using namespace fathom;  // NOLINT

// Does nothing but hand tensors on, so that the call itself is what is measured.
class FourIn final : public NeuralModule {
 public:
  Ports inputs() const override {
    return {{"audio_signal", {"B D T", SpectrogramType{}}},
            {"length", {"B", LengthsType{}}},
            {"context", {"B D T", EncodedRepresentation{}}},
            {"context_length", {"B", LengthsType{}}}};
  }
  Ports outputs() const override {
    return {{"outputs", {"B D T", AcousticEncodedRepresentation{}}}, {"encoded_lengths", {"B", LengthsType{}}}};
  }
  Values forward(const Values& in) override {
    return {{"outputs", in["audio_signal"]}, {"encoded_lengths", in["length"]}};
  }
};

// Gives the first one's inputs their types: a special case of one port's type, the very type of the others.
class Source final : public NeuralModule {
 public:
  Ports outputs() const override {
    return {{"audio_signal", {"B D T", MelSpectrogramType{}}},
            {"length", {"B", LengthsType{}}},
            {"context", {"B D T", AcousticEncodedRepresentation{}}},
            {"context_length", {"B", LengthsType{}}}};
  }
  Values forward(const Values&) override {
    const at::Tensor x = at::ones({2, 8, 16}), n = at::full({2}, 16);
    return {{"audio_signal", x}, {"length", n}, {"context", x}, {"context_length", n}};
  }
};

// The least that can cross: a number.
class OnePiece final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 1; }
  std::vector<int64_t> encode(std::string_view) const override { return {}; }
  std::string decode(const std::vector<int64_t>&) const override { return {}; }
  std::string piece(int64_t) const override { return {}; }
};

}  // namespace

FATHOM_PLUGIN("bench_typing", "0.1.0", "Apache-2.0", "fathom", "") {
  r.add<OnePiece>("bench.OnePiece", "a vocabulary of one");
  r.add<FourIn>("bench.FourIn", "four inputs, two outputs");
  r.add<Source>("bench.Source", "typed values");
}

namespace {

constexpr int kCalls = 200000;

void repeat(const std::function<void()>& call) {
  for (int i = 0; i < kCalls; ++i) call();
}

void compare(const char* name, const char* peer, const std::function<void()>& checked,
             const std::function<void()>& unchecked) {
  const auto timed = bench::alternate([&] { repeat(checked); }, [&] { repeat(unchecked); }, 15);
  const double ours = timed.ours / kCalls * 1e9, theirs = timed.peer / kCalls * 1e9;
  bench::report("typing", name, ours, theirs, peer, "ns/call", true, {{"overhead_ns", ours - theirs}});
}

}  // namespace

int main() {
  plugins::registry().use_search_path({});
  plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  FourIn module;
  module.set_owner_name("bench");
  Source source;
  const Values in = source.call({});
  const auto checked = [&] { module.call(in); };
  compare("4 inputs, 2 outputs", "the same forward, called without ports", checked, [&] { module.forward(in); });
  compare("4 inputs, 2 outputs, against checks switched off", "the same call within disable_checks", checked, [&] {
    const typing::DisableChecks off;
    module.call(in);
  });
  const ModuleHandle handle = make_module({{"_target_", "bench.FourIn"}}, "bench");
  compare(
      "4 inputs, 2 outputs, through the plugin boundary", "the same within disable_checks", [&] { handle(in); },
      [&] {
        const typing::DisableChecks off;
        handle(in);
      });
  const TokenizerHandle tokenizer = make_tokenizer({{"_target_", "bench.OnePiece"}}, "bench");
  const std::unique_ptr<Tokenizer> direct = std::make_unique<OnePiece>();
  volatile int64_t sum = 0;
  compare(
      "one call through the boundary", "the same virtual function", [&] { sum = sum + tokenizer.vocab_size(); },
      [&] { sum = sum + direct->vocab_size(); });
  return 0;
}
