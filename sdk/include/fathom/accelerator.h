// Kind `accelerator`: devices of one type that models can run on. Any thread.
#pragma once

#include "fathom/abi/accelerator.h"
#include "fathom/plugin.h"

namespace fathom {

namespace accelerator_detail {
const void* table();
}

class Accelerator {
 public:
  using ComponentKind = SimpleKind<Accelerator, FATHOM_KIND_ACCELERATOR, &accelerator_detail::table>;
  virtual ~Accelerator() = default;
  virtual const char* device_type() const = 0;  // libtorch's name: "cuda"
  // 0: none usable here, and `reason` says why.
  virtual int32_t device_count(std::string& reason) const = 0;
  // {"name", "memory_total", "memory_used" (bytes), …}
  virtual Json device_info(int32_t index) const = 0;
  // Waits for everything queued on it.
  virtual void synchronize(int32_t index) const = 0;
};

namespace accelerator_detail {
inline const Accelerator& accelerator(void* self) { return *static_cast<const Accelerator*>(self); }
inline const void* table() {
  static const fathom_accelerator_v1 table = {
      sizeof(fathom_accelerator_v1),
      [](void* self) { return to_abi(std::string_view(accelerator(self).device_type())); },
      [](void* self, int32_t* count, const fathom_text_sink* reason) {
        return guard([&] {
          std::string why;
          *count = accelerator(self).device_count(why);
          if (*count == 0) write(reason, why);
        });
      },
      [](void* self, int32_t index, const fathom_text_sink* json) {
        return guard([&] { write(json, json_text(accelerator(self).device_info(index))); });
      },
      [](void* self, int32_t index) { return guard([&] { accelerator(self).synchronize(index); }); }};
  return &table;
}
}  // namespace accelerator_detail

}  // namespace fathom
