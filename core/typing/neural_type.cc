#include "core/typing/neural_type.h"

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/base/text.h"
#include "core/typing/json_fields.h"
#include "fathom/error.h"
#include "fathom/json.h"

namespace fathom::typing {
namespace {

// How the axes of two types relate.
enum class AxesRelation { kSame, kTransposed, kOtherSizes, kDifferent };

AxesRelation relate(const std::optional<std::vector<Axis>>& first, const std::optional<std::vector<Axis>>& second) {
  if (!first && !second) return AxesRelation::kSame;
  if (!first || !second || first->size() != second->size()) return AxesRelation::kDifferent;
  bool same = true;
  std::map<AxisKind, std::optional<int64_t>> sizes_first, sizes_second;
  for (size_t i = 0; i < first->size(); ++i) {
    const Axis& a = (*first)[i];
    const Axis& b = (*second)[i];
    // A repeated kind keeps its last size; so (B, D, D) and (B, B, D) count as transposed.
    sizes_first[a.kind] = a.size;
    sizes_second[b.kind] = b.size;
    if (a.kind == AxisKind::kAny) {
      same = true;  // NeMo's rule: Any also forgives the mismatches before it
    } else if (a.kind != b.kind || a.is_list != b.is_list || (a.size && a.size != b.size)) {
      same = false;
    }
  }
  if (same) return AxesRelation::kSame;
  if (sizes_first == sizes_second) return AxesRelation::kTransposed;
  const bool same_kinds = std::equal(sizes_first.begin(), sizes_first.end(), sizes_second.begin(), sizes_second.end(),
                                     [](const auto& x, const auto& y) { return x.first == y.first; });
  return same_kinds ? AxesRelation::kOtherSizes : AxesRelation::kDifferent;
}

struct Interned {
  NeuralType type;
  int rank;
};

// Append-only table read without locks: a chunk's pointer is published after its entries, and an id is only ever known
// to a thread that has synchronised with the one that made it. Chunks double, so 22 of them hold 2^28 types.
class TypeTable {
 public:
  const Interned* find(TypeId id) const {
    if (id == kNoType || id >= end_.load(std::memory_order_acquire)) return nullptr;
    const auto [chunk, offset] = place(id);
    return chunks_[chunk].load(std::memory_order_acquire)[offset].get();
  }

  TypeId intern(const NeuralType& type) {
    std::string key = neural_type_to_json(type).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::lock_guard lock(mutex_);
    if (const auto it = ids_.find(key); it != ids_.end()) return it->second;
    const TypeId id = end_.load(std::memory_order_relaxed);
    const auto [chunk, offset] = place(id);
    if (chunk >= kChunks) throw Error(Code::kInternal, "too many neural types");
    if (offset == 0) {
      chunks_[chunk].store(new std::unique_ptr<const Interned>[size_t{1} << (chunk + kFirstBits)],
                           std::memory_order_release);
    }
    chunks_[chunk].load(std::memory_order_relaxed)[offset] =
        std::make_unique<const Interned>(Interned{type, type.rank()});
    ids_.emplace(std::move(key), id);
    end_.store(id + 1, std::memory_order_release);
    return id;
  }

 private:
  static constexpr unsigned kFirstBits = 6;
  static constexpr unsigned kChunks = 22;

  struct Place {
    unsigned chunk;
    size_t offset;
  };
  static Place place(TypeId id) {
    const size_t shifted = size_t{id} - 1 + (size_t{1} << kFirstBits);
    const unsigned bits = 63u - static_cast<unsigned>(__builtin_clzll(shifted));
    return {bits - kFirstBits, shifted - (size_t{1} << bits)};
  }

