#include "core/archive/pickle_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>

#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

// A pickle names shared parts again and again; written out in full they may be this many values, sixteen bytes of text
// counting as one. Checkpoints of large models have some hundred thousand, in pickles of as many bytes.
constexpr uint64_t kMaxExpandedValues = 20'000'000, kAlwaysExpanded = 100'000, kExpandedPerByte = 4;
constexpr uint64_t kTextPerValue = 16;

template <typename F>
void each_child(const PickleValue& value, const F& visit) {
  switch (value.kind()) {
    case PickleValue::Kind::kList:
    case PickleValue::Kind::kTuple:
    case PickleValue::Kind::kSet:
      for (const auto& item : value.items()) visit(item);
      break;
    case PickleValue::Kind::kDict:
      for (const auto& [key, item] : value.as_dict()) {
        visit(key);
        visit(item);
      }
      visit(value.as_dict().attributes);
      break;
    case PickleValue::Kind::kObject:
      visit(value.as_object().arguments);
      visit(value.as_object().state);
      if (value.as_object().content) visit(*value.as_object().content);
      break;
    default: break;
  }
}

bool is_container(const PickleValue& value) {
  const PickleValue::Kind kind = value.kind();
  return kind == PickleValue::Kind::kList || kind == PickleValue::Kind::kTuple || kind == PickleValue::Kind::kSet ||
         kind == PickleValue::Kind::kDict || (kind == PickleValue::Kind::kObject && !value.as_object().is_class);
}

uint64_t weight_of(const PickleValue& value) {
  const PickleValue::Kind kind = value.kind();
  const bool is_text =
      kind == PickleValue::Kind::kString || kind == PickleValue::Kind::kBytes || kind == PickleValue::Kind::kBigInt;
  return 1 + (is_text ? value.as_string().size() / kTextPerValue : 0);
}

[[noreturn]] void fail(const char* what, std::string seen = {}) {
  throw Error(Code::kBadData, what).seen(std::move(seen));
}

}  // namespace

std::unordered_set<const void*> check_pickle_graph(const PickleValue& root, uint64_t pickle_bytes) {
  const uint64_t limit = std::min(kMaxExpandedValues, kAlwaysExpanded + kExpandedPerByte * pickle_bytes);
  // Without recursion: the value may be nested deeper than the stack is.
  struct Frame {
    PickleList children;
    size_t next = 0;
    const void* identity = nullptr;
    size_t depth = 1;
    uint64_t count = 1;
  };
  struct Known {
    bool open = true;
    size_t depth = 1;
    uint64_t count = 1;
  };
  std::unordered_map<const void*, Known> known;
  std::vector<Frame> frames;
  auto enter = [&](const PickleValue& value) {
    Frame frame;
    frame.identity = value.identity();
    each_child(value, [&](const PickleValue& child) {
      if (is_container(child)) {
        frame.children.push_back(child);
      } else {
        frame.count += weight_of(child);
      }
    });
    known[frame.identity] = {};
    frames.push_back(std::move(frame));
  };
  if (is_container(root)) enter(root);
  while (!frames.empty()) {
    Frame& frame = frames.back();
    if (frame.depth > kMaxPickleDepth || frames.size() > kMaxPickleDepth) fail("values are nested too deeply");
    if (frame.count > limit) fail("values refer to each other so often that they cannot be written out");
    if (frame.next == frame.children.size()) {
      const Known result{false, frame.depth, frame.count};
      known[frame.identity] = result;
      frames.pop_back();
      if (!frames.empty()) {
        frames.back().depth = std::max(frames.back().depth, result.depth + 1);
        frames.back().count += result.count;
      }
      continue;
    }
    const PickleValue child = frame.children[frame.next++];
    const auto it = known.find(child.identity());
    if (it == known.end()) {
      enter(child);
    } else if (it->second.open) {
      fail("a value contains itself");
    } else {
      frame.depth = std::max(frame.depth, it->second.depth + 1);
      frame.count += it->second.count;
    }
  }
  std::unordered_set<const void*> reachable;
  for (const auto& [identity, state] : known) reachable.insert(identity);
  return reachable;
}

}  // namespace fathom::checkpoint
