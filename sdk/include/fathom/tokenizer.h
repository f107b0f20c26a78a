// Kind `tokenizer`: text to ids and back. Uses no torch; all functions may be called from many threads at once.
#pragma once

#include "fathom/abi/tokenizer.h"
#include "fathom/plugin.h"

namespace fathom {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  virtual std::vector<int64_t> encode(std::string_view text) const = 0;
  virtual std::string decode(const std::vector<int64_t>& ids) const = 0;
  // One id as it is stored ("▁the").
  virtual std::string piece(int64_t id) const = 0;
};

namespace tokenizer_detail {

inline const Tokenizer& tokenizer(void* self) { return *static_cast<Tokenizer*>(self); }

inline const fathom_tokenizer_v1* vtable() {
  static const fathom_tokenizer_v1 table = {
      sizeof(fathom_tokenizer_v1),
      [](void* self, int64_t* size) { return guard([&] { *size = tokenizer(self).vocab_size(); }); },
      [](void* self, fathom_str text, const fathom_ids_sink* out) {
        return guard([&] {
          const std::vector<int64_t> ids = tokenizer(self).encode(to_view(text));
          out->write(out->ctx, ids.data(), ids.size());
        });
      },
      [](void* self, const int64_t* ids, size_t count, const fathom_text_sink* text) {
        return guard([&] { write(text, tokenizer(self).decode(std::vector<int64_t>(ids, ids + count))); });
      },
      [](void* self, int64_t id, const fathom_text_sink* text) {
        return guard([&] { write(text, tokenizer(self).piece(id)); });
      }};
  return &table;
}

}  // namespace tokenizer_detail

template <typename T>
struct KindOf<T, std::enable_if_t<std::is_base_of_v<Tokenizer, T>>> {
  static constexpr fathom_kind kind = FATHOM_KIND_TOKENIZER;
  static const void* vtable() { return tokenizer_detail::vtable(); }
  static void describe(Json&) {}
  static fathom_status create(const fathom_create_args* args, void** self) {
    return create_component<T, Tokenizer>(args, self,
                                          [](auto options, const Json&, const std::string&, const Json& context) {
                                            return static_cast<Tokenizer*>(construct_raw<T>(options, context));
                                          });
  }
  static void destroy(void* self) { delete static_cast<Tokenizer*>(self); }
};

// A tokenizer on the caller's side.
class TokenizerHandle {
 public:
  explicit TokenizerHandle(fathom_object object) : handle_(object) {}
  int64_t vocab_size() const {
    int64_t size = 0;
    check(handle_.vtable().vocab_size(handle_.self(), &size));
    return size;
  }
  std::vector<int64_t> encode(std::string_view text) const {
    std::vector<int64_t> ids;
    const fathom_ids_sink sink = {&ids, [](void* ctx, const int64_t* data, size_t count) {
                                    auto& out = *static_cast<std::vector<int64_t>*>(ctx);
                                    out.insert(out.end(), data, data + count);
                                  }};
    check(handle_.vtable().encode(handle_.self(), to_abi(text), &sink));
    return ids;
  }
  std::string decode(const std::vector<int64_t>& ids) const {
    std::string text;
    const fathom_text_sink sink = text_sink(text);
    check(handle_.vtable().decode(handle_.self(), ids.data(), ids.size(), &sink));
    return text;
  }
  std::string piece(int64_t id) const {
    std::string text;
    const fathom_text_sink sink = text_sink(text);
    check(handle_.vtable().piece(handle_.self(), id, &sink));
    return text;
  }

 private:
  Handle<fathom_tokenizer_v1> handle_;
};

}  // namespace fathom