  std::array<std::atomic<std::unique_ptr<const Interned>*>, kChunks> chunks_{};
  std::atomic<TypeId> end_{1};
  std::mutex mutex_;
  std::unordered_map<std::string, TypeId> ids_;
};

TypeTable& types() {
  static auto& table = *new TypeTable;
  return table;
}

// Direct-mapped cache of comparison results. One word holds the pair and its result, so that a read is one relaxed load
// and a collision only costs computing again. Ids need 28 bits each; the result takes the low 8.
constexpr size_t kCacheEntries = size_t{1} << 14;
std::array<std::atomic<uint64_t>, kCacheEntries> g_compared{};

constexpr size_t slot_of(TypeId declared, TypeId value) {
  return (declared * size_t{0x9E3779B1} + value) & (kCacheEntries - 1);
}

std::string axes_text(const std::optional<std::vector<Axis>>& axes) {
  if (!axes) return "None";
  std::vector<std::string> parts;
  for (const Axis& axis : *axes) parts.push_back(axis.repr());
  // As Python prints a tuple: (batch,) for one.
  return "(" + join(parts, ", ") + (parts.size() == 1 ? ",)" : ")");
}

std::string repr_with(const NeuralType& type, const std::string& element) {
  return "NeuralType(axis=" + axes_text(type.axes) + ", element_type=" + element +
         (type.optional ? ", optional=True)" : ")");
}

}  // namespace

std::string NeuralType::str() const { return "axes: " + axes_text(axes) + "; elements_type: " + elements.cls->name; }
std::string NeuralType::repr() const { return repr_with(*this, elements.cls->name); }
std::string NeuralType::text() const { return repr_with(*this, elements.text()); }

NeuralType make_neural_type(std::optional<std::vector<Axis>> axes, std::optional<ElementType> elements, bool optional) {
  if (axes) check_axis_order(*axes);
  if (!elements) elements = make_element("VoidType");
  return {std::move(axes), std::move(*elements), optional};
}

Comparison compare(const NeuralType& declared, const NeuralType& value) {
  static const ElementClass& void_type = element_class("VoidType");
  if (!declared.axes && declared.elements.cls->is_a(void_type)) return Comparison::kSame;
  if (!declared.axes && value.axes) return Comparison::kIncompatible;
  const Comparison elements = compare(declared.elements, value.elements);
  switch (relate(declared.axes, value.axes)) {
    case AxesRelation::kSame: return elements;
    case AxesRelation::kTransposed:
      return elements == Comparison::kSame ? Comparison::kTransposeSame : Comparison::kIncompatible;
    case AxesRelation::kOtherSizes:
      return elements == Comparison::kSame ? Comparison::kDimIncompatible : Comparison::kIncompatible;
    case AxesRelation::kDifferent: break;
  }
  return Comparison::kIncompatible;
}

TypeId intern(const NeuralType& type) { return types().intern(type); }

TypeId intern_json(std::string_view json) {
  return intern(neural_type_from_json(parse_json_object(json, "neural type", {})));
}

const NeuralType& type_of(TypeId id) {
  if (const Interned* found = types().find(id)) return found->type;
  throw Error(Code::kInternal, "there is no neural type " + std::to_string(id))
      .next("ids come from intern; 0 stands for \"no type\" and has none");
}

int rank_of(TypeId id) {
  const Interned* found = types().find(id);
  return found == nullptr ? -1 : found->rank;
}

Comparison compare(TypeId declared, TypeId value) {
  if (declared == kNoType || value == kNoType) return Comparison::kUnchecked;
  const uint64_t key = (uint64_t{declared} << 36) | (uint64_t{value} << 8);
  std::atomic<uint64_t>& slot = g_compared[slot_of(declared, value)];
  const uint64_t seen = slot.load(std::memory_order_relaxed);
  if ((seen & ~uint64_t{0xff}) == key) return static_cast<Comparison>(seen & 0xff);
  const Comparison result = compare(type_of(declared), type_of(value));
  slot.store(key | static_cast<uint64_t>(result), std::memory_order_relaxed);
  return result;
}

}  // namespace fathom::typing
