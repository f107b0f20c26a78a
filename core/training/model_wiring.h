// How the modules of a model are wired, as its code really wires them: recorded while values flow through its typed
// calls, never written down by hand. Shown by the model summary and `fathom inspect --graph`.
//
// The modules are those the model made or registered by name, in the order they are first called; the one without a
// name is the model itself, "batch" is what the dataset gives. A value that the model computes between two modules
// comes from nowhere: its port has a shape and no source.
//
// Recording leaves no trace: no gradients, and modes, buffers and torch's random state are as before. An error of a
// typed call is thrown; any other ends the recording, for it will be met, and told, where values flow in earnest.
#pragma once

#include "core/data/data_loader.h"
#include "core/typing/wiring.h"
#include "fathom/model.h"

namespace fathom::training {

// forward() of the model's input_example(). Without an example: the modules and no edges.
typing::Wiring record_forward(const ModelHandle& model);

// One training step on the loader's first items. forward() instead where the items come from an iterable dataset, which
// cannot be asked twice, or the model steps optimizers itself.
typing::Wiring record_training(const ModelHandle& model, const DataLoader& train);

// Throws Error(kFailed) unless what another dataset gives fits the ports that the batch was seen to reach. `where`: its
// section, for the message.
void check_batch_ports(typing::Wiring wiring, const DataLoader& loader, const std::string& where);

// {"modules": [{name, component, plugin, params, trainable, inputs: [{name, type, optional, shape?, from: […]}],
// outputs: […]}], "edges": [{from, to}]}.
Json graph_json(const ModelHandle& model, const typing::Wiring& wiring);
// The same for people, without the edges of the model itself.
std::string graph_text(const ModelHandle& model, const typing::Wiring& wiring);

}  // namespace fathom::training
