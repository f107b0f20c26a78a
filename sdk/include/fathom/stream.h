// Models that infer while the input still comes ("fathom.stream/1").
//
//   class Model final : public fathom::Model, public fathom::Streaming {
//     std::unique_ptr<fathom::Stream> open_stream(const Json& options) override;
//   };
#pragma once

#include <memory>

#include "fathom/abi/stream.h"
#include "fathom/capability.h"
#include "fathom/values.h"

namespace fathom {

// One input on its way. Not thread-safe; streams of one model are independent but for the model itself.
class Stream {
 public:
  virtual ~Stream() = default;
  // More input, of any length. What is new since the last call, one Values a result; often nothing.
  virtual std::vector<Values> push(const Values& input) = 0;
  // No more input: the results that waited for it.
  virtual std::vector<Values> finish() = 0;
  // Everything it keeps, and going on from that.
  virtual Values save() const { throw Error(Code::kUnavailable, "this stream cannot be saved"); }
  virtual void load(const Values& state) {
    throw Error(Code::kUnavailable, "this stream cannot be restored").seen(std::to_string(state.size()) + " values");
  }
};

class Streaming {
 public:
  virtual ~Streaming() = default;
  virtual std::unique_ptr<Stream> open_stream(const Json& options) = 0;
};

template <>
struct Capability<Streaming> {
  static constexpr std::string_view id = FATHOM_STREAM_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const auto stream_of = [](void* stream) -> Stream& { return *static_cast<Stream*>(stream); };
    static const auto emit_all = [](const fathom_sink* out, std::vector<Values> results) {
      for (auto& result : results) emit(out, Values{{"result", Value(std::move(result))}});
    };
    static const fathom_stream_v1 table = {
        sizeof(fathom_stream_v1),
        [](void* self, fathom_str options, void** stream) {
          return guard([&] {
            *stream = nullptr;
            *stream = Get::get(self).open_stream(parse_json(options, "a stream's options")).release();
          });
        },
        [](void*, void* stream, const fathom_named_value* input, size_t count, const fathom_sink* out) {
          return guard([&] { emit_all(out, stream_of(stream).push(Values::from_abi(input, count))); });
        },
        [](void*, void* stream, const fathom_sink* out) {
          return guard([&] { emit_all(out, stream_of(stream).finish()); });
        },
        [](void*, void* stream) { delete static_cast<Stream*>(stream); },
        [](void*, void* stream, const fathom_sink* out) { return guard([&] { emit(out, stream_of(stream).save()); }); },
        [](void*, void* stream, const fathom_named_value* state, size_t count) {
          return guard([&] { stream_of(stream).load(Values::from_abi(state, count)); });
        }};
    return &table;
  }
};

// A stream on the caller's side; the model must live as long. Throws Error(kUnavailable) for a model without streams.
class StreamHandle {
 public:
  StreamHandle(const fathom_object& model, const Json& options)
      : table_(query<fathom_stream_v1>(model, FATHOM_STREAM_EXTENSION)) {
    if (!table_) throw Error(Code::kUnavailable, "'" + to_string(model.component->name) + "' does not stream");
    const std::string text = json_text(options);
    check(table_->open(table_.self(), to_abi(text), &stream_));
  }
  ~StreamHandle() {
    if (stream_ != nullptr) table_->close(table_.self(), stream_);
  }
  StreamHandle(const StreamHandle&) = delete;
  StreamHandle& operator=(const StreamHandle&) = delete;

  std::vector<Values> push(const Values& input) {
    const AbiValues abi(input);
    return results(collect_values(
        [&](const fathom_sink* out) { return table_->push(table_.self(), stream_, abi.data(), abi.size(), out); }));
  }
  std::vector<Values> finish() {
    return results(collect_values([&](const fathom_sink* out) { return table_->finish(table_.self(), stream_, out); }));
  }
  Values save() const {
    if (table_->save == nullptr) throw Error(Code::kUnavailable, "this stream cannot be saved");
    return collect_values([&](const fathom_sink* out) { return table_->save(table_.self(), stream_, out); });
  }
  void load(const Values& state) {
    if (table_->load == nullptr) throw Error(Code::kUnavailable, "this stream cannot be restored");
    const AbiValues abi(state);
    check(table_->load(table_.self(), stream_, abi.data(), abi.size()));
  }

 private:
  static std::vector<Values> results(const Values& emitted) {
    std::vector<Values> out;
    for (const auto& [name, value] : emitted) out.emplace_back(value.map());
    return out;
  }
  Extension<fathom_stream_v1> table_;
  void* stream_ = nullptr;
};

}  // namespace fathom
