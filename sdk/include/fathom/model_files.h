// Models and tensors in files, for plugins ("fathom.model_files/1"): the recogniser that judges a synthesis, tensors
// that lie beside a dataset.
//
//   const fathom::LoadedModel asr("stt_en_quartznet15x5.nemo");
//   asr.model().predict_step(batch, {});
//   const fathom::Values pitch = fathom::load_tensors("pitch/LJ001-0001.pt");      // one tensor: pitch.tensor("")
//   fathom::save_tensors("pitch/LJ001-0001.safetensors", {{"pitch", tensor}});
//
// All throw Error: kNoInput, kBadData, kIo, kUnavailable as the program finds them; kUnavailable in a program that does
// not compute. Any thread.
#pragma once

#include <string>

#include "fathom/abi/model_files.h"
#include "fathom/model.h"

namespace fathom {

namespace model_files_detail {
inline const fathom_model_files_v1& table() {
  static const fathom_model_files_v1* const found = [] {
    const auto get = host_function(&fathom_host::get_extension);
    return static_cast<const fathom_model_files_v1*>(get(to_abi(std::string_view(FATHOM_MODEL_FILES_EXTENSION))));
  }();
  if (found == nullptr)
    throw Error(Code::kUnavailable, "this program reads no model files for plugins").next("use a newer program");
  return *found;
}
}  // namespace model_files_detail

// A model in evaluation mode, from a .nemo file or the name of a pretrained model that is on this machine.
class LoadedModel {
 public:
  explicit LoadedModel(const std::string& path) {
    fathom_object model{nullptr, nullptr};
    check(model_files_detail::table().restore(to_abi(path), &model, &restored_));
    lent_ = filled(model.component);
    lent_.destroy = [](void*) {};  // release() does that
    model_ = ModelHandle(fathom_object{&lent_, model.self});
  }
  ~LoadedModel() {
    model_ = ModelHandle();
    if (restored_ != nullptr) model_files_detail::table().release(restored_);
  }
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;
  // Valid while this lives. Its object() is what SpeechSynthesizerHandle, VocoderHandle and the like take.
  const ModelHandle& model() const { return model_; }

 private:
  fathom_component lent_{};
  ModelHandle model_;
  void* restored_ = nullptr;
};

// The tensors of a file of torch.save, numpy.save or safetensors, told apart by content; nothing in the file is run. A
// file of one tensor gives one of the name "", a list "0", "1", …, dicts in dicts "a.b".
inline Values load_tensors(const std::string& path) {
  return collect_values(
      [&](const fathom_sink* out) { return model_files_detail::table().load_tensors(to_abi(path), out); });
}
// A safetensors file, written in place of `path` in one step.
inline void save_tensors(const std::string& path, const Values& tensors) {
  const AbiValues abi(tensors);
  check(model_files_detail::table().save_tensors(to_abi(path), abi.data(), abi.size()));
}

}  // namespace fathom
