#include "core/config/node.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <set>

#include "core/base/text.h"
#include "core/config/errors.h"
#include "core/config/python_text.h"

namespace fathom::config {
namespace {

// Below this many entries a scan beats hashing.
constexpr size_t kIndexedFrom = 12;

size_t mix(size_t hash, size_t kind) { return (hash ^ (kind * 0x9e3779b97f4a7c15ULL)) * 0xff51afd7ed558ccdULL; }

size_t hash_text(std::string_view text) { return std::hash<std::string_view>{}(text); }

size_t hash_key(const Key& key) {
  return std::visit(
      [&](const auto& value) -> size_t {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return hash_text(value);
        } else if constexpr (std::is_same_v<T, std::monostate>) {
          return mix(1, 0);
        } else if constexpr (std::is_same_v<T, Bytes>) {
          return mix(hash_text(value.data), 5);
        } else if constexpr (std::is_same_v<T, EnumMember>) {
          return mix(hash_text(value.name), 6);
        } else if constexpr (std::is_same_v<T, double>) {
          return mix(std::isnan(value) ? 7 : std::hash<double>{}(value), 3);
        } else {
          return mix(std::hash<T>{}(value), key.value.index());
        }
      },
      key.value);
}

bool same_scalar(const Scalar& a, const Scalar& b) {
  if (a.index() != b.index()) return false;
  if (const auto* x = std::get_if<double>(&a)) {
    const double y = std::get<double>(b);
    if (std::isnan(*x)) return std::isnan(y);
    return *x == y && std::signbit(*x) == std::signbit(y);
  }
  return a == b;
}

}  // namespace

// Open addressing over positions, so that it stays right in copies of the map.
struct Node::Index {
  std::vector<uint32_t> slots;  // position + 1, 0 = free
  size_t used = 0;

  template <typename Equal>
  const uint32_t* find(size_t hash, Equal equal) const {
    const size_t mask = slots.size() - 1;
    for (size_t i = hash & mask; slots[i] != 0; i = (i + 1) & mask) {
      if (equal(slots[i] - 1)) return &slots[i];
    }
    return nullptr;
  }
  void insert(size_t hash, size_t position) {
    const size_t mask = slots.size() - 1;
    size_t i = hash & mask;
    while (slots[i] != 0) i = (i + 1) & mask;
    slots[i] = static_cast<uint32_t>(position + 1);
    ++used;
  }
  static std::shared_ptr<const Index> build(const std::vector<Entry>& entries) {
    auto index = std::make_shared<Index>();
    size_t capacity = 32;
    while (capacity < entries.size() * 4) capacity *= 2;
    index->slots.assign(capacity, 0);
    for (size_t i = 0; i < entries.size(); ++i) index->insert(hash_key(entries[i].first), i);
    return index;
  }
};

std::string Origin::text() const {
  if (source == nullptr) return {};
  if (line == 0) return "command line: " + *source;
  return *source + ":" + std::to_string(line) + ":" + std::to_string(column);
}

const std::string* intern_source(std::string_view name) {
  static std::mutex mutex;
  static auto* const names = new std::set<std::string, std::less<>>();  // never freed: origins outlive static objects
  std::lock_guard lock(mutex);
  auto found = names->find(name);
  if (found == names->end()) found = names->emplace(name).first;
  return &*found;
}

bool Key::operator==(const Key& other) const {
  if (value.index() != other.value.index()) return false;
  if (const auto* x = std::get_if<double>(&value)) {
    const double y = std::get<double>(other.value);
    return *x == y || (std::isnan(*x) && std::isnan(y));
  }
  return value == other.value;
}

bool Key::is_string(std::string_view text) const {
  const auto* own = std::get_if<std::string>(&value);
  return own != nullptr && *own == text;
}

std::string Key::text() const {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return "None";
        } else if constexpr (std::is_same_v<T, bool>) {
          return v ? "True" : "False";
        } else if constexpr (std::is_same_v<T, int64_t>) {
          return std::to_string(v);
        } else if constexpr (std::is_same_v<T, double>) {
          return python_float_text(v);
        } else if constexpr (std::is_same_v<T, Bytes>) {
          return v.data;
        } else if constexpr (std::is_same_v<T, EnumMember>) {
          return v.name;
        } else {
          return v;
        }
      },
      value);
}

bool same_python_key(const Key& a, const Key& b) {
  const auto number = [](const Scalar& value) -> std::optional<double> {
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? 1.0 : 0.0;
    if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<double>(*integer);
    if (const auto* real = std::get_if<double>(&value)) return *real;
    return std::nullopt;
  };
  if (a.value.index() == b.value.index()) return a == b;
  const auto x = number(a.value), y = number(b.value);
  return x && y && *x == *y;
}

