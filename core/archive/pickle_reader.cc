#include "core/archive/pickle_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "core/archive/pickle_bounds.h"
#include "core/archive/pickle_globals.h"
#include "core/archive/pickle_graph.h"
#include "core/archive/pickle_numbers.h"
#include "core/base/text.h"
#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::checkpoint {
class PickleReader {
 public:
  PickleReader(std::string_view bytes, const PickleOptions& options)
      : bytes_(bytes), options_(options), copies_(bytes.size()) {}

  ~PickleReader() {
    // Containers may hold each other, or be nested deeper than a destructor may recurse.
    stack_.clear();
    memo_.clear();
    for (const auto& value : arena_) {
      if (!reachable_.contains(value.identity())) empty(value);
    }
  }

  PickleReadResult read() {
    try {
      while (!done_) step();
    } catch (const Error& error) {  // of a value, which does not know where it stands
      if (error.where().empty()) fail(error.message(), error.seen());
      throw;
    }
    PickleReadResult result;
    result.value = pop();
    try {
      reachable_ = check_pickle_graph(result.value, at_);
    } catch (const Error& error) {
      fail(error.message());
    }
    result.storages = std::move(storages_);
    result.consumed = at_;
    return result;
  }

 private:
  using Kind = PickleValue::Kind;

  [[noreturn]] void fail(std::string what, std::string seen = {}) const {
    throw Error(Code::kBadData, "not a readable checkpoint: " + std::move(what))
        .at(fmt::format("{} (pickle byte {})", options_.source, op_at_))
        .seen(std::move(seen))
        .next("the file is damaged or was not written by torch.save; take another copy of it");
  }

