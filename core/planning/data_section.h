// A data section (train_ds, validation_ds, test_ds) split into what the loader and what the dataset reads. No torch.
//
//   train_ds: {_target_: my.Clips, folder: clips, batch_size: 8, shuffle: true}                     // told apart by
//   schema train_ds: {dataset: {_target_: my.Clips, folder: clips}, dataloader_params: {batch_size: 8}}    // NeMo's
//   other form train_ds: {manifest_filepath: train.json, batch_size: 8}                                        // the
//   model's dataset
#pragma once

#include <string>

#include "fathom/support.h"

namespace fathom {

struct DataSection {
  bool names_dataset = false;  // the section names a class of kind dataset; else the model makes what it asks for
  Json dataset;                // with `_target_`
  std::string dataset_path;
  Json loader;
  std::string loader_path;
};

// Throws Error for a key of a named dataset that neither it nor the loader knows (kFailed, with the nearest names), and
// for a `_target_` that names no dataset. A section without one is left to the model, whatever it holds.
DataSection read_data_section(const Json& section, const std::string& path);

}  // namespace fathom
