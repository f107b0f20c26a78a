// Names of models' classes as NeMo's files give them. Thread-safe.
#pragma once

#include <string>

namespace fathom::model_files {

// The version of NeMo whose conventions (front-end, layout) a file of ours follows.
inline constexpr const char* kNemoVersion = "3.0.0";

// The class path that NeMo knows a model by, by the aliases its plugin declares (no plugin is loaded); else `name`.
std::string nemo_target(const std::string& name);

}  // namespace fathom::model_files