Node Node::scalar(Scalar value, Origin origin) {
  Node node;
  node.scalar_ = std::move(value);
  node.origin_ = origin;
  return node;
}

Node Node::list(Origin origin) {
  Node node;
  node.kind_ = Kind::kList;
  node.origin_ = origin;
  return node;
}

Node Node::map(Origin origin) {
  Node node;
  node.kind_ = Kind::kMap;
  node.origin_ = origin;
  return node;
}

bool Node::is_missing() const {
  const auto* text = std::get_if<std::string>(&scalar_);
  return text != nullptr && is_scalar() && *text == "???";
}

bool Node::is_interpolation() const {
  const auto* text = std::get_if<std::string>(&scalar_);
  if (text == nullptr || !is_scalar()) return false;
  const char* const end = text->data() + text->size();
  for (const char* p = text->data(); p < end; ++p) {
    p = static_cast<const char*>(std::memchr(p, '$', static_cast<size_t>(end - p)));
    if (p == nullptr) return false;
    if (p + 1 < end && p[1] == '{') return true;
  }
  return false;
}

size_t Node::size() const {
  switch (kind_) {
    case Kind::kScalar: return 0;
    case Kind::kList: return items_.size();
    case Kind::kMap: return entries_.size();
  }
  return 0;
}

const Node* Node::find(const Key& key) const {
  if (const auto* text = std::get_if<std::string>(&key.value)) return find(std::string_view(*text));
  if (index_) {
    const auto* slot = index_->find(hash_key(key), [&](size_t i) { return entries_[i].first == key; });
    return slot == nullptr ? nullptr : &entries_[*slot - 1].second;
  }
  for (const auto& [own, node] : entries_) {
    if (own == key) return &node;
  }
  return nullptr;
}

const Node* Node::find(std::string_view key) const {
  // Without an index (small, or just edited by hand) this scans: building one here would not be thread-safe.
  if (index_) {
    const auto* slot = index_->find(hash_text(key), [&](size_t i) { return entries_[i].first.is_string(key); });
    return slot == nullptr ? nullptr : &entries_[*slot - 1].second;
  }
  for (const auto& entry : entries_) {
    const auto* own = std::get_if<std::string>(&entry.first.value);
    if (own != nullptr && own->size() == key.size() && std::memcmp(own->data(), key.data(), key.size()) == 0) {
      return &entry.second;
    }
  }
  return nullptr;
}

Node* Node::find(const Key& key) {
  if (!index_ && entries_.size() >= kIndexedFrom) index_ = Index::build(entries_);
  return const_cast<Node*>(std::as_const(*this).find(key));
}

Node* Node::find(std::string_view key) {
  if (!index_ && entries_.size() >= kIndexedFrom) index_ = Index::build(entries_);
  return const_cast<Node*>(std::as_const(*this).find(key));
}

Node& Node::set(Key key, Node value) {
  if (Node* present = find(key)) {
    *present = std::move(value);
    return *present;
  }
  entries_.emplace_back(std::move(key), std::move(value));
  if (index_) {
    if (index_.use_count() == 1 && (index_->used + 1) * 2 <= index_->slots.size()) {
      std::atomic_thread_fence(std::memory_order_acquire);  // a copy may have let go of it in another thread
      const_cast<Index&>(*index_).insert(hash_key(entries_.back().first), entries_.size() - 1);
    } else {
      index_ = Index::build(entries_);
    }
  } else if (entries_.size() >= kIndexedFrom) {
    index_ = Index::build(entries_);
  }
  return entries_.back().second;
}

bool Node::erase(const Key& key) {
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->first == key) {
      entries_.erase(it);
      index_.reset();
      if (entries_.size() >= kIndexedFrom) index_ = Index::build(entries_);
      return true;
    }
  }
  return false;
}

Node& Node::append(Node value) { return items_.emplace_back(std::move(value)); }

bool operator==(const Node& a, const Node& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Node::Kind::kScalar: return same_scalar(a.value(), b.value());
    case Node::Kind::kList: return a.items() == b.items();
    case Node::Kind::kMap: return a.entries() == b.entries();
  }
  return false;
}

std::vector<std::string> nearest_keys(const Node& map, std::string_view key) {
  std::vector<std::string> known;
  for (const auto& [own, node] : map.entries()) known.push_back(own.text());
  return nearest_names(key, known);
}

}  // namespace fathom::config
