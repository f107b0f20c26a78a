// The wiring a model declares between its children, with the ports they really have: checked when the model is built,
// shown by the model summary and `fathom inspect --graph`.
#pragma once

#include "core/typing/wiring.h"
#include "fathom/model.h"

namespace fathom::training {

// The model's children with their ports, the model's own ports if it has any, and its edges. Edges from "batch.NAME"
// start at what the dataset gives: `dataset`'s ports, or anything while there is none.
typing::Wiring model_wiring(const ModelHandle& model, const DatasetHandle* dataset = nullptr);

// Throws Error(kFailed) that shows everything wrong with the wiring, as check_wiring() finds it. `where`: the section
// of the dataset, for the message.
void check_model_wiring(const ModelHandle& model, const DatasetHandle* dataset = nullptr,
                        const std::string& where = {});

// {"modules": [{name, component, plugin, params, trainable, inputs: [{name, type, optional, shape?, from: […]}],
// outputs: […]}], "edges": [{from, to}]}. Shapes are those of the modules' input_example(), sent along the wiring in
// evaluation mode; what no example reaches has none. Not for a model that is training.
Json model_graph(const ModelHandle& model);
// The same for people.
std::string graph_text(const ModelHandle& model, const Json& graph);

}  // namespace fathom::training
