// What every kind's header builds on: JSON, text over the boundary, errors over the boundary, the host table.
// Authors include a kind's header (module.h, optimizer.h, …) and plugin.h, not this one.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "fathom/abi/host.h"
#include "fathom/error.h"

namespace fathom {

using Json = nlohmann::ordered_json;

inline fathom_str to_abi(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view to_view(fathom_str text) { return {text.ptr, text.len}; }
inline std::string to_string(fathom_str text) {
  return text.len == 0 ? std::string() : std::string(text.ptr, text.len);
}

// The host's table: set once, by the plugin entry (see plugin.h) and by the host for its own libraries.
inline const fathom_host*& host_slot() {
  static const fathom_host* slot = nullptr;
  return slot;
}
inline const fathom_host& host() {
  if (host_slot() == nullptr) throw Error(Code::kInternal, "the host table was used before the plugin was registered");
  return *host_slot();
}

inline void log(int level, std::string_view component, std::string_view text) {
  host().log(level, to_abi(component), to_abi(text));
}

// --- errors: an exception on one side becomes a status and comes back as the same Error on the other -----------------

inline fathom_status report(const Error& error) noexcept {
  const fathom_error parts{sizeof(fathom_error),       static_cast<fathom_status>(error.code()),
                           to_abi(error.message()),    to_abi(error.where()),
                           to_abi(error.seen()),       to_abi(error.expected()),
                           to_abi(error.candidates()), to_abi(error.next())};
  if (host_slot() != nullptr) host_slot()->set_error(&parts);
  return parts.code;
}

// Runs `body`; whatever it throws becomes a status. Every function that crosses the boundary is wrapped in this.
template <typename Body>
fathom_status guard(Body&& body) noexcept {
  try {
    body();
    return FATHOM_OK;
  } catch (const Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(Error(Code::kFailed, "out of memory").next("use a smaller batch_size"));
  } catch (const std::logic_error& error) {
    return report(Error(Code::kInternal, error.what()));
  } catch (const std::system_error& error) {  // among them std::filesystem's: they name the path
    return report(Error(Code::kIo, error.what()));
  } catch (const std::exception& error) {
    // c10::Error::what() carries a C++ backtrace after its message; users want the message.
    const std::string text = error.what();
    return report(Error(Code::kFailed, text.substr(0, text.find("\nException raised from "))));
  } catch (...) {
    return report(Error(Code::kInternal, "an exception of unknown type"));
  }
}

// Throws the error a failing status stands for. The other side has described it on this thread.
inline void check(fathom_status status) {
  if (status == FATHOM_OK) return;
  const fathom_error* error = host_slot() != nullptr ? host_slot()->last_error() : nullptr;
  if (error == nullptr || error->code != status) {
    throw Error(static_cast<Code>(status), "failed without a description (status " + std::to_string(status) + ")");
  }
  throw Error(static_cast<Code>(status), to_string(error->what))
      .at(to_string(error->where))
      .seen(to_string(error->seen))
      .expected(to_string(error->expected))
      .candidates(to_string(error->candidates))
      .next(to_string(error->next));
}

// --- text out parameters -------------------------------------------------------------------------------------------

inline fathom_text_sink text_sink(std::string& out) {
  return {&out, [](void* ctx, fathom_str text) { static_cast<std::string*>(ctx)->append(text.ptr, text.len); }};
}
inline void write(const fathom_text_sink* sink, std::string_view text) { sink->write(sink->ctx, to_abi(text)); }

// A component's state: null is written as nothing at all.
inline void write_state(const fathom_text_sink* sink, const Json& state) {
  if (!state.is_null()) write(sink, state.dump());
}

inline Json parse_json(fathom_str text, const char* what) {
  if (text.len == 0) return Json::object();
  try {
    return Json::parse(text.ptr, text.ptr + text.len);
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::kInternal, std::string(what) + " is not JSON: " + error.what());
  }
}

// What write_state() wrote: `save(sink)` is the object's function.
template <typename Save>
Json read_state(Save&& save) {
  std::string text;
  const fathom_text_sink sink = text_sink(text);
  check(save(&sink));
  return text.empty() ? Json(nullptr) : Json::parse(text);
}

// --- objects on the caller's side ------------------------------------------------------------------------------------

// Owns an object made by a plugin. VTable is the kind's struct (fathom_module_v1, …).
template <typename VTable>
class Handle {
 public:
  Handle() = default;
  explicit Handle(fathom_object object) : object_(object) {}
  Handle(Handle&& other) noexcept : object_(std::exchange(other.object_, {})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Handle() {
    if (object_.component != nullptr) object_.component->destroy(object_.self);
  }

  explicit operator bool() const { return object_.component != nullptr; }
  const VTable& vtable() const { return *static_cast<const VTable*>(object_.component->vtable); }
  void* self() const { return object_.self; }
  fathom_kind kind() const { return object_.component->kind; }
  std::string name() const { return to_string(object_.component->name); }
  const fathom_component& component() const { return *object_.component; }
  fathom_object release() { return std::exchange(object_, {}); }

 private:
  fathom_object object_{nullptr, nullptr};
};

// Asks the host for a component of one of `kinds` (bit set of 1 << FATHOM_KIND_…) named in `config`.
inline fathom_object create_object(uint32_t kinds, const Json& config, const std::string& config_path,
                                   const Json& context = Json::object()) {
  fathom_object object{nullptr, nullptr};
  const std::string config_text = config.dump(), context_text = context.dump();
  check(host().create(kinds, to_abi(config_text), to_abi(config_path), to_abi(context_text), &object));
  return object;
}

}  // namespace fathom
