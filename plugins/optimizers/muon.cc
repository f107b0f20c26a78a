// Muon (Jordan et al. 2024) in PyTorch's form: momentum whose matrix is made orthogonal by Newton and Schulz's
// iteration, in bfloat16.
#include <ATen/ATen.h>

#include "plugins/optimizers/common.h"

namespace fathom::optimizers {
namespace {

struct MuonOptions {
  double lr = 1e-3, weight_decay = 0.1, momentum = 0.95, eps = 1e-7;
  bool nesterov = true;
  std::vector<double> ns_coefficients = {3.4445, -4.7750, 2.0315};
  int64_t ns_steps = 5;
  std::optional<std::string> adjust_lr_fn;
  static void describe(OptionSet<MuonOptions>& o) {
    o("lr", &MuonOptions::lr, "learning rate");
    o("weight_decay", &MuonOptions::weight_decay, "the parameter shrinks by lr times this");
    o("momentum", &MuonOptions::momentum, "decay of the mean of the gradient");
    o("nesterov", &MuonOptions::nesterov, "look ahead along the momentum");
    o("ns_coefficients", &MuonOptions::ns_coefficients, "coefficients of the iteration's polynomial");
    o("eps", &MuonOptions::eps, "smallest norm that is divided by");
    o("ns_steps", &MuonOptions::ns_steps, "iterations", "steps");
    o("adjust_lr_fn", &MuonOptions::adjust_lr_fn,
      "original (or null): sqrt(max(1, rows/columns)); match_rms_adamw: 0.2 sqrt(max(rows, columns))");
  }
};

class Muon final : public Optimizer<MuonOptions> {
 public:
  using Optimizer::Optimizer;
  void validate(const MuonOptions& o) const override {
    need_not_negative(o.lr, "learning rate");
    need_not_negative(o.momentum, "momentum value");
    need_not_negative(o.weight_decay, "weight_decay value");
    if (o.adjust_lr_fn && *o.adjust_lr_fn != "original" && *o.adjust_lr_fn != "match_rms_adamw") {
      invalid("adjust_lr_fn", *o.adjust_lr_fn, "original or match_rms_adamw");
    }
    if (o.ns_steps < 0 || o.ns_steps >= 100) invalid("ns_steps", std::to_string(o.ns_steps), "0 to 99");
    if (o.ns_coefficients.size() != 3) invalid("ns_coefficients", Json(o.ns_coefficients).dump(), "three numbers");
  }
  std::vector<StateSlot> slots(const MuonOptions&) const override { return {{"momentum_buffer"}}; }
  void check_parameter(const at::Tensor& p, const std::string& name) const override {
    if (p.dim() != 2) {
      throw Error(Code::kFailed, "Muon works on matrices only")
          .at(name)
          .seen(c10::str("shape ", p.sizes()))
          .next("give other parameters to another optimizer");
    }
  }
  void update(MuonOptions& o, UpdateBatch& b) override {
    for (size_t i = 0; i < b.size(); ++i) {
      at::Tensor &p = b.parameters[i], &buffer = b.state[0][i];
      buffer.lerp_(b.gradients[i], 1 - o.momentum);
      const at::Tensor direction = orthogonal(o.nesterov ? b.gradients[i].lerp(buffer, o.momentum) : buffer, o);
      const auto rows = static_cast<double>(p.size(0)), columns = static_cast<double>(p.size(1));
      const bool match = o.adjust_lr_fn && *o.adjust_lr_fn == "match_rms_adamw";
      const double factor = match ? 0.2 * std::sqrt(std::max(rows, columns)) : std::sqrt(std::max(1.0, rows / columns));
      p.mul_(1 - o.lr * o.weight_decay).add_(direction, -o.lr * factor);
    }
  }

 private:
  static at::Tensor orthogonal(const at::Tensor& matrix, const MuonOptions& o) {
    at::Tensor x = matrix.to(at::kBFloat16);
    const bool tall = x.size(0) > x.size(1);
    if (tall) x = x.t();
    x = x.div(x.norm().clamp_min(o.eps));
    for (int64_t k = 0; k < o.ns_steps; ++k) {
      const at::Tensor gram = at::mm(x, x.t());
      x = at::addmm(x, at::addmm(gram, gram, gram, o.ns_coefficients[1], o.ns_coefficients[2]), x,
                    o.ns_coefficients[0]);
    }
    return (tall ? x.t() : x).to(matrix.scalar_type());
  }
};

}  // namespace

void add_muon(Registry& r) {
  r.add<Muon>("torch.optim.Muon", "orthogonalised momentum of matrices", {"torch.optim._muon.Muon"});
}

}  // namespace fathom::optimizers
