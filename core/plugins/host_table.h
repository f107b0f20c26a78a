// The host's side of fathom/abi/host.h: one table for the whole process.
// Every function of it may be called from any thread; errors are per thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "fathom/support.h"

namespace fathom::plugins {

// The same table always; valid until the process ends. This library's own host_slot() holds it from the start, so that
// code of the core may use the authoring layer's check(), report() and handles without further ado.
const fathom_host* host_table();

// Threads a component may use at most; at first the cores this process may run on. At least 1.
void set_thread_budget(int32_t threads);
int32_t thread_budget();

// Makes `table` what get_extension("name/revision") returns. It must live until the process ends; an id is given once
// (Error kInternal otherwise).
void add_host_extension(std::string_view id, const void* table);

// While it lives, element types registered on this thread are also recorded, and belong to `provider`: a plugin that is
// just registering.
class RegistrationScope {
 public:
  explicit RegistrationScope(std::string_view provider);
  ~RegistrationScope();
  RegistrationScope(const RegistrationScope&) = delete;
  RegistrationScope& operator=(const RegistrationScope&) = delete;
  const Json& element_types() const { return element_types_; }

 private:
  friend fathom_status record_element_type(fathom_str json);
  friend fathom_status record_axis_kind(fathom_str name);
  std::string provider_;
  Json element_types_ = Json::array();
  RegistrationScope* outer_;
};

}  // namespace fathom::plugins
