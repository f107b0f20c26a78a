#include "plugins/nlp/data/class_weights.h"

#include "fathom/error.h"

namespace fathom::nlp {

std::vector<double> inverse_frequencies(const std::vector<int64_t>& occurrences, const std::string& where) {
  double all = 0;
  for (const int64_t count : occurrences) all += static_cast<double>(count);
  std::vector<double> out;
  for (size_t i = 0; i < occurrences.size(); ++i) {
    if (occurrences[i] == 0) {
      throw Error(Code::kBadData, "weighted_loss needs an item of every class")
          .at(where)
          .seen("none of class " + std::to_string(i))
          .next("lower num_classes, or set class_balancing: null");
    }
    out.push_back(all / (static_cast<double>(occurrences.size()) * static_cast<double>(occurrences[i])));
  }
  return out;
}

}  // namespace fathom::nlp
