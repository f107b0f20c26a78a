#include "core/training/trainer_table.h"

#include <ATen/ATen.h>

namespace fathom::training {
namespace {

Trainer& trainer(void* ctx) { return *static_cast<Trainer*>(ctx); }

// "fathom::asr::ConvASREncoderImpl" -> "ConvASREncoder".
std::string short_type(const torch::nn::Module& module) {
  std::string name = module.name();
  if (const size_t colon = name.rfind("::"); colon != std::string::npos) name.erase(0, colon + 2);
  if (name.ends_with("Impl")) name.resize(name.size() - 4);
  return name;
}

void add_modules(const torch::nn::Module& module, const std::string& prefix, int depth, Json& out) {
  if (depth == 0) return;
  for (const auto& child : module.named_children()) {
    const auto& m = *child.value();
    out.push_back({{"name", prefix + child.key()},
                   {"type", short_type(m)},
                   {"params", count_parameters(m)},
                   {"trainable", num_weights(m)},
                   {"training", m.is_training()}});
    add_modules(m, prefix + child.key() + ".", depth - 1, out);
  }
}

}  // namespace

Json model_summary(const torch::nn::Module& model, int depth) {
  Json modules = Json::array();
  add_modules(model, "", depth, modules);
  const int64_t total = count_parameters(model), trainable = num_weights(model);
  int64_t bytes = 0, training = 0, evaluating = 0;
  for (const at::Tensor& parameter : model.parameters()) bytes += static_cast<int64_t>(parameter.nbytes());
  for (const auto& module : model.modules(/*include_self=*/false)) ++(module->is_training() ? training : evaluating);
  return {{"modules", std::move(modules)},      {"total", total}, {"trainable", trainable},
          {"non_trainable", total - trainable}, {"bytes", bytes}, {"modules_in_train_mode", training},
          {"modules_in_eval_mode", evaluating}};
}

fathom_status TrainerTable::log_from_step(void* ctx, fathom_str name, fathom_tensor tensor, double value,
                                          uint32_t flags, double batch_size) {
  return guard([&] {
    trainer(ctx).router_.log(to_view(name), reinterpret_cast<const at::Tensor*>(tensor), value, flags, batch_size);
  });
}

TrainerTable::TrainerTable(Trainer& owner) {
  table_.struct_size = sizeof(fathom_trainer);
  table_.ctx = &owner;
  table_.progress = &owner.run_.progress;
  table_.metric = [](void* ctx, fathom_str name, double* value) -> int32_t {
    const auto& metrics = trainer(ctx).router_.callback_metrics();
    const auto found = metrics.find(to_string(name));
    if (found == metrics.end()) return 0;
    *value = found->second;
    return 1;
  };
  table_.metrics = [](void* ctx, const fathom_metric_sink* out) {
    for (const auto& [name, value] : trainer(ctx).router_.callback_metrics()) out->emit(out->ctx, to_abi(name), value);
  };
  table_.progress_bar_metrics = [](void* ctx, const fathom_metric_sink* out) {
    for (const auto& [name, value] : trainer(ctx).router_.progress_bar_metrics())
      out->emit(out->ctx, to_abi(name), value);
  };
  table_.log = [](void* ctx, fathom_str name, double value, uint32_t flags) {
    return log_from_step(ctx, name, nullptr, value, flags, 0);
  };
  table_.stop = [](void* ctx, fathom_str reason) {
    Trainer& t = trainer(ctx);
    t.run_.progress.should_stop = 1;
    t.run_.stop_reason = to_string(reason);
  };
  table_.save_checkpoint = [](void* ctx, fathom_str path, int32_t flags) {
    return guard([&] { trainer(ctx).save_checkpoint(to_string(path), flags); });
  };
  table_.save_nemo = [](void* ctx, fathom_str path) {
    return guard([&] {
      if (!trainer(ctx).parts_.save_nemo) throw Error(Code::kInternal, "this run cannot write a .nemo file");
      trainer(ctx).parts_.save_nemo(to_string(path));
    });
  };
  table_.load_weights = [](void* ctx, fathom_str path) {
    return guard([&] { trainer(ctx).load_weights(to_string(path)); });
  };
  table_.optimizer_count = [](void* ctx) -> size_t { return trainer(ctx).optimizations_.size(); };
  table_.group_count = [](void* ctx, size_t optimizer) -> size_t {
    const auto& all = trainer(ctx).optimizations_;
    return optimizer < all.size() ? all[optimizer]->group_count() : 0;
  };
  table_.optimizer_option = [](void* ctx, size_t optimizer, size_t group, fathom_str name, double* value) {
    return guard([&] {
      const auto& all = trainer(ctx).optimizations_;
      if (optimizer >= all.size()) throw Error(Code::kFailed, "the model is not being optimized");
      *value = all[optimizer]->option(group, to_view(name));
    });
  };
  table_.optimizer_name = [](void* ctx, size_t optimizer) -> fathom_str {
    static const std::string kNone;
    const auto& all = trainer(ctx).optimizations_;
    return to_abi(optimizer < all.size() ? all[optimizer]->class_name() : kNone);
  };
  table_.loss = [](void* ctx, double* value) {
    return guard([&] {
      if (!trainer(ctx).last_loss_.is_known()) throw Error(Code::kFailed, "there is no loss of a batch yet");
      *value = trainer(ctx).last_loss_.read();
    });
  };
  table_.gradient_norm = [](void* ctx, double* value) {
    return guard([&] {
      Trainer& t = trainer(ctx);
      if (t.optimizations_.empty()) throw Error(Code::kFailed, "the model is not being optimized");
      if (!t.gradient_norm_known_) t.last_gradient_norm_ = gradient_norm(optimized_parameters(t.optimizations_));
      t.gradient_norm_known_ = true;
      *value = t.last_gradient_norm_;
    });
  };
  table_.model_summary = [](void* ctx, int32_t depth, const fathom_text_sink* json) {
    Json summary = model_summary(*trainer(ctx).module_, depth);
    if (const typing::Wiring& wiring = trainer(ctx).parts_.wiring; !wiring.edges.empty())
      summary["wiring"] = typing::wiring_text(wiring);
    write(json, json_text(summary));
  };
  table_.keep_average = [](void* ctx, double decay, int64_t every_n_steps) {
    return guard([&] { trainer(ctx).keep_average(decay, every_n_steps); });
  };
  table_.has_average = [](void* ctx) -> int32_t { return trainer(ctx).average_ != nullptr; };
  table_.use_average = [](void* ctx, int32_t on) {
    return guard([&] {
      if (trainer(ctx).average_) trainer(ctx).average_->use(on != 0);
    });
  };
  table_.resumed_from = [](void* ctx) { return to_abi(trainer(ctx).run_.resumed_from); };
  table_.predictions = [](void* ctx, const fathom_text_sink* item) {
    for (const std::string& text : trainer(ctx).predictions_) write(item, text);
  };
  add_plans(table_);
  offer_media(owner);
  table_.media = &media_;
}

// A sanity check leaves no trace, here neither. What is wrong with an array is its author's error, told at once; what
// becomes of it is the loggers' affair.
template <typename Check, typename Log>
fathom_status TrainerTable::log_media(void* ctx, fathom_str name, Check&& check, Log&& log) {
  return guard([&] {
    try {
      check();
    } catch (Error& error) {
      error.locate("'" + to_string(name) + "'");
      throw;
    }
    Trainer& t = trainer(ctx);
    if (t.run_.progress.sanity_checking == 0) log(t.parts_.loggers, to_view(name), t.run_.progress.global_step);
  });
}

void TrainerTable::offer_media(Trainer& owner) {
  media_.struct_size = sizeof(fathom_media_log);
  media_.ctx = &owner;
  media_.log_text = [](void* ctx, fathom_str name, fathom_str text) {
    return log_media(
        ctx, name, [] {},
        [&](LoggerGroup& to, std::string_view as, int64_t step) { to.log_text(as, to_view(text), step); });
  };
  media_.log_histogram = [](void* ctx, fathom_str name, const fathom_float_array* values) {
    return log_media(
        ctx, name, [&] { float_array(values); },
        [&](LoggerGroup& to, std::string_view as, int64_t step) { to.log_histogram(as, *values, step); });
  };
  media_.log_audio = [](void* ctx, fathom_str name, const fathom_float_array* samples, int64_t sample_rate) {
    return log_media(
        ctx, name, [&] { audio_of(float_array(samples), sample_rate); },
        [&](LoggerGroup& to, std::string_view as, int64_t step) { to.log_audio(as, *samples, sample_rate, step); });
  };
  media_.log_image = [](void* ctx, fathom_str name, const fathom_float_array* pixels) {
    return log_media(
        ctx, name, [&] { image_of(float_array(pixels)); },
        [&](LoggerGroup& to, std::string_view as, int64_t step) { to.log_image(as, *pixels, step); });
  };
}

}  // namespace fathom::training
