// Losses that are no numbers are told by name.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fathom/model.h"

namespace fathom::tts {

using LossTerm = std::pair<const char*, const at::Tensor*>;  // a scalar; undefined ones are not looked at

// Throws Error (kFailed) where `loss`, a scalar, is infinite or no number, naming those of its terms that are.
void require_finite(const at::Tensor& loss, const std::string& name, const Step& step,
                    const std::vector<LossTerm>& terms = {});

// The same as a warning, where the program itself decides what becomes of a step whose loss is no number.
void warn_of_infinite(const at::Tensor& loss, const std::string& name, const Step& step,
                      const std::vector<LossTerm>& terms);

}  // namespace fathom::tts
