#include "plugins/asr/losses/transducer_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>

#include "fathom/support.h"
#include "plugins/asr/losses/transducer_items.h"

namespace fathom::asr {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::ScalarType computed_in(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

struct DenseLoss : torch::autograd::Function<DenseLoss> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& logits, const TransducerBatch& batch,
                            const TransducerLossOptions& options, bool training) {
    const at::Tensor all = logits.detach();
    at::Tensor gradient = training ? at::zeros_like(all, at::MemoryFormat::Contiguous) : at::Tensor();
    const bool plain = draw_plain(options, training);
    std::vector<double> costs(batch.items.size());
    at::parallel_for(0, static_cast<int64_t>(costs.size()), 1, [&](int64_t begin, int64_t end) {
      // The thread that asked has autocast on, the others never: all compute in the tensors' own type.
      const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
      for (int64_t b = begin; b < end; ++b) {
        const TransducerItem& item = batch.items[static_cast<size_t>(b)];
        if (item.frames == 0) continue;
        const auto own = [&](const at::Tensor& x) {
          return x[b].slice(0, 0, item.frames).slice(1, 0, item.labels + 1);
        };
        at::Tensor rows =
            normalized_logits(own(all).to(computed_in(all)).reshape({item.cells(), options.classes()}), options);
        std::vector<int64_t> numbers(static_cast<size_t>(item.cells()));
        std::iota(numbers.begin(), numbers.end(), 0);
        TransducerCells cells(options, plain, item);
        cells.read(rows, numbers);
        costs[static_cast<size_t>(b)] = cells.close(training);
        if (!training) continue;
        cells.to_gradient(rows, numbers);
        own(gradient).copy_(rows.view({item.frames, item.labels + 1, options.classes()}));
      }
    });
    if (training) ctx->save_for_backward({gradient});
    return batch.reduced(costs, all.options().dtype(computed_in(all)));
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::Tensor gradient = ctx->get_saved_variables()[0];
    if (at::GradMode::is_enabled())
      throw Error(Code::kUnavailable, "a transducer's loss has no second derivatives").next("leave create_graph out");
    const at::Tensor factor = grads[0].dim() == 0 ? grads[0] : grads[0].view({-1, 1, 1, 1});
    return {gradient * factor.to(gradient.scalar_type()), {}, {}, {}};
  }
};

}  // namespace

at::Tensor transducer_loss(const at::Tensor& logits, const TransducerTargets& targets,
                           const TransducerLossOptions& options) {
  if (logits.dim() != 4 || logits.size(3) != options.classes()) {
    throw Error(Code::kFailed, "the joint network's output does not fit the loss")
        .seen("shape " + c10::str(logits.sizes()))
        .expected("(batch, frames, labels + 1, " + std::to_string(options.classes()) +
                  "): the tokens, the blank and the durations");
  }
  if (!logits.device().is_cpu())
    throw Error(Code::kUnavailable, "losses of transducers run on the CPU").seen(c10::str(logits.device()));
  const TransducerBatch batch(targets, options, logits.size(0), logits.size(1), logits.size(2));
  const bool training = at::GradMode::is_enabled() && logits.requires_grad();
  return DenseLoss::apply(logits, batch, options, training);
}

}  // namespace fathom::asr
