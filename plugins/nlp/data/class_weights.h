// Weights of classes in a loss, from how often they occur. Uses no torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom::nlp {

// NeMo's weighted_loss: every class weighs alike in sum, all items / (classes x items of the class). Throws kBadData at
// `where` for a class without items.
std::vector<double> inverse_frequencies(const std::vector<int64_t>& occurrences, const std::string& where);

}  // namespace fathom::nlp
