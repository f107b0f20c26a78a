#include "core/planning/run_request.h"

namespace fathom {

Json RunSummary::json() const {
  Json out = {{"status", status},   {"reason", reason},   {"epochs", epochs},          {"global_step", global_step},
              {"seconds", seconds}, {"log_dir", log_dir}, {"checkpoints", checkpoints}};
  out["best"] =
      best_path.empty() ? Json(nullptr) : Json{{"path", best_path}, {"score", best_score}, {"metric", best_metric}};
  out["nemo"] = nemo.empty() ? Json(nullptr) : Json(nemo);
  out["metrics"] = Json::object();
  for (const auto& [name, value] : metrics) out["metrics"][name] = value;
  return out;
}

}  // namespace fathom
