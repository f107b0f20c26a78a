#include "core/plugins/tables.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/plugins/kind.h"
#include "fathom/abi/accelerator.h"
#include "fathom/abi/callback.h"
#include "fathom/abi/command.h"
#include "fathom/abi/dataset.h"
#include "fathom/abi/exporter.h"
#include "fathom/abi/logger.h"
#include "fathom/abi/metric.h"
#include "fathom/abi/model.h"
#include "fathom/abi/optimizer.h"
#include "fathom/abi/resolver.h"
#include "fathom/abi/scheduler.h"
#include "fathom/abi/tokenizer.h"
#include "fathom/support.h"

namespace fathom::plugins {
namespace {

// A pointer that must be there: its name and place in the struct.
struct Slot {
  const char* name;
  size_t offset;
};
struct Shape {
  size_t size = 0;  // of this program's struct; 0: no such kind
  std::vector<Slot> mandatory;
};

#define FATHOM_SLOT(table, field) \
  Slot { #field, offsetof(table, field) }

const Shape& module_shape() {
  static const Shape shape{sizeof(fathom_module_v1),
                           {FATHOM_SLOT(fathom_module_v1, ports), FATHOM_SLOT(fathom_module_v1, forward),
                            FATHOM_SLOT(fathom_module_v1, torch_module)}};
  return shape;
}

const Shape& shape_of(fathom_kind kind) {
  static const std::map<fathom_kind, Shape> shapes = {
      {FATHOM_KIND_MODULE, module_shape()},
      {FATHOM_KIND_LOSS, module_shape()},
      {FATHOM_KIND_MODEL,
       {sizeof(fathom_model_v1),
        {FATHOM_SLOT(fathom_model_v1, module), FATHOM_SLOT(fathom_model_v1, make_dataset),
         FATHOM_SLOT(fathom_model_v1, training_step), FATHOM_SLOT(fathom_model_v1, eval_step),
         FATHOM_SLOT(fathom_model_v1, config)}}},
      {FATHOM_KIND_DATASET,
       {sizeof(fathom_dataset_v1),
        {FATHOM_SLOT(fathom_dataset_v1, size), FATHOM_SLOT(fathom_dataset_v1, get),
         FATHOM_SLOT(fathom_dataset_v1, free_sample), FATHOM_SLOT(fathom_dataset_v1, collate)}}},
      {FATHOM_KIND_METRIC,
       {sizeof(fathom_metric_v1),
        {FATHOM_SLOT(fathom_metric_v1, update), FATHOM_SLOT(fathom_metric_v1, compute),
         FATHOM_SLOT(fathom_metric_v1, reset)}}},
      {FATHOM_KIND_TOKENIZER,
       {sizeof(fathom_tokenizer_v1),
        {FATHOM_SLOT(fathom_tokenizer_v1, vocab_size), FATHOM_SLOT(fathom_tokenizer_v1, encode),
         FATHOM_SLOT(fathom_tokenizer_v1, decode)}}},
      {FATHOM_KIND_OPTIMIZER,
       {sizeof(fathom_optimizer_v1),
        {FATHOM_SLOT(fathom_optimizer_v1, add_group), FATHOM_SLOT(fathom_optimizer_v1, step),
         FATHOM_SLOT(fathom_optimizer_v1, group_count), FATHOM_SLOT(fathom_optimizer_v1, get_option),
         FATHOM_SLOT(fathom_optimizer_v1, set_option), FATHOM_SLOT(fathom_optimizer_v1, group_options),
         FATHOM_SLOT(fathom_optimizer_v1, save_state), FATHOM_SLOT(fathom_optimizer_v1, load_state),
         FATHOM_SLOT(fathom_optimizer_v1, load_group)}}},
      {FATHOM_KIND_SCHEDULER, {sizeof(fathom_scheduler_v1), {FATHOM_SLOT(fathom_scheduler_v1, rates)}}},
      {FATHOM_KIND_LOGGER, {sizeof(fathom_logger_v1), {FATHOM_SLOT(fathom_logger_v1, log_metrics)}}},
      {FATHOM_KIND_CALLBACK,
       {sizeof(fathom_callback_v1),
        {FATHOM_SLOT(fathom_callback_v1, events), FATHOM_SLOT(fathom_callback_v1, on_event)}}},
      {FATHOM_KIND_RESOLVER, {sizeof(fathom_resolver_v1), {FATHOM_SLOT(fathom_resolver_v1, call)}}},
      {FATHOM_KIND_EXPORTER,
       {sizeof(fathom_exporter_v1),
        {FATHOM_SLOT(fathom_exporter_v1, extension), FATHOM_SLOT(fathom_exporter_v1, write)}}},
      {FATHOM_KIND_ACCELERATOR,
       {sizeof(fathom_accelerator_v1),
        {FATHOM_SLOT(fathom_accelerator_v1, device_type), FATHOM_SLOT(fathom_accelerator_v1, device_count)}}},
      {FATHOM_KIND_COMMAND, {sizeof(fathom_command_v1), {FATHOM_SLOT(fathom_command_v1, run)}}},
  };
  static const Shape none;
  const auto found = shapes.find(kind);
  return found == shapes.end() ? none : found->second;
}

[[noreturn]] void refuse(const std::string& what, const std::string& expected) {
  throw Error(Code::kBadData, "a component's descriptor is unusable: " + what).expected(expected);
}

// The table in this program's size, zero where the plugin's ends.
void* copy_table(const void* given, const Shape& shape, const std::string& owner) {
  uint32_t size = 0;
  std::memcpy(&size, given, sizeof(size));
  if (size < sizeof(void*)) {
    refuse(owner + " has a table that does not say its size (struct_size " + std::to_string(size) + ")",
           "struct_size, the size of the SDK's struct");
  }
  auto* copy = static_cast<char*>(::operator new(shape.size));  // never freed, as the plugin is never unloaded
  std::memset(copy, 0, shape.size);
  std::memcpy(copy, given, std::min<size_t>(size, shape.size));
  const auto own_size = static_cast<uint32_t>(shape.size);
  std::memcpy(copy, &own_size, sizeof(own_size));
  for (const Slot& slot : shape.mandatory) {
    const void* function = nullptr;
    std::memcpy(&function, copy + slot.offset, sizeof(function));
    if (function != nullptr) continue;
    ::operator delete(copy);
    const bool cut = slot.offset + sizeof(void*) > size;
    refuse(owner + " lacks the function '" + slot.name + "'" + (cut ? ", before which its table ends" : ""),
           "a table with every mandatory function");
  }
  return copy;
}

const fathom_component* make_copy(const fathom_component& given) {
  if (given.struct_size < offsetof(fathom_component, query))
    refuse("it is too short", "struct_size of the SDK's fathom_component");
  const fathom_component known = filled(&given);
  const std::string name = to_string(known.name);
  if (name.empty()) refuse("it has no name", "a name");
  const std::string owner = "'" + name + "'";
  const Shape& shape = shape_of(known.kind);
  if (shape.size == 0) refuse(owner + " has kind " + std::to_string(known.kind), "a kind this program knows");
  if (known.destroy == nullptr || known.vtable == nullptr)
    refuse(owner + " lacks destroy or its table of functions", "both");
  auto* copy = new fathom_component(known);
  copy->vtable = copy_table(known.vtable, shape, owner);
  if (known.kind == FATHOM_KIND_MODEL) {
    auto* model = static_cast<fathom_model_v1*>(const_cast<void*>(copy->vtable));
    model->module =
        static_cast<const fathom_module_v1*>(copy_table(model->module, module_shape(), owner + ", as a module,"));
  }
  return copy;
}

struct Adopted {
  std::mutex mutex;
  std::map<const fathom_component*, const fathom_component*> by_given;
};
Adopted& adopted() {
  static auto* all = new Adopted();
  return *all;
}

}  // namespace

const fathom_component* adopt(const fathom_component& given) {
  const std::lock_guard lock(adopted().mutex);
  auto& known = adopted().by_given;
  if (const auto found = known.find(&given); found != known.end()) return found->second;
  const fathom_component* copy = make_copy(given);
  known.emplace(&given, copy);
  return copy;
}

fathom_object adopt(fathom_object object) {
  if (object.component != nullptr) object.component = adopt(*object.component);
  return object;
}

}  // namespace fathom::plugins
