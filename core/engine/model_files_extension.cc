#include "core/engine/model_files_extension.h"

#include <memory>

#include "core/model_files/pretrained.h"
#include "core/models/nemo_file.h"
#include "core/models/tensor_files.h"
#include "core/plugins/host_table.h"
#include "fathom/abi/model_files.h"

namespace fathom {

void offer_model_files() {
  static const fathom_model_files_v1 table = {
      sizeof(fathom_model_files_v1),
      [](fathom_str path, fathom_object* model, void** restored) {
        return guard([&] {
          auto made = std::make_unique<RestoredModel>(restore_nemo(model_files::model_file(to_string(path))));
          *model = made->model.object();
          *restored = made.release();
        });
      },
      [](void* restored) { delete static_cast<RestoredModel*>(restored); },
      [](fathom_str path, const fathom_sink* tensors) {
        return guard([&] {
          Values values;
          for (auto& [name, tensor] : load_tensor_file(to_string(path))) values.add(name, std::move(tensor));
          emit(tensors, values);
        });
      },
      [](fathom_str path, const fathom_named_value* tensors, size_t count) {
        return guard([&] {
          checkpoint::NamedTensors named;
          for (const auto& [name, value] : Values::from_abi(tensors, count))
            named.emplace_back(name, value.tensor().detach().cpu().contiguous());
          checkpoint::save_safetensors(to_string(path), named);
        });
      }};
  plugins::add_host_extension(FATHOM_MODEL_FILES_EXTENSION, &table);
}

}  // namespace fathom
