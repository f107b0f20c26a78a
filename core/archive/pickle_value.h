// The values a checkpoint can hold: a closed set, read from and written to pickles by pickle_reader.h and
// pickle_writer.h.
//
// A PickleValue is a handle. Scalars are held in place; text, lists, dicts, tensors and objects are shared, as in
// Python: copying a value copies the reference, and a change through one handle is seen through the other. What the
// reader returns is acyclic, at most kMaxPickleDepth deep and small enough to be walked recursively.
//
// Not thread-safe for writing; reading from many threads is safe.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/archive/tensor_dtype.h"

namespace fathom::checkpoint {

class MappedFile;
class PickleValue;
class PickleDict;
struct PickleObject;
using PickleList = std::vector<PickleValue>;

inline constexpr size_t kMaxPickleDepth = 200;

// Memory that tensors look into. Two tensors share memory when they hold the same PickleStorage, or two whose bytes
// start at the same address.
struct PickleStorage {
  std::string key;                           // its name in the file ("0"); ignored when writing
  TensorDtype dtype = TensorDtype::kUInt8;   // the class it was stored under; kUInt8 for an untyped one
  std::string location = "cpu";              // the device it was saved from, for information only
  uint64_t size = 0;                         // bytes, as the pickle says
  std::string_view bytes;                    // little endian; empty until a container filled it in
  std::shared_ptr<const void> owner;         // keeps `bytes` alive
  std::shared_ptr<const MappedFile> mapped;  // where `bytes` are a part of this file as it is
  // What torch_file.h made over `bytes`: the c10::Storage, or a weak pointer to it where they are mapped.
  std::shared_ptr<void> torch_storage;
};

struct PickleTensor {
  std::shared_ptr<PickleStorage> storage;
  TensorDtype dtype = TensorDtype::kFloat32;
  int64_t offset = 0;                   // elements from the start of the storage
  std::vector<int64_t> sizes, strides;  // elements; strides are never negative
  bool requires_grad = false;
  bool is_parameter = false;  // stored as torch.nn.Parameter

  int64_t numel() const;
  bool is_contiguous() const;
};

class PickleValue {
 public:
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInt,
    kFloat,
    kBigInt,
    kString,
    kBytes,
    kList,
    kTuple,
    kSet,
    kDict,
    kTensor,
    kDtype,
    kObject,
    kStorage
  };

  PickleValue() = default;                                                  // None
  PickleValue(bool value) : data_(value) {}                                 // NOLINT: literals are values
  PickleValue(int value) : data_(static_cast<int64_t>(value)) {}            // NOLINT
  PickleValue(int64_t value) : data_(value) {}                              // NOLINT
  PickleValue(double value) : data_(value) {}                               // NOLINT
  PickleValue(std::string value);                                           // NOLINT
  PickleValue(std::string_view value) : PickleValue(std::string(value)) {}  // NOLINT
  PickleValue(const char* value) : PickleValue(std::string(value)) {}       // NOLINT
  PickleValue(TensorDtype value) : data_(value) {}                          // NOLINT
  PickleValue(PickleTensor tensor);                                         // NOLINT
  PickleValue(PickleDict dict);                                             // NOLINT
  PickleValue(PickleObject object);                                         // NOLINT

  static PickleValue bytes(std::string data);
  static PickleValue big_int(std::string decimal);  // an integer beyond 64 bits
  static PickleValue list(PickleList items = {});
  static PickleValue tuple(PickleList items = {});
  static PickleValue set(PickleList items = {});
  static PickleValue dict();
  static PickleValue dict(std::initializer_list<std::pair<const char*, PickleValue>> entries);
  static PickleValue ordered_dict();
  static PickleValue storage(std::shared_ptr<PickleStorage> storage, TensorDtype dtype, bool untyped);

  Kind kind() const;
  bool is_none() const { return kind() == Kind::kNone; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_dict() const { return kind() == Kind::kDict; }
  bool is_tensor() const { return kind() == Kind::kTensor; }
  bool is_sequence() const { return kind() == Kind::kList || kind() == Kind::kTuple; }
  std::string_view kind_name() const;  // as Python names it: "NoneType", "str", "dict", "Tensor"

  // Accessors throw Error(kBadData) naming the kind seen when the value is of another kind. as_double takes integers.
  bool as_bool() const;
  int64_t as_int() const;
  double as_double() const;
  const std::string& as_string() const;  // also bytes and the digits of a big integer
  const PickleTensor& as_tensor() const;
  TensorDtype as_dtype() const;
  const PickleObject& as_object() const;
  const PickleList& items() const;  // list, tuple or set
  const PickleDict& as_dict() const;
  PickleList& mutable_items();
  PickleDict& mutable_dict();
  PickleObject& mutable_object();
  PickleTensor& mutable_tensor();

  // An object whose content is plain data (an omegaconf container, an argparse.Namespace, …) gives that data; every
  // other value gives itself.
  const PickleValue& plain() const;

  // Dict lookup by text, through plain(). find: null when absent or no dict; at: Error(kBadData) with the near names.
  const PickleValue* find(std::string_view key) const;
  const PickleValue& at(std::string_view key) const;

  // Identity of a shared value (a list, a dict, …); null for scalars.
  const void* identity() const;

 private:
  struct Text {
    Kind kind;
    std::string text;
  };
  struct Sequence {
    Kind kind;
    PickleList items;
  };
  struct StorageRef {
    std::shared_ptr<PickleStorage> storage;
    TensorDtype dtype;
    bool untyped;
  };
  friend class PickleReader;

  std::variant<std::monostate, bool, int64_t, double, TensorDtype, std::shared_ptr<Text>, std::shared_ptr<Sequence>,
               std::shared_ptr<PickleDict>, std::shared_ptr<PickleTensor>, std::shared_ptr<PickleObject>,
               std::shared_ptr<StorageRef>>
      data_;
};

// A dict in insertion order. Keys are what Python can hash: None, bool, int, float, str, bytes, dtypes and tuples of
// them; 1, 1.0 and True are one key, as in Python.
class PickleDict {
 public:
  using Entry = std::pair<PickleValue, PickleValue>;
  enum class Class : uint8_t { kDict, kOrderedDict, kDefaultDict };

  PickleDict() = default;
  explicit PickleDict(Class cls) : cls_(cls) {}

  Class cls() const { return cls_; }
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const { return entries_; }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

  const PickleValue* find(const PickleValue& key) const;
  const PickleValue* find(std::string_view key) const;
  const PickleValue* find(const char* key) const { return find(std::string_view(key)); }
  const PickleValue* find(const std::string& key) const { return find(std::string_view(key)); }
  // Adds at the end, or replaces in place. Error(kBadData) when the key cannot be one.
  void set(const PickleValue& key, PickleValue value);
  void clear();

  // Attributes of an OrderedDict: a state_dict carries {"_metadata": …}. None when there are none.
  PickleValue attributes;

 private:
  Class cls_ = Class::kDict;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;  // canonical key -> place, kept once there are several entries
};

// Something of a class we do not interpret, or a bare reference to a class: data to look at, never called.
struct PickleObject {
  std::string module, name;
  bool is_class = false;               // the class itself, no instance
  PickleValue arguments;               // tuple given to its constructor; None without
  PickleValue state;                   // what its __setstate__ would get; None without
  std::optional<PickleValue> content;  // its plain content, where the class is known to be a container

  std::string full_name() const { return module + "." + name; }
};

}  // namespace fathom::checkpoint
