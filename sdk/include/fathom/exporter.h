// Kind `exporter`: writes a model in a form that other programs run. One call at a time.
#pragma once

#include "fathom/abi/exporter.h"
#include "fathom/plugin.h"
#include "fathom/values.h"

namespace fathom {

namespace exporter_detail {
const void* table();
}

class Exporter {
 public:
  using ComponentKind = SimpleKind<Exporter, FATHOM_KIND_EXPORTER, &exporter_detail::table>;
  virtual ~Exporter() = default;
  // What files of this form are called by default: ".onnx".
  virtual const char* extension() const = 0;
  // Writes `model` (kind model or module, borrowed) to `path`, atomically; the files written.
  virtual std::vector<std::string> write(const fathom_object& model, const std::string& path) = 0;
};

namespace exporter_detail {
inline const void* table() {
  static const fathom_exporter_v1 table = {
      sizeof(fathom_exporter_v1),
      [](void* self) { return to_abi(std::string_view(static_cast<Exporter*>(self)->extension())); },
      [](void* self, const fathom_object* model, fathom_str path, const fathom_sink* files) {
        return guard([&] {
          for (auto& file : static_cast<Exporter*>(self)->write(*model, to_string(path)))
            emit(files, Values{{"file", file}});
        });
      }};
  return &table;
}
}  // namespace exporter_detail

}  // namespace fathom
