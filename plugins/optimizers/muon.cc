// Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
// https://kellerjordan.github.io/posts/muon/): momentum whose matrix is made orthogonal by Newton and Schulz's
// iteration, in bfloat16.
//
// torch.optim.Muon is PyTorch's, for matrices only. `muon` takes whole models: AdamW (Loshchilov, Hutter 2019) updates
// what is no matrix, with the same learning rate and weight decay, which fit both where the update is scaled to AdamW's
// root mean square (Liu et al., "Muon is Scalable for LLM Training", 2025, section 2.2: adjust_lr_fn match_rms_adamw).
#include <ATen/ATen.h>
#include <ATen/ops/_fused_adamw.h>

#include "plugins/optimizers/common.h"

namespace fathom::optimizers {
namespace {

struct MuonOptions {
  double lr = 1e-3, weight_decay = 0.1, momentum = 0.95, eps = 1e-7;
  bool nesterov = true;
  std::vector<double> ns_coefficients = {3.4445, -4.7750, 2.0315};
  int64_t ns_steps = 5;
  std::optional<std::string> adjust_lr_fn;
  static void describe(OptionSet<MuonOptions>& o);
};

template <typename O>
void describe_muon(OptionSet<O>& o) {
  o("lr", static_cast<double O::*>(&O::lr), "learning rate");
  o("weight_decay", static_cast<double O::*>(&O::weight_decay), "the parameter shrinks by lr times this");
  o("momentum", static_cast<double O::*>(&O::momentum), "decay of the mean of the gradient");
  o("nesterov", static_cast<bool O::*>(&O::nesterov), "look ahead along the momentum");
  o("ns_coefficients", static_cast<std::vector<double> O::*>(&O::ns_coefficients),
    "coefficients of the iteration's polynomial");
  o("eps", static_cast<double O::*>(&O::eps), "smallest norm that is divided by");
  o("ns_steps", static_cast<int64_t O::*>(&O::ns_steps), "iterations", "steps");
  o("adjust_lr_fn", static_cast<std::optional<std::string> O::*>(&O::adjust_lr_fn),
    "original (or null): sqrt(max(1, rows/columns)); match_rms_adamw: 0.2 sqrt(max(rows, columns))");
}
void MuonOptions::describe(OptionSet<MuonOptions>& o) { describe_muon(o); }

void check_muon(const MuonOptions& o) {
  need_not_negative(o.lr, "lr");
  need_not_negative(o.momentum, "momentum");
  need_not_negative(o.weight_decay, "weight_decay");
  if (o.adjust_lr_fn && *o.adjust_lr_fn != "original" && *o.adjust_lr_fn != "match_rms_adamw") {
    invalid("adjust_lr_fn", *o.adjust_lr_fn, "original or match_rms_adamw");
  }
  if (o.ns_steps < 0 || o.ns_steps >= 100) invalid("ns_steps", std::to_string(o.ns_steps), "0 to 99");
  if (o.ns_coefficients.size() != 3) invalid("ns_coefficients", json_text(Json(o.ns_coefficients)), "three numbers");
}

// Newton and Schulz's iteration towards the nearest orthogonal matrix: U V^T of `matrix` = U S V^T, roughly.
at::Tensor orthogonal(const at::Tensor& matrix, const MuonOptions& o) {
  at::Tensor x = matrix.to(at::kBFloat16);
  const bool tall = x.size(0) > x.size(1);
  if (tall) x = x.t();
  x = x.div(x.norm().clamp_min(o.eps));
  for (int64_t k = 0; k < o.ns_steps; ++k) {
    const at::Tensor gram = at::mm(x, x.t());
    x = at::addmm(x, at::addmm(gram, gram, gram, o.ns_coefficients[1], o.ns_coefficients[2]), x, o.ns_coefficients[0]);
  }
  return (tall ? x.t() : x).to(matrix.scalar_type());
}

void update_matrix(const MuonOptions& o, at::Tensor& p, const at::Tensor& gradient, at::Tensor& buffer) {
  buffer.lerp_(gradient, 1 - o.momentum);
  const at::Tensor direction = orthogonal(o.nesterov ? gradient.lerp(buffer, o.momentum) : buffer, o);
  const auto rows = static_cast<double>(p.size(0)), columns = static_cast<double>(p.size(1));
  const bool match = o.adjust_lr_fn && *o.adjust_lr_fn == "match_rms_adamw";
  const double factor = match ? 0.2 * std::sqrt(std::max(rows, columns)) : std::sqrt(std::max(1.0, rows / columns));
  p.mul_(1 - o.lr * o.weight_decay).add_(direction, -o.lr * factor);
}

class Muon final : public CpuOptimizer<MuonOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const MuonOptions& o) const override { check_muon(o); }
  std::vector<StateSlot> slots(const MuonOptions&) const override { return {{"momentum_buffer"}}; }
  void check_parameter(const at::Tensor& p, const std::string& name) const override {
    CpuOptimizer::check_parameter(p, name);
    if (p.dim() == 2) return;
    throw Error(Code::kFailed, "torch.optim.Muon works on matrices only")
        .at(name)
        .seen(c10::str("shape ", p.sizes()))
        .next("use `muon`, which updates other parameters as AdamW does");
  }
  void update(MuonOptions& o, UpdateBatch& b) override {
    for (size_t i = 0; i < b.size(); ++i) update_matrix(o, b.parameters[i], b.gradients[i], b.state[0][i]);
  }
};