  // --- input ---
  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) fail("the pickle ends in the middle of a value");
    const std::string_view part = bytes_.substr(at_, count);
    at_ += count;
    return part;
  }
  template <typename T>
  T number() {
    const std::string_view part = take(sizeof(T));
    T value;
    std::memcpy(&value, part.data(), sizeof value);
    return value;
  }
  std::string_view line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("the pickle ends in the middle of a line");
    const std::string_view part = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return part;
  }

  // --- stack and memo ---
  PickleValue pop() {
    if (stack_.size() <= floor()) fail("the pickle takes a value from an empty stack");
    PickleValue value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }
  PickleValue& top() {
    if (stack_.size() <= floor()) fail("the pickle uses a value of an empty stack");
    return stack_.back();
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleList pop_to_mark() {
    if (marks_.empty()) fail("the pickle closes a group that it did not open");
    const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    PickleList items(std::make_move_iterator(from), std::make_move_iterator(stack_.end()));
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  void push(PickleValue value) { stack_.push_back(std::move(value)); }
  void push_new(PickleValue container) {
    arena_.push_back(container);
    stack_.push_back(std::move(container));
  }
  void memo_put(uint64_t index) {
    // Pickle numbers its memo from 0 on, so an index beyond the number of bytes cannot be honest.
    if (index > bytes_.size()) fail("memo index out of range", std::to_string(index));
    if (index >= memo_.size())
      memo_.resize(std::min<size_t>(std::max<size_t>(index + 1, memo_.size() * 2), bytes_.size() + 1));
    memo_[index] = top();
    memo_set_.resize(memo_.size());
    if (!memo_set_[index]) ++memo_count_;
    memo_set_[index] = true;
  }
  void memo_get(uint64_t index) {
    if (index >= memo_.size() || !memo_set_[index])
      fail("the pickle uses a memo entry that was not set", std::to_string(index));
    push(memo_[index]);
  }

  static void empty(const PickleValue& value) {
    PickleValue handle = value;
    switch (handle.kind()) {
      case Kind::kList:
      case Kind::kTuple:
      case Kind::kSet: handle.mutable_items().clear(); break;
      case Kind::kDict: handle.mutable_dict().clear(); break;
      case Kind::kObject: handle.mutable_object() = PickleObject(); break;
      default: break;
    }
  }

  // --- opcodes ---
  void step() {
    op_at_ = at_;
    const auto op = static_cast<uint8_t>(take(1)[0]);
    switch (op) {
      case 0x80:  // PROTO
        if (const auto protocol = number<uint8_t>(); protocol > 5)
          fail("unknown pickle protocol", std::to_string(protocol));
        return;
      case 0x95: {  // FRAME: only a hint for buffered reading
        const auto size = number<uint64_t>();
        if (size > bytes_.size() - at_) fail("the pickle ends in the middle of a frame");
        return;
      }
      case '.': done_ = true; return;
      case '(': marks_.push_back(stack_.size()); return;
      case '0':  // POP, which also takes away a mark
        if (!marks_.empty() && marks_.back() == stack_.size()) {
          marks_.pop_back();
        } else {
          pop();
        }
        return;
      case '1': pop_to_mark(); return;
      case '2': push(top()); return;
      case 'N': push({}); return;
      case 0x88: push(true); return;
      case 0x89: push(false); return;
      case 'K': push(static_cast<int64_t>(number<uint8_t>())); return;
      case 'M': push(static_cast<int64_t>(number<uint16_t>())); return;
      case 'J': push(static_cast<int64_t>(number<int32_t>())); return;
      case 0x8a: integer(number<uint8_t>()); return;
      case 0x8b: integer(number<uint32_t>()); return;  // a negative count reads as more than 2 GiB
      case 'G': {
        const uint64_t big = number<uint64_t>();
        push(std::bit_cast<double>(__builtin_bswap64(big)));
        return;
      }
      case 'X': text(number<uint32_t>()); return;
      case 0x8c: text(number<uint8_t>()); return;
      case 0x8d: text(number<uint64_t>()); return;
      case 'B': push(PickleValue::bytes(std::string(take(number<uint32_t>())))); return;
      case 'C': push(PickleValue::bytes(std::string(take(number<uint8_t>())))); return;
      case 0x8e:
      case 0x96: push(PickleValue::bytes(std::string(take(number<uint64_t>())))); return;
      case 'U': text(number<uint8_t>()); return;  // Python 2's str; torch.save wrote ASCII there
      case 'T': text(number<uint32_t>()); return;
      case ')': push_new(PickleValue::tuple()); return;
      case ']': push_new(PickleValue::list()); return;
      case '}': push_new(PickleValue::dict()); return;
      case 0x8f: push_new(PickleValue::set()); return;
      case 't': push_new(PickleValue::tuple(pop_to_mark())); return;
      case 0x85:
      case 0x86:
      case 0x87: small_tuple(op - 0x84); return;
      case 'l': push_new(PickleValue::list(pop_to_mark())); return;
      case 'd': {
        const PickleList items = pop_to_mark();
        push_new(PickleValue::dict());
        set_items(items);
        return;
      }
      case 0x91: push_new(PickleValue::set(pop_to_mark())); return;  // FROZENSET
      case 'a': {
        PickleList one;
        one.push_back(pop());
        append(std::move(one));
        return;
      }
      case 'e': append(pop_to_mark()); return;
      case 's': {
        PickleValue value = pop();
        PickleValue key = pop();
        set_items({std::move(key), std::move(value)});
        return;
      }
      case 'u': set_items(pop_to_mark()); return;
      case 0x90: {  // ADDITEMS
        PickleList items = pop_to_mark();
        if (top().kind() != Kind::kSet)
          fail("the pickle adds to something that is no set", std::string(top().kind_name()));
        PickleList& set = top().mutable_items();
        set.insert(set.end(), std::make_move_iterator(items.begin()), std::make_move_iterator(items.end()));
        return;
      }
      case 'q': memo_put(number<uint8_t>()); return;
      case 'r': memo_put(number<uint32_t>()); return;
      case 0x94: memo_put(memo_count_); return;
      case 'h': memo_get(number<uint8_t>()); return;
      case 'j': memo_get(number<uint32_t>()); return;
      case 'c': {
        const std::string_view module = line();
        const std::string_view name = line();
        global(module, name);
        return;
      }
      case 0x93: {
        const PickleValue name = pop();
        const PickleValue module = pop();
        if (!module.is_string() || !name.is_string()) fail("a global is named by something that is no text");
        global(module.as_string(), name.as_string());
        return;
      }
      case 'R': {
        const PickleValue arguments = pop();
        const PickleValue callee = pop();
        reduce(callee, arguments);
        return;
      }
      case 0x81: {
        const PickleValue arguments = pop();
        const PickleValue cls = pop();
        new_object(cls, arguments);
        return;
      }
      case 0x92: {
        pop();  // keyword arguments: data of an object we do not build
        const PickleValue arguments = pop();
        const PickleValue cls = pop();
        new_object(cls, arguments);
        return;
      }
      case 'b': build(); return;
      case 'Q': persistent(pop()); return;
      default: fail("unknown pickle opcode", fmt::format("0x{:02x}", op));
    }
  }

  void text(uint64_t size) {
    const std::string_view part = take(size);
    if (!utf8::is_valid(part)) fail("a text of the pickle is not UTF-8");
    push(PickleValue(part));
  }

  void integer(uint64_t size) {
    if (size > kMaxIntegerBytes) fail("an integer of the pickle is too long", fmt::format("{} bytes", size));
    push(integer_of(take(size)));
  }

  void small_tuple(int count) {
    PickleList items(static_cast<size_t>(count));
    for (int i = count; i-- > 0;) items[static_cast<size_t>(i)] = pop();
    push_new(PickleValue::tuple(std::move(items)));
  }

  void append(PickleList items) {
    PickleValue& target = top();
    if (target.kind() == Kind::kObject && !target.as_object().is_class) {
      auto& content = target.mutable_object().content;
      if (!content || content->kind() != Kind::kList) {
        content = PickleValue::list();
        arena_.push_back(*content);
      }
      PickleList& list = content->mutable_items();
      list.insert(list.end(), items.begin(), items.end());
      return;
    }
    if (target.kind() != Kind::kList)
      fail("the pickle appends to something that is no list", std::string(target.kind_name()));
    PickleList& list = target.mutable_items();
    list.insert(list.end(), std::make_move_iterator(items.begin()), std::make_move_iterator(items.end()));
  }

  void set_items(const PickleList& items) {
    if (items.size() % 2 != 0) fail("the pickle sets a key without a value");
    PickleValue& target = top();
    PickleDict* dict = nullptr;
    if (target.is_dict()) {
      dict = &target.mutable_dict();
    } else if (target.kind() == Kind::kObject && !target.as_object().is_class) {
      auto& content = target.mutable_object().content;
      if (!content || !content->is_dict()) {
        content = PickleValue::dict();
        arena_.push_back(*content);
      }
      dict = &content->mutable_dict();
    } else {
      fail("the pickle sets a key of something that is no dict", std::string(target.kind_name()));
    }
    for (size_t i = 0; i < items.size(); i += 2) {
      copies_.spend_key(items[i]);
      dict->set(items[i], items[i + 1]);
    }
  }

  // --- globals ---
  void global(std::string_view module, std::string_view name) {
    std::string full = fmt::format("{} {}", module, name);
    if (const auto known = globals_.find(full); known != globals_.end()) {
      push(known->second);
      return;
    }
    const GlobalMeaning meaning = meaning_of_global(module, name);
    const bool lenient = options_.unknown_globals == PickleOptions::UnknownGlobals::kAsObjects;
    if (meaning.role == GlobalRole::kForbidden || (meaning.role == GlobalRole::kUnknownClass && !lenient)) {
      throw Error(Code::kBadData, "the checkpoint names a Python class or function that is not allowed in a checkpoint")
          .at(fmt::format("{} (pickle byte {})", options_.source, op_at_))
          .seen(fmt::format("{}.{}", module, name))
          .expected("tensors, dicts, lists, numbers, text, and configuration classes of NeMo, Lightning and OmegaConf")
          .next("nothing was run; if you trust the file, write it again in Python without that object");
    }
    if (!utf8::is_valid(full)) fail("a global's name is not UTF-8");
    PickleValue value;
    if (meaning.role == GlobalRole::kDtype) {
      value = PickleValue(meaning.dtype);
    } else {
      PickleObject object;
      object.module = std::string(module);
      object.name = std::string(name);
      object.is_class = true;
      value = PickleValue(std::move(object));
      meanings_.emplace(value.identity(), meaning);
    }
    globals_.emplace(std::move(full), value);
    push(std::move(value));
  }

  GlobalMeaning meaning_of(const PickleValue& callee) const {
    const auto it = meanings_.find(callee.identity());
    if (it == meanings_.end()) fail("the pickle calls something that is no global", std::string(callee.kind_name()));
    return it->second;
  }

  void reduce(const PickleValue& callee, const PickleValue& arguments) {
    const GlobalMeaning meaning = meaning_of(callee);
    if (arguments.kind() != Kind::kTuple) fail("the pickle calls a global with something that is no tuple");
    push(call(callee, meaning, arguments));
  }

  const PickleValue& argument(const PickleValue& arguments, size_t i) const {
    if (i >= arguments.items().size()) fail("a global of the pickle has too few arguments");
    return arguments.items()[i];
  }

  PickleValue track(PickleValue value) {
    arena_.push_back(value);
    return value;
  }

  PickleValue call(const PickleValue& callee, const GlobalMeaning& meaning, const PickleValue& arguments) {
    const PickleList& args = arguments.items();
    switch (meaning.role) {
      case GlobalRole::kOrderedDict: return dict_of(PickleDict::Class::kOrderedDict, args, 0);
      case GlobalRole::kDefaultDict: return dict_of(PickleDict::Class::kDefaultDict, args, 1);
      case GlobalRole::kCounter: return dict_of(PickleDict::Class::kDict, args, 0);
      case GlobalRole::kDeque:
      case GlobalRole::kSize: {
        PickleList items;
        if (!args.empty()) {
          if (!args[0].is_sequence()) fail("a list is made of something that is no list");
          copies_.spend(args[0].items());
          items = args[0].items();
        }
        return track(meaning.role == GlobalRole::kSize ? PickleValue::tuple(std::move(items))
                                                       : PickleValue::list(std::move(items)));
      }
      case GlobalRole::kRebuildTensor: return tensor(arguments, false, {});
      case GlobalRole::kRebuildTensorV2: return tensor(arguments, flag(argument(arguments, 4)), {});
      case GlobalRole::kRebuildTensorV3: {
        const PickleValue& dtype = argument(arguments, 6);
        if (dtype.kind() != Kind::kDtype) fail("a tensor's dtype is no dtype");
        return tensor(arguments, flag(argument(arguments, 4)), dtype.as_dtype());
      }
      case GlobalRole::kRebuildParameter:
      case GlobalRole::kRebuildParameterWithState: {
        const PickleValue& data = argument(arguments, 0);
        if (!data.is_tensor()) fail("a parameter is made of something that is no tensor");
        PickleTensor parameter = data.as_tensor();
        parameter.is_parameter = true;
        parameter.requires_grad = flag(argument(arguments, 1));
        return PickleValue(std::move(parameter));
      }
      case GlobalRole::kRebuildFromType: {  // (function, type, arguments, state)
        const PickleValue& function = argument(arguments, 0);
        if (meaning_of(argument(arguments, 1)).role != GlobalRole::kTensorClass) {
          fail("a tensor of an unknown class", argument(arguments, 1).as_object().full_name());
        }
        const GlobalMeaning inner = meaning_of(function);
        if (inner.role < GlobalRole::kRebuildTensor || inner.role > GlobalRole::kRebuildParameterWithState ||
            argument(arguments, 2).kind() != Kind::kTuple) {
          fail("a tensor is rebuilt by something unknown");
        }
        return call(function, inner, argument(arguments, 2));
      }
      case GlobalRole::kCodecsEncode: {
        if (!argument(arguments, 0).is_string()) fail("bytes are made of something that is no text");
        copies_.spend(args[0].as_string().size());
        return PickleValue::bytes(latin1(args[0].as_string()));
      }
      case GlobalRole::kGetItem: {  // typing.List[int]
        const PickleValue& cls = argument(arguments, 0);
        if (cls.kind() != Kind::kObject || !cls.as_object().module.starts_with("typing"))
          fail("a call of operator.getitem");
        return cls;
      }
      case GlobalRole::kReconstructor: {  // (class, base, state)
        const PickleValue& cls = argument(arguments, 0);
        if (meaning_of(cls).role < GlobalRole::kUnknownClass || meaning_of(cls).role > GlobalRole::kDataClass) {
          fail("an object of a class that has none");
        }
        return object_of(cls, PickleValue());
      }
      case GlobalRole::kBuiltinType: return builtin(callee.as_object(), arguments);
      case GlobalRole::kNumpyScalar: return numpy_scalar(argument(arguments, 0), argument(arguments, 1));
      case GlobalRole::kUnknownClass:
      case GlobalRole::kDataClass:
      case GlobalRole::kDevice:
      case GlobalRole::kLayout:
      case GlobalRole::kNumpyDtype: return object_of(callee, arguments);
      default: fail("the pickle calls a class that cannot be called", callee.as_object().full_name());
    }
  }

  bool flag(const PickleValue& value) const {
    if (value.kind() != Kind::kBool) fail("a tensor's requires_grad is no bool");
    return value.as_bool();
  }

  PickleValue dict_of(PickleDict::Class cls, const PickleList& args, size_t from) {
    PickleValue dict = track(PickleValue(PickleDict(cls)));
    if (args.size() <= from) return dict;
    push(dict);
    const PickleValue& content = args[from];
    PickleList items;
    if (content.is_dict()) {
      copies_.spend(content.as_dict().size() * 2 * sizeof(PickleValue));
      for (const auto& [key, value] : content.as_dict()) items.insert(items.end(), {key, value});
    } else if (content.kind() == Kind::kList) {  // pairs
      copies_.spend(content.items());
      for (const auto& pair : content.items()) {
        if (!pair.is_sequence() || pair.items().size() != 2) fail("a dict is made of something that is no pair");
        items.insert(items.end(), pair.items().begin(), pair.items().end());
      }
    } else {
      fail("a dict is made of something that is none", std::string(content.kind_name()));
    }
    set_items(items);
    return pop();
  }

  PickleValue object_of(const PickleValue& cls, const PickleValue& arguments) {
    PickleObject object;
    copies_.spend(cls.as_object().module.size() + cls.as_object().name.size());
    object.module = cls.as_object().module;
    object.name = cls.as_object().name;
    if (arguments.kind() == Kind::kTuple && !arguments.items().empty()) object.arguments = arguments;
    if (object.module.starts_with("pathlib") && !object.arguments.is_none()) {
      std::string path;
      for (const auto& part : object.arguments.items()) {
        if (!part.is_string()) fail("a path is made of something that is no text");
        copies_.spend(part.as_string().size());
        if (!path.empty() && path.back() != '/') path += '/';
        path += part.as_string();
      }
      object.content = PickleValue(std::move(path));
    }
    return track(PickleValue(std::move(object)));
  }

  PickleValue builtin(const PickleObject& type, const PickleValue& arguments) {
    const PickleList& args = arguments.items();
    const std::string& name = type.name;
    if (type.module == "torch") fail("a memory format is called");
    if (name == "dict") return dict_of(PickleDict::Class::kDict, args, 0);
    if (name == "set" || name == "frozenset" || name == "list" || name == "tuple") {
      PickleList items;
      if (!args.empty()) {
        if (!args[0].is_sequence() && args[0].kind() != Kind::kSet)
          fail("a collection is made of something that is none");
        copies_.spend(args[0].items());
        items = args[0].items();
      }
      if (name == "list") return track(PickleValue::list(std::move(items)));
      if (name == "tuple") return track(PickleValue::tuple(std::move(items)));
      return track(PickleValue::set(std::move(items)));
    }
    if (name == "bytes" || name == "bytearray") {
      if (args.empty()) return PickleValue::bytes({});
      if (args[0].kind() == Kind::kBytes) return args[0];
      if (args[0].is_string()) {
        copies_.spend(args[0].as_string().size());
        return PickleValue::bytes(latin1(args[0].as_string()));
      }
      fail("bytes are made of something that is neither bytes nor text");
    }
    if (name == "complex" || name == "slice") {
      PickleObject object;
      object.module = "builtins";
      object.name = name;
      object.arguments = arguments;
      return track(PickleValue(std::move(object)));
    }
    fail("a call of a builtin type", name);
  }

  PickleValue numpy_scalar(const PickleValue& dtype, const PickleValue& data) {
    if (dtype.kind() != Kind::kObject || dtype.as_object().name != "dtype" || dtype.as_object().arguments.is_none() ||
        !dtype.as_object().arguments.items()[0].is_string() || data.kind() != Kind::kBytes) {
      fail("a numpy number of an unknown form");
    }
    const std::string& code = dtype.as_object().arguments.items()[0].as_string();
    const PickleValue& state = dtype.as_object().state;
    const bool big_endian = state.kind() == Kind::kTuple && state.items().size() > 1 && state.items()[1].is_string() &&
                            state.items()[1].as_string() == ">";
    if (auto number = numpy_number(code, data.as_string(), big_endian)) return *std::move(number);
    fail("a numpy number of an unknown type", code);
  }

  void new_object(const PickleValue& cls, const PickleValue& arguments) {
    const GlobalMeaning meaning = meaning_of(cls);
    if (arguments.kind() != Kind::kTuple) fail("the pickle makes an object from something that is no tuple");
    switch (meaning.role) {
      case GlobalRole::kUnknownClass:
      case GlobalRole::kDataClass: push(object_of(cls, arguments)); return;
      case GlobalRole::kOrderedDict:
      case GlobalRole::kDefaultDict:
      case GlobalRole::kSize:
      case GlobalRole::kBuiltinType: push(call(cls, meaning, arguments)); return;
      default: fail("the pickle makes an object of a class that has none", cls.as_object().full_name());
    }
  }

  // object.__setstate__(state), for the few kinds that have one
  void build() {
    const PickleValue state = pop();
    PickleValue& target = top();
    if (target.is_dict() && target.as_dict().cls() != PickleDict::Class::kDict) {
      if (!state.is_dict()) fail("the attributes of a dict are no dict", std::string(state.kind_name()));
      target.mutable_dict().attributes = state;
      return;
    }
    if (target.kind() != Kind::kObject || target.as_object().is_class) {
      fail("the pickle sets the state of a value that has none", std::string(target.kind_name()));
    }
    PickleObject& object = target.mutable_object();
    if (object.module.starts_with("omegaconf.")) {
      // A node's parent points back at its container; what the node holds is all that is wanted.
      if (!state.is_dict()) fail("an omegaconf node of an unknown form", object.full_name());
      if (const PickleValue* content = state.as_dict().find("_content")) {
        object.content = without_nodes(*content);
      } else if (const PickleValue* value = state.as_dict().find("_val")) {
        object.content = value->plain();
      }
      return;
    }
    object.state = state;
    if (state.is_dict() && !object.content) object.content = state;
  }

  // The content of an omegaconf container with each child node replaced by what it holds.
  PickleValue without_nodes(const PickleValue& content) {
    if (content.is_dict()) {
      PickleValue out = track(PickleValue::dict());
      copies_.spend(content.as_dict().size() * 2 * sizeof(PickleValue));
      for (const auto& [key, value] : content.as_dict()) {
        copies_.spend_key(key);
        out.mutable_dict().set(key, value.plain());
      }
      return out;
    }
    if (content.is_sequence()) {
      copies_.spend(content.items());
      PickleValue out = track(PickleValue::list());
      for (const auto& value : content.items()) out.mutable_items().push_back(value.plain());
      return out;
    }
    return content;  // None, or a text: "???" or an interpolation
  }

  // --- tensors ---
  void persistent(const PickleValue& id) {
    if (id.kind() != Kind::kTuple) fail("a storage reference is no tuple");
    const PickleList& parts = id.items();
    if ((parts.size() != 5 && parts.size() != 6) || !parts[0].is_string() || parts[0].as_string() != "storage" ||
        !parts[2].is_string() || !parts[3].is_string() || parts[4].kind() != Kind::kInt) {
      fail("a storage reference of an unknown form");
    }
    if (parts.size() == 6 && !parts[5].is_none())
      fail("a storage that is a view of another (torch 0.3) is not supported");
    TensorDtype dtype = TensorDtype::kUInt8;
    bool untyped = false;
    const GlobalMeaning meaning = meaning_of(parts[1]);
    if (meaning.role == GlobalRole::kUntypedStorage) {
      untyped = true;
    } else if (meaning.role == GlobalRole::kStorageClass) {
      dtype = meaning.dtype;
    } else {
      fail("a storage of an unknown class");
    }
    const uint64_t size = storage_bytes(parts[4].as_int(), dtype);
    auto& storage = by_key_[parts[2].as_string()];
    if (!storage) {
      storage = std::make_shared<PickleStorage>();
      storage->key = parts[2].as_string();
      storage->dtype = dtype;
      storage->location = parts[3].as_string();
      storage->size = size;
      storages_.push_back(storage);
    } else if (storage->size != size) {
      fail("a storage is given two sizes", storage->key);
    }
    push(PickleValue::storage(storage, dtype, untyped));
  }

  PickleValue tensor(const PickleValue& arguments, bool requires_grad, std::optional<TensorDtype> dtype) {
    const PickleValue& reference = argument(arguments, 0);
    const auto* held = std::get_if<std::shared_ptr<PickleValue::StorageRef>>(&reference.data_);
    if (held == nullptr) fail("a tensor is made of something that is no storage");
    PickleTensor tensor;
    tensor.storage = (*held)->storage;
    tensor.dtype = dtype.value_or((*held)->dtype);
    tensor.requires_grad = requires_grad;
    if (argument(arguments, 1).kind() != Kind::kInt) fail("a tensor's offset is no integer");
    tensor.offset = arguments.items()[1].as_int();
    tensor.sizes = bounded_shape(argument(arguments, 2));
    tensor.strides = bounded_shape(argument(arguments, 3));
    copies_.spend((tensor.sizes.size() + tensor.strides.size()) * sizeof(int64_t));
    check_tensor_bounds(tensor);
    return PickleValue(std::move(tensor));
  }

  std::string_view bytes_;
  const PickleOptions& options_;
  size_t at_ = 0, op_at_ = 0;
  bool done_ = false;
  PickleList stack_;
  std::vector<size_t> marks_;
  PickleList memo_;
  std::vector<bool> memo_set_;
  size_t memo_count_ = 0;  // as MEMOIZE numbers
  CopyBudget copies_;
  PickleList arena_;  // every container made
  std::unordered_set<const void*> reachable_;
  std::unordered_map<std::string, PickleValue> globals_;
  std::unordered_map<const void*, GlobalMeaning> meanings_;
  std::unordered_map<std::string, std::shared_ptr<PickleStorage>> by_key_;
  std::vector<std::shared_ptr<PickleStorage>> storages_;
};

PickleReadResult read_pickle(std::string_view bytes, const PickleOptions& options) {
  PickleReader reader(bytes, options);
  return reader.read();
}

}  // namespace fathom::checkpoint
