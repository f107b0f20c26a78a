#include "core/plugins/host_table.h"

#include <sched.h>

#include <atomic>
#include <map>
#include <mutex>
#include <span>

#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/plugins/access_state.h"
#include "core/plugins/registry.h"
#include "core/typing/element_type.h"
#include "core/typing/flow.h"
#include "core/typing/neural_type.h"
#include "core/typing/port_check.h"
#include "core/typing/switches.h"
#include "core/typing/value_source.h"
#include "fathom/abi/typecheck.h"
#include "fathom/neural_type.h"

namespace fathom::plugins {
namespace {

// The calling thread's last error, with texts of its own: what the plugin passed is gone when it returns.
struct ThreadError {
  std::string what, where, seen, expected, candidates, next;
  fathom_error error{};
};
thread_local ThreadError thread_error;
thread_local RegistrationScope* registration = nullptr;

void set_error(const fathom_error* error) {
  ThreadError& mine = thread_error;
  if (error == nullptr) {
    mine.error = {};
    return;
  }
  // A plugin of an older SDK may give fewer parts.
  const auto part = [&](const fathom_str& text) {
    const auto end =
        static_cast<size_t>(reinterpret_cast<const char*>(&text + 1) - reinterpret_cast<const char*>(error));
    return end <= error->struct_size && text.ptr != nullptr ? to_string(text) : std::string();
  };
  const fathom_status code = error->code;
  ThreadError copy{part(error->what),
                   part(error->where),
                   part(error->seen),
                   part(error->expected),
                   part(error->candidates),
                   part(error->next),
                   {}};
  mine = std::move(copy);
  mine.error = {sizeof(fathom_error),    code,
                to_abi(mine.what),       to_abi(mine.where),
                to_abi(mine.seen),       to_abi(mine.expected),
                to_abi(mine.candidates), to_abi(mine.next)};
}

const fathom_error* last_error() { return thread_error.error.struct_size == 0 ? nullptr : &thread_error.error; }

void log_text(int32_t level, fathom_str component, fathom_str text) {
  const int32_t known = level < FATHOM_LOG_DEBUG   ? FATHOM_LOG_DEBUG
                        : level > FATHOM_LOG_ERROR ? FATHOM_LOG_ERROR
                                                   : level;
  guard([&] { log_message(static_cast<LogLevel>(known), to_view(component), to_view(text)); });
}

fathom_status intern_type(fathom_str json, fathom_type_id* id) {
  return guard([&] { *id = typing::intern_json(to_view(json)); });
}

void type_text(fathom_type_id id, const fathom_text_sink* out) {
  guard([&] { write(out, id == typing::kNoType ? std::string("no type") : typing::type_of(id).text()); });
}

fathom_status intern_source(fathom_str owner, fathom_str port, uint32_t* id) {
  return guard([&] { *id = typing::intern_source(to_view(owner), to_view(port)); });
}

fathom_status check_ports(uint32_t flags, fathom_str owner, const fathom_ports* ports, const fathom_named_value* values,
                          size_t value_count) {
  return guard([&] {
    std::vector<fathom_port> own_size;  // of a plugin whose ports are longer or shorter than ours
    const fathom_port* first = ArrayView<fathom_ports>(*ports).as_is();
    if (first == nullptr && ports->count > 0) {
      own_size = port_list(*ports);
      first = own_size.data();
    }
    const std::span<const fathom_port> declared(first, ports->count);
    const std::span<const fathom_named_value> given(values, value_count);
    const typing::CheckOptions options{(flags & FATHOM_CHECK_IGNORE_COLLECTIONS) != 0, /*refuse_none=*/true};
    typing::FlowRecorder* const recorder = typing::FlowRecorder::current();
    try {
      if ((flags & FATHOM_CHECK_OUTPUTS) != 0)
        typing::check_outputs(to_view(owner), declared, given, options);
      else
        typing::check_inputs(to_view(owner), declared, given, options);
    } catch (const typing::PortError&) {
      if (recorder != nullptr) recorder->refuse();
      throw;
    }
    if (recorder != nullptr) recorder->add(declared, given);
  });
}

fathom_status create(uint32_t kinds, fathom_str config, fathom_str config_path, fathom_str context,
                     fathom_object* out) {
  return guard([&] {
    *out = registry().create(kinds, parse_json(config, "the section of a component"), to_string(config_path),
                             parse_json(context, "the context of a component"));
  });
}

int32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}
std::atomic<int32_t>& budget() {
  static std::atomic<int32_t> threads{usable_cores()};
  return threads;
}

int32_t cancelled() { return interrupt_requested() != 0 ? 1 : 0; }

const fathom_typecheck_v1 kTypecheck = {
    sizeof(fathom_typecheck_v1),
    [](int32_t* checks, int32_t* semantic) {
      const auto [c, s] = typing::thread_switches();
      *checks = c;
      *semantic = s;
    },
    [](int32_t checks, int32_t semantic) {
      typing::set_thread_switches({static_cast<int8_t>(checks), static_cast<int8_t>(semantic)});
    }};

struct Extensions {
  std::mutex mutex;
  std::map<std::string, const void*, std::less<>> by_id{{FATHOM_ACCESS_EXTENSION, access_table()},
                                                        {FATHOM_TYPECHECK_EXTENSION, &kTypecheck}};
};
Extensions& extensions() {
  static auto* instance = new Extensions();  // plugins may ask while the process ends
  return *instance;
}
const void* get_extension(fathom_str id) {
  auto& all = extensions();
  const std::lock_guard lock(all.mutex);
  const auto found = all.by_id.find(to_view(id));
  return found == all.by_id.end() ? nullptr : found->second;
}

const void* const slot_is_set = (host_slot() = host_table());

}  // namespace

fathom_status record_element_type(fathom_str json) {
  return guard([&] {
    typing::register_element_type_json(to_view(json),
                                       registration != nullptr ? registration->provider_ : "the program");
    if (registration != nullptr)
      registration->element_types_.push_back(parse_json(json, "an element type's definition"));
  });
}

fathom_status record_axis_kind(fathom_str name) {
  return guard([&] {
    typing::register_axis_kind(to_view(name), registration != nullptr ? registration->provider_ : "the program");
  });
}

const fathom_host* host_table() {
  static const fathom_host table = {sizeof(fathom_host),  FATHOM_ABI_MAJOR,  FATHOM_ABI_MINOR, &set_error,
                                    &last_error,          &log_text,         &intern_type,     &type_text,
                                    &record_element_type, &record_axis_kind, &check_ports,     &create,
                                    &thread_budget,       &cancelled,        &intern_source,   &get_extension};
  return &table;
}

void set_thread_budget(int32_t threads) { budget() = std::max(1, threads); }
int32_t thread_budget() { return budget(); }

void add_host_extension(std::string_view id, const void* table) {
  auto& all = extensions();
  const std::lock_guard lock(all.mutex);
  if (!all.by_id.emplace(id, table).second)
    throw Error(Code::kInternal, "the host extension '" + std::string(id) + "' exists already");
}

RegistrationScope::RegistrationScope(std::string_view provider) : provider_(provider), outer_(registration) {
  registration = this;
}
RegistrationScope::~RegistrationScope() { registration = outer_; }

}  // namespace fathom::plugins