struct MuonWithAdamWOptions : MuonOptions {
  MuonWithAdamWOptions() { adjust_lr_fn = "match_rms_adamw"; }
  bool use_muon = true;
  std::vector<double> betas = {0.9, 0.95};
  double adamw_eps = 1e-8;
  static void describe(OptionSet<MuonWithAdamWOptions>& o) {
    describe_muon(o);
    o("use_muon", &MuonWithAdamWOptions::use_muon, "false: AdamW for matrices too, such as a group's embeddings");
    o("betas", &MuonWithAdamWOptions::betas, "AdamW's decay of the mean of the gradient and of its square");
    o("adamw_eps", &MuonWithAdamWOptions::adamw_eps, "AdamW's addition to the denominator");
  }
};

class MuonWithAdamW final : public CpuOptimizer<MuonWithAdamWOptions> {
 public:
  using CpuOptimizer::CpuOptimizer;
  void validate(const MuonWithAdamWOptions& o) const override {
    check_muon(o);
    need_betas(o.betas, 2);
    need_not_negative(o.adamw_eps, "adamw_eps");
  }
  // A parameter has the buffer or the other three; initial() makes those it has.
  std::vector<StateSlot> slots(const MuonWithAdamWOptions&) const override {
    return {{"momentum_buffer", StateKind::kOwn},
            {"step", StateKind::kOwn},
            {"exp_avg", StateKind::kOwn},
            {"exp_avg_sq", StateKind::kOwn}};
  }
  at::Tensor initial(const MuonWithAdamWOptions& o, const StateSlot& slot, const at::Tensor& p) const override {
    if (takes_muon(o, p) != (slot.name == "momentum_buffer")) return {};
    return slot.name == "step" ? at::zeros({}, at::kFloat) : at::zeros_like(p);
  }
  void update(MuonWithAdamWOptions& o, UpdateBatch& b) override {
    std::vector<at::Tensor> parameters, gradients, steps, means, squares;
    for (size_t i = 0; i < b.size(); ++i) {
      if (takes_muon(o, b.parameters[i])) {
        update_matrix(o, b.parameters[i], b.gradients[i], b.state[0][i]);
        continue;
      }
      parameters.push_back(b.parameters[i]);
      gradients.push_back(b.gradients[i]);
      steps.push_back(b.state[1][i].add_(1));
      means.push_back(b.state[2][i]);
      squares.push_back(b.state[3][i]);
    }
    if (parameters.empty()) return;
    at::_fused_adamw_(parameters, gradients, means, squares, {}, steps, o.lr, o.betas[0], o.betas[1], o.weight_decay,
                      o.adamw_eps, /*amsgrad=*/false, /*maximize=*/false);
  }

 private:
  static bool takes_muon(const MuonWithAdamWOptions& o, const at::Tensor& p) { return o.use_muon && p.dim() == 2; }
};

}  // namespace

void add_muon(Registry& r) {
  r.add<Muon>("torch.optim.Muon", "orthogonalised momentum of matrices", {"torch.optim._muon.Muon"});
  r.add<MuonWithAdamW>("muon", "orthogonalised momentum of matrices, AdamW for all else",
                       {"muon.MuonWithAuxAdam", "muon.SingleDeviceMuonWithAuxAdam"});
}

}  // namespace fathom::optimizers
