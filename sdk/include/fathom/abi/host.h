/* The host table: what a plugin may ask of the host. Thread-safe unless said otherwise; valid until the process ends.
 * Every host has the functions up to last_error.
 */
#ifndef FATHOM_ABI_HOST_H_
#define FATHOM_ABI_HOST_H_

#include "fathom/abi/component.h"
#include "fathom/abi/value.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  FATHOM_CHECK_OUTPUTS = 1,           /* the values are outputs */
  FATHOM_CHECK_IGNORE_COLLECTIONS = 2 /* lists may be nested deeper or flatter than declared */
};

typedef struct fathom_host {
  uint32_t struct_size;
  uint32_t abi_major, abi_minor;

  /* The error of the calling thread: set by whoever returns a failing status, read by whoever receives it. */
  void (*set_error)(const fathom_error* error);
  const fathom_error* (*last_error)(void); /* valid until the next set_error on this thread */

  void (*log)(int32_t level, fathom_str component, fathom_str text);

  /* Neural types, by their JSON form {"axes": […]|null, "elements": NAME, "params": {…}}. Equal types give equal ids.
   */
  fathom_status (*intern_type)(fathom_str json, fathom_type_id* id);
  void (*type_text)(fathom_type_id id, const fathom_text_sink* out);
  /* Adds an element type {"name", "parent", "params": {…}, "doc"}; the same name with another definition is an error.
   */
  fathom_status (*register_element_type)(fathom_str json);
  /* Adds an axis kind ("Speaker"), to be used as a label in neural types; the same name again is the same kind. */
  fathom_status (*register_axis_kind)(fathom_str name);
  /* NeMo's typecheck on one call: names, counts, ranks, nesting and types of `values` against `ports`. `owner` names
     the component in the message. Follows the process's switches (checks off, semantic checks off). Never allocates
     unless it fails. `flags`: FATHOM_CHECK_*. The rules for outputs compare no types: the caller attaches the
     declared ones. */
  fathom_status (*check_ports)(uint32_t flags, fathom_str owner, const fathom_ports* ports,
                               const fathom_named_value* values, size_t value_count);

  /* Makes a component named in `config` (`_target_`, or `name`, or `cls`), of one of the kinds in the bit set
     (1 << FATHOM_KIND_…): how a model gets its children. Loads the providing plugin when needed. */
  fathom_status (*create)(uint32_t kinds, fathom_str config, fathom_str config_path, fathom_str context,
                          fathom_object* out);

  int32_t (*thread_budget)(void); /* threads a component may use at most */
  int32_t (*cancelled)(void);     /* nonzero after the user asked to stop */

  /* An id for output port `port` of the component `owner`: the same texts give the same id. */
  fathom_status (*intern_source)(fathom_str owner, fathom_str port, uint32_t* id);

  /* Optional capabilities by "name/revision"; null when unknown. */
  const void* (*get_extension)(fathom_str id);
} fathom_host;

#ifdef __cplusplus
}
#endif
#endif
