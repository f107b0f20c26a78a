#include "core/typing/port_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "core/typing/port_list.h"
#include "core/typing/switches.h"
#include "fathom/json.h"

// Counts allocations of this thread, to see that a passing check makes none. A sanitizer brings its own operator new.
namespace {
thread_local size_t t_allocations = 0;
}  // namespace
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // the pairs below do match
void* operator new(size_t size) {
  ++t_allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++t_allocations;
  return std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace fathom::typing {
namespace {

using nlohmann::json;
using testing::HasSubstr;

PortList encoder_inputs() {
  return PortList::from_json(json::parse(R"([
    {"name": "audio_signal", "type": {"axes": ["B", "D", "T"], "elements": "SpectrogramType"}},
    {"name": "length", "type": {"axes": ["B"], "elements": "LengthsType"}},
    {"name": "mask", "type": {"axes": ["B", "T"], "elements": "MaskType"}, "optional": true},
    {"name": "clips", "type": [{"axes": ["B", "T"], "elements": "AudioSignal", "params": {"freq": 16000}, "optional": true}]}])"));
}

fathom_value tensor(int rank, TypeId type = kNoType) {
  fathom_value value{};
  value.kind = FATHOM_VALUE_TENSOR;
  value.rank = rank;
  value.type = type;
  return value;
}

fathom_value list(const std::vector<fathom_value>& items) {
  fathom_value value{};
  value.kind = FATHOM_VALUE_LIST;
  value.rank = -1;
  value.as.list = {items.data(), items.size()};
  return value;
}

fathom_named_value named(std::string_view name, fathom_value value) { return {{name.data(), name.size()}, value}; }

// The fault of a call, nullopt when it passes.
std::optional<PortFault> fault_of(const PortList& ports, const std::vector<fathom_named_value>& values,
                                  CheckOptions options = {}) {
  try {
    check_inputs("asr.Encoder", ports.view(), values, options);
  } catch (const PortError& error) {
    return error.fault();
  }
  return std::nullopt;
}

TEST(PortCheck, what_fits_passes) {
  const PortList ports = encoder_inputs();
  const TypeId mel = intern_json(R"({"axes": ["B", "C", "T"], "elements": "MelSpectrogramType"})");
  const std::vector<fathom_value> clips = {tensor(2), tensor(2)};
  EXPECT_FALSE(fault_of(ports, {named("audio_signal", tensor(3, mel)), named("length", tensor(1))}));
  EXPECT_FALSE(
      fault_of(ports, {named("clips", list(clips)), named("length", tensor(1)), named("audio_signal", tensor(-1))}));
  // A bare value may enter a list port.
  EXPECT_FALSE(
      fault_of(ports, {named("audio_signal", tensor(3)), named("length", tensor(1)), named("clips", tensor(2))}));
}

TEST(PortCheck, each_fault_is_told) {
  const PortList ports = encoder_inputs();
  const auto audio = named("audio_signal", tensor(3));
  const auto length = named("length", tensor(1));
  EXPECT_EQ(fault_of(ports, {audio}), PortFault::kInputCount);
  EXPECT_EQ(fault_of(ports, {audio, named("", tensor(1))}), PortFault::kPositional);
  EXPECT_EQ(fault_of(ports, {audio, named("lenght", tensor(1))}), PortFault::kUnknownName);
  EXPECT_EQ(fault_of(ports, {audio, audio}), PortFault::kDuplicateName);
  EXPECT_EQ(fault_of(ports, {audio, named("length", tensor(2))}), PortFault::kInputRank);
  const std::vector<fathom_value> flat = {tensor(2)};
  const std::vector<fathom_value> deep = {list(flat)};
  const std::vector<fathom_value> three = {tensor(2), tensor(3)};
  EXPECT_EQ(fault_of(ports, {audio, length, named("clips", list(deep))}), PortFault::kInputDepth);
  EXPECT_FALSE(fault_of(ports, {audio, length, named("clips", list(deep))}, {.ignore_collections = true}));
  EXPECT_EQ(fault_of(ports, {audio, length, named("clips", list(three))}), PortFault::kInputRank);
  EXPECT_EQ(fault_of(ports, {audio, length, named("mask", list(flat))}), PortFault::kInputDepth);
  const TypeId logits = intern_json(R"({"axes": ["B"], "elements": "LogitsType"})");
  EXPECT_EQ(fault_of(ports, {audio, named("length", tensor(1, logits))}), PortFault::kSemantic);
  const TypeId other_rate = intern_json(R"({"axes": ["B", "T"], "elements": "AudioSignal", "params": {"freq": 8000}})");
  const std::vector<fathom_value> typed = {tensor(2, other_rate)};
  EXPECT_EQ(fault_of(ports, {audio, length, named("clips", list(typed))}), PortFault::kSemantic);
}

TEST(PortCheck, the_message_says_where_what_and_what_to_do) {
  const PortList ports = encoder_inputs();
  const TypeId turned = intern_json(R"({"axes": ["B", "T", "D"], "elements": "SpectrogramType"})");
  try {
    check_inputs("asr.Encoder", ports.view(),
                 std::vector{named("audio_signal", tensor(3, turned)), named("length", tensor(1))});
    FAIL();
  } catch (const PortError& error) {
    EXPECT_EQ(error.comparison(), Comparison::kTransposeSame);
    EXPECT_EQ(error.kind(), PortErrorKind::kNeuralPortNmTensorMismatchError);
    EXPECT_EQ(error.where(), "asr.Encoder.audio_signal");
    EXPECT_THAT(error.message(), HasSubstr("TRANSPOSE_SAME"));
    EXPECT_THAT(error.seen(), HasSubstr("(batch, time, dimension)"));
    EXPECT_THAT(error.expected(), HasSubstr("(batch, dimension, time)"));
    EXPECT_THAT(error.next(), HasSubstr("transpose"));
  }
  try {
    check_inputs("asr.Encoder", ports.view(),
                 std::vector{named("audio_signal", tensor(3)), named("lenght", tensor(1))});
    FAIL();
  } catch (const PortError& error) {
    EXPECT_EQ(error.kind(), PortErrorKind::kNeuralPortNameMismatchError);
    EXPECT_EQ(error.candidates(), "length");
    EXPECT_THAT(error.expected(), HasSubstr("[mask]"));
  }
  try {
    check_inputs("asr.Encoder", ports.view(), std::vector{named("length", tensor(1))});
    FAIL();
  } catch (const PortError& error) {
    EXPECT_THAT(error.next(), HasSubstr("audio_signal"));
    EXPECT_THAT(error.expected(), HasSubstr("2 to 4"));
  }
}

TEST(PortCheck, outputs_are_checked_and_told_their_types) {
  const PortList ports = PortList::from_json(json::parse(R"([
    {"name": "encoded", "type": {"axes": ["B", "D", "T"], "elements": "AcousticEncodedRepresentation"}},
    {"name": "states", "type": {"axes": ["B", "D"], "elements": "VoidType"}, "optional": true, "list_depth": 1}])"));
  const std::vector<fathom_value> states = {tensor(2), tensor(2)};
  const std::vector<fathom_named_value> values = {named("states", list(states)), named("encoded", tensor(3))};
  std::vector<std::pair<const fathom_value*, TypeId>> attached;
  const Attach attach = [&](const fathom_value& leaf, TypeId type) { attached.emplace_back(&leaf, type); };
  check_outputs("asr.Encoder", ports.view(), values, {}, &attach);
  const TypeId state = ports.find("states")->type, encoded = ports.find("encoded")->type;
  EXPECT_THAT(attached, testing::ElementsAre(std::pair(&states[0], state), std::pair(&states[1], state),
                                             std::pair(&values[1].value, encoded)));

  const auto fault = [&](std::vector<fathom_named_value> outputs) -> std::optional<PortFault> {
    try {
      check_outputs("asr.Encoder", ports.view(), outputs);
    } catch (const PortError& error) {
      return error.fault();
    }
    return std::nullopt;
  };
  // Types are attached, not compared.
  EXPECT_FALSE(fault({named("encoded", tensor(3, intern_json(R"({"elements": "LossType"})")))}));
  EXPECT_EQ(fault({}), PortFault::kOutputCount);
  EXPECT_EQ(fault({named("encoding", tensor(3))}), PortFault::kUnknownOutput);
  EXPECT_EQ(fault({named("encoded", tensor(2))}), PortFault::kOutputRank);
  EXPECT_EQ(fault({named("encoded", tensor(3)), named("states", tensor(2))}), PortFault::kOutputDepth);
}

TEST(PortCheck, declarations) {
  EXPECT_EQ(port_from_declaration("x", json::parse(R"([[{"elements": "LossType"}]])")).list_depth, 2u);
  for (const char* wrong : {"[]", R"([{"elements": "LossType"}, {"elements": "LossType"}])"}) {
    try {
      port_from_declaration("x", json::parse(wrong));
      FAIL() << wrong;
    } catch (const PortError& error) {
      EXPECT_EQ(error.fault(), PortFault::kContainerDeclaration);
    }
  }
  const PortList ports = encoder_inputs();
  EXPECT_EQ(PortList::from_json(ports.to_json()).to_json(), ports.to_json());
  for (const char* wrong :
       {"{}", "[5]", R"([{"name": "x"}])", R"([{"type": {}}])", R"([{"name": "", "type": {}}])",
        R"([{"name": "x", "type": {}, "list_depth": -1}])", R"([{"name": "x", "type": {}}, {"name": "x", "type": {}}])",
        R"([{"name": "x", "type": {}, "optinal": true}])"}) {
    EXPECT_THROW(PortList::from_json(json::parse(wrong)), Error) << wrong;
  }
}

TEST(Switches, scopes_nest_and_stay_on_their_thread) {
  const PortList ports = encoder_inputs();
  EXPECT_TRUE(typecheck_enabled());
  try {
    const DisableChecks outer;
    {
      const DisableChecks inner;
      EXPECT_FALSE(typecheck_enabled());
    }
    EXPECT_FALSE(typecheck_enabled());
    EXPECT_FALSE(fault_of(ports, {}));
    std::thread([&] { EXPECT_EQ(fault_of(ports, {}), PortFault::kInputCount); }).join();
    throw std::runtime_error("unwind");
  } catch (const std::runtime_error&) {
  }
  EXPECT_TRUE(typecheck_enabled());
  const TypeId logits = intern_json(R"({"axes": ["B"], "elements": "LogitsType"})");
  {
    const DisableSemanticChecks scope;
    EXPECT_FALSE(fault_of(ports, {named("audio_signal", tensor(3)), named("length", tensor(1, logits))}));
    EXPECT_EQ(fault_of(ports, {named("audio_signal", tensor(3)), named("length", tensor(2, logits))}),
              PortFault::kInputRank);
  }
  set_typecheck_enabled(false);
  std::thread([] { EXPECT_FALSE(typecheck_enabled()); }).join();
  {
    const DisableChecks scope;
    set_typecheck_enabled(true);
    EXPECT_TRUE(typecheck_enabled());
  }
  EXPECT_TRUE(typecheck_enabled());
}

// Four inputs and two outputs: no allocation, and far from a microsecond (the promise is 100 ns on a quiet machine; the
// bound here leaves room for a busy one, and far more under a sanitizer).
TEST(PortCheck, a_passing_call_allocates_nothing) {
  const PortList inputs = encoder_inputs();
  const PortList outputs = PortList::from_json(json::parse(R"([
    {"name": "encoded", "type": {"axes": ["B", "D", "T"], "elements": "AcousticEncodedRepresentation"}},
    {"name": "encoded_lengths", "type": {"axes": ["B"], "elements": "LengthsType"}}])"));
  const TypeId mel = intern_json(R"({"axes": ["B", "D", "T"], "elements": "MelSpectrogramType"})");
  const TypeId lengths = intern_json(R"({"axes": ["B"], "elements": "LengthsType"})");
  const TypeId mask = intern_json(R"({"axes": ["B", "T"], "elements": "MaskType"})");
  const TypeId audio = intern_json(R"({"axes": ["B", "T"], "elements": "AudioSignal"})");
  const std::vector<fathom_named_value> in = {named("audio_signal", tensor(3, mel)),
                                              named("length", tensor(1, lengths)), named("mask", tensor(2, mask)),
                                              named("clips", tensor(2, audio))};
  const std::vector<fathom_named_value> out = {named("encoded", tensor(3)), named("encoded_lengths", tensor(1))};
  const auto call = [&] {
    check_inputs("asr.Encoder", inputs.view(), in);
    check_outputs("asr.Encoder", outputs.view(), out);
  };
  call();
  const size_t before = t_allocations;
  for (int i = 0; i < 1000; ++i) call();
  EXPECT_EQ(t_allocations, before);
}

}  // namespace
}  // namespace fathom::typing
