// Weights from other models: the keys init_from_nemo_model, init_from_ptl_ckpt and init_from_pretrained_model of an
// experiment, as NeMo's maybe_init_from_pretrained_checkpoint() reads them.
//
//   init_from_nemo_model: base.nemo                                      # all weights that have a place
//   (without a class in the model section, the model itself is base.nemo's: experiment.cc, fine_tunes)
//   init_from_ptl_ckpt: {teacher: {path: t.ckpt, include: [encoder], exclude: [encoder.pre]}}
//
// The weights are read without building the model they come from, so its plugin need not be there.
#pragma once

#include "fathom/support.h"

namespace torch::nn {
class Module;
}

namespace fathom {

// init_from_pretrained_model takes a name, as model_files/pretrained.h resolves it: on this machine, unless
// FATHOM_DOWNLOAD=1. Throws Error: kFailed for two of the keys together or a wrong form, kUnavailable for a name that
// is not here, kNoInput and kBadData for the files.
void init_weights(torch::nn::Module& module, const Json& config);

}  // namespace fathom
