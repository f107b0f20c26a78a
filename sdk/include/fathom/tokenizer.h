// Kind `tokenizer`: text to ids and back. Uses no torch; all functions may be called from many threads at once.
#pragma once

#include "fathom/abi/tokenizer.h"
#include "fathom/plugin.h"

namespace fathom {

namespace tokenizer_detail {
const void* table();
}

class Tokenizer {
 public:
  using ComponentKind = SimpleKind<Tokenizer, FATHOM_KIND_TOKENIZER, &tokenizer_detail::table>;
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  virtual std::vector<int64_t> encode(std::string_view text) const = 0;
  virtual std::string decode(const std::vector<int64_t>& ids) const = 0;
  // One id as it is stored ("▁the").
  virtual std::string piece(int64_t id) const = 0;
};

namespace tokenizer_detail {

inline const Tokenizer& tokenizer(void* self) { return *static_cast<Tokenizer*>(self); }

inline const void* table() {
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

// A tokenizer on the caller's side.
class TokenizerHandle {
 public:
  TokenizerHandle() = default;
  explicit TokenizerHandle(fathom_object object) : handle_(std::make_shared<Handle<fathom_tokenizer_v1>>(object)) {}
  explicit operator bool() const { return handle_ != nullptr; }
  std::string name() const { return handle_->name(); }
  fathom_object borrowed() const { return handle_->object(); }
  int64_t vocab_size() const {
    int64_t size = 0;
    check(handle_->vtable().vocab_size(handle_->self(), &size));
    return size;
  }
  std::vector<int64_t> encode(std::string_view text) const {
    std::vector<int64_t> ids;
    const fathom_ids_sink sink = {&ids, [](void* ctx, const int64_t* data, size_t count) {
                                    auto& out = *static_cast<std::vector<int64_t>*>(ctx);
                                    out.insert(out.end(), data, data + count);
                                  }};
    check(handle_->vtable().encode(handle_->self(), to_abi(text), &sink));
    return ids;
  }
  std::string decode(const std::vector<int64_t>& ids) const {
    std::string text;
    const fathom_text_sink sink = text_sink(text);
    check(handle_->vtable().decode(handle_->self(), ids.data(), ids.size(), &sink));
    return text;
  }
  std::string piece(int64_t id) const {
    std::string text;
    const fathom_text_sink sink = text_sink(text);
    check(handle_->vtable().piece(handle_->self(), id, &sink));
    return text;
  }

 private:
  std::shared_ptr<Handle<fathom_tokenizer_v1>> handle_;
};

// A tokenizer made by name, of any plugin.
inline TokenizerHandle make_tokenizer(const Json& config, const std::string& config_path) {
  return TokenizerHandle(create_object(1u << FATHOM_KIND_TOKENIZER, config, config_path));
}

}  // namespace fathom
