#include "plugins/tts/modules/lstm_step.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace fathom::tts {
namespace {

struct Activated {
  at::Tensor gates;  // (B, 4H) after their functions
  at::Tensor hidden, cell;
};

Activated activate(const at::Tensor& gates, const at::Tensor& cell) {
  const int64_t width = cell.size(1);
  at::Tensor on = gates.clone(at::MemoryFormat::Contiguous);
  at::Tensor g = on.narrow(1, 2 * width, width), first = on.narrow(1, 0, 2 * width),
             last = on.narrow(1, 3 * width, width);
  first.sigmoid_();
  g.tanh_();
  last.sigmoid_();
  at::Tensor next = on.narrow(1, width, width).mul(cell);
  next.addcmul_(on.narrow(1, 0, width), g);
  return {on, last * at::tanh(next), next};
}

class LstmStep : public torch::autograd::Function<LstmStep> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* ctx, const at::Tensor& gates,
                                                const at::Tensor& cell) {
    const Activated made = activate(gates, cell);
    ctx->save_for_backward({made.gates, cell, made.cell});
    return {made.hidden, made.cell};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &on = saved[0], &cell = saved[1], &next = saved[2];
    const int64_t width = cell.size(1);
    const at::Tensor i = on.narrow(1, 0, width), f = on.narrow(1, width, width), g = on.narrow(1, 2 * width, width),
                     o = on.narrow(1, 3 * width, width);
    const at::Tensor bent = at::tanh(next);
    const at::Tensor dh = grads[0].defined() ? grads[0] : at::zeros_like(cell);
    at::Tensor dc = at::tanh_backward(dh * o, bent);
    if (grads[1].defined()) dc = dc + grads[1];
    at::Tensor dgates = at::empty_like(on);
    dgates.narrow(1, 0, width).copy_(at::sigmoid_backward(dc * g, i));
    dgates.narrow(1, width, width).copy_(at::sigmoid_backward(dc * cell, f));
    dgates.narrow(1, 2 * width, width).copy_(at::tanh_backward(dc * i, g));
    dgates.narrow(1, 3 * width, width).copy_(at::sigmoid_backward(dh * bent, o));
    return {dgates, dc * f};
  }
};

}  // namespace

std::pair<at::Tensor, at::Tensor> lstm_step(const at::Tensor& gates, const at::Tensor& cell) {
  if (at::GradMode::is_enabled() && (gates.requires_grad() || cell.requires_grad())) {
    auto out = LstmStep::apply(gates, cell);
    return {out[0], out[1]};
  }
  const Activated made = activate(gates, cell);
  return {made.hidden, made.cell};
}

}  // namespace fathom::tts
