// Kind `model`: a NeuralModule that also makes datasets and has training, validation, test and predict steps.
//
// Its Options, if it declares any, are the keys of its section besides those that the host reads (train_ds, optim, …):
// in an experiment's config others are refused unless something refers to them. Without Options every key is accepted.
// A model that trains with several optimizers derives from ManualOptimization too, one whose labels can change from
// HasVocabulary (and from FineTunable, where a config may ask for that), one that hears while one speaks from
// Streaming, one that acts between its steps from TrainingHooks, and one with state of its own beside weights and
// metrics from Stateful.
//
// A model's constructor takes (const Json& config, const ModelContext&): the config is its whole section, resolved, and
// children are made from it by name (make_child). Values passed on as they are, not as bare tensors, keep their types
// and where they came from: that is how errors name both sides, and how the host knows a model's wiring. NeMo's
// conventions hold: sections preprocessor, encoder, decoder, loss, train_ds, validation_ds, test_ds, optim.
#pragma once

#include "fathom/abi/model.h"
#include "fathom/dataset.h"
#include "fathom/media.h"
#include "fathom/metric.h"
#include "fathom/module.h"
#include "fathom/tokenizer.h"

namespace fathom {

enum class Stage : uint32_t {
  kTrain = FATHOM_STAGE_TRAIN,
  kValidate = FATHOM_STAGE_VALIDATE,
  kTest = FATHOM_STAGE_TEST,
  kPredict = FATHOM_STAGE_PREDICT
};

struct ModelContext {
  bool restoring = false;  // from a .nemo: files named "nemo:X" are in restore_dir, data sections may be unusable
  std::string restore_dir;
  int64_t world_size = 1;
  std::string config_path;  // "model"

  // The file an artifact value names: "nemo:X" inside the unpacked archive, else the path itself.
  std::string artifact_path(const std::string& value) const {
    constexpr std::string_view kPrefix = "nemo:";
    return value.starts_with(kPrefix) ? restore_dir + "/" + value.substr(kPrefix.size()) : value;
  }
};

// A trained model that may be had by name, as NeMo's PretrainedModelInfo. A model's class declares its own by
//   static std::vector<fathom::PretrainedModelInfo> list_available_models();
// They become part of the plugin's description: `fathom models list` shows them without loading the plugin.
struct PretrainedModelInfo {
  std::string name;         // "stt_en_quartznet15x5"
  std::string description;  // one line
  std::string location;     // URL of the .nemo
  std::vector<std::string> aliases = {};
  std::string sha256 = {};  // of the file, 64 hexadecimal digits; "" where nobody published it
};

// What a step sees of the trainer. What an older program does not offer is an error in words when it is asked for.
class Step {
 public:
  explicit Step(const fathom_step* step) : step_(filled(step)) {}
  Stage stage() const { return static_cast<Stage>(step_.stage); }
  int64_t epoch() const { return step_.epoch; }
  int64_t global_step() const { return step_.global_step; }
  int64_t batch_idx() const { return step_.batch_idx; }
  int64_t dataloader_idx() const { return step_.dataloader_idx; }
  int64_t log_every_n_steps() const { return step_.log_every_n_steps; }
  double learning_rate() const { return step_.learning_rate; }
  // Of the model and the batch: at::Device(step.device()).
  std::string device() const { return step_.device.len == 0 ? "cpu" : to_string(step_.device); }

  // Flags: FATHOM_METRIC_*; 0 takes the defaults of the step. A tensor is read only when its value is needed.
  void log(std::string_view name, const at::Tensor& value, uint32_t flags = 0, double batch_size = 0) const {
    check(need(&fathom_step::log)(step_.ctx, to_abi(name), borrow(value), 0, flags, batch_size));
  }
  void log(std::string_view name, double value, uint32_t flags = 0, double batch_size = 0) const {
    check(need(&fathom_step::log)(step_.ctx, to_abi(name), nullptr, value, flags, batch_size));
  }

  // For the loggers that can take them (tensorboard), at global_step(), as what NeMo's models give to
  // self.logger.experiment; in a sanity check they go nowhere. Tensors of any type and device are copied when they have
  // to be.
  void log_text(std::string_view name, std::string_view text) const { media().log_text(name, text); }
  // Of any shape; at least one value.
  void log_histogram(std::string_view name, const at::Tensor& values) const {
    const at::Tensor plain = plain_floats(values);
    media().log_histogram(name, array_of_floats(plain));
  }
  // [frames] or [channels, frames], from -1 to 1; Hz.
  void log_audio(std::string_view name, const at::Tensor& samples, int64_t sample_rate) const {
    const at::Tensor plain = plain_floats(samples);
    media().log_audio(name, array_of_floats(plain), sample_rate);
  }
  // [height, width], or [channels, height, width] of 1, 3 or 4 channels; from 0 to 1.
  void log_image(std::string_view name, const at::Tensor& pixels) const {
    const at::Tensor plain = plain_floats(pixels);
    media().log_image(name, array_of_floats(plain));
  }

  // --- for models that derive from ManualOptimization, while training; `optimizer` is an index ---
  size_t optimizer_count() const { return step_.optimizer_count; }
  void backward(const at::Tensor& loss) const { check(need(&fathom_step::backward)(step_.ctx, borrow(loss))); }
  void optimizer_step(size_t optimizer = 0) const { check(need(&fathom_step::optimizer_step)(step_.ctx, optimizer)); }
  void zero_grad(size_t optimizer = 0) const { check(need(&fathom_step::zero_grad)(step_.ctx, optimizer)); }
  // Only this optimizer's parameters require gradients, until untoggle().
  void toggle(size_t optimizer) const { check(need(&fathom_step::toggle)(step_.ctx, optimizer, 1)); }
  void untoggle(size_t optimizer) const { check(need(&fathom_step::toggle)(step_.ctx, optimizer, 0)); }
  // Clips the gradients of an optimizer's parameters to a 2-norm, or each to a value; the norm before it.
  double clip_gradient_norm(double limit, size_t optimizer = 0) const {
    double norm = 0;
    check(need(&fathom_step::clip_gradients)(step_.ctx, optimizer, limit, to_abi("norm"), &norm));
    return norm;
  }
  void clip_gradient_value(double limit, size_t optimizer = 0) const {
    check(need(&fathom_step::clip_gradients)(step_.ctx, optimizer, limit, to_abi("value"), nullptr));
  }
  // The optimizer's schedule moves on, if it has one. `monitor`: for schedules that watch a metric.
  void scheduler_step(size_t optimizer = 0, std::optional<double> monitor = std::nullopt) const {
    check(need(&fathom_step::scheduler_step)(step_.ctx, optimizer, monitor ? &*monitor : nullptr));
  }

 private:
  MediaLog media() const { return MediaLog(step_.media); }
  static at::Tensor plain_floats(const at::Tensor& given) {
    return given.detach().to(at::TensorOptions(at::kFloat).device(at::kCPU)).contiguous();
  }
  static FloatArray array_of_floats(const at::Tensor& plain) {
    return {{plain.const_data_ptr<float>(), static_cast<size_t>(plain.numel())},
            {plain.sizes().data(), plain.sizes().size()}};
  }
  template <typename F>
  F need(F fathom_step::*function) const {
    if (step_.*function != nullptr) return step_.*function;
    throw Error(Code::kUnavailable, "this step cannot do that")
        .expected("training, of a model that derives from ManualOptimization where it steps optimizers itself")
        .next("update the program if it is older than the plugin");
  }
  fathom_step step_;
};

namespace model_detail {
const void* table();
}

// How a model is made: its constructor takes (Json config, ModelContext).
struct ModelKind : SimpleKind<NeuralModule, FATHOM_KIND_MODEL, &model_detail::table, NeuralModule::Storage> {
  template <typename T>
  static Json schema() {
    Json schema = SimpleKind::template schema<T>();
    // A restored model's section may hold what its author kept there. In an experiment's config, a key that the options
    // do not declare and that nothing refers to is a mistake.
    schema["extra"] = true;
    if constexpr (!std::is_same_v<typename OptionsOf<T>::type, NoOptions>) schema["refuses_unreferenced"] = true;
    if constexpr (requires { T::list_available_models(); }) {
      for (const PretrainedModelInfo& model : T::list_available_models()) {
        schema["pretrained_models"].push_back({{"name", model.name},
                                               {"description", model.description},
                                               {"location", model.location},
                                               {"aliases", model.aliases},
                                               {"sha256", model.sha256}});
      }
    }
    return schema;
  }
  template <typename T>
  static fathom_status create(const fathom_create_args* given, void** self) {
    static_assert(
        std::is_constructible_v<T, Json, ModelContext>,
        "a model's class needs a public constructor T(fathom::Json config, fathom::ModelContext context), and "
        "no pure virtual function may be left");
    return guard([&] {
      const fathom_create_args args = filled(given);
      const Json context = parse_json(args.context, "a model's context");
      ModelContext model_context{context.value("restoring", false), context.value("restore_dir", std::string()),
                                 context.value("world_size", int64_t{1}), to_string(args.config_path)};
      void* object = nullptr;
      T* made = NeuralModule::Storage::make<T>(&object, parse_json(args.config, "a model's config"),
                                               std::move(model_context));
      NeuralModule::created(*made, nullptr, args);
      *self = object;
    });
  }
};

class Model : public NeuralModule {
 public:
  using ComponentKind = ModelKind;

  Model(Json config, ModelContext context) : config_(std::move(config)), context_(std::move(context)) {}

  // The dataset of a stage from its section; null when the section asks for none.
  virtual MadeDataset make_dataset(Stage stage, const Json& section, const std::string& config_path) = 0;
  // The loss of one batch, to be differentiated. A model that optimizes by hand returns what it likes, or nothing.
  virtual at::Tensor training_step(const Values& batch, const Step& step) = 0;
  virtual void validation_step(const Values& batch, const Step& step) = 0;
  virtual void test_step(const Values& batch, const Step& step) { validation_step(batch, step); }
  // End of one loader of a validation or test epoch: log the epoch's metrics and reset them.
  virtual void eval_epoch_end(const Step& /*step*/) {}
  // What is known of each item, in order: texts, numbers, lists, tensors by name.
  virtual std::vector<Values> predict_step(const Values& /*batch*/, const Json& /*options*/) {
    throw Error(Code::kUnavailable, "this model has no inference of its own");
  }
  // Files that belong into a .nemo: config key -> path on disk.
  virtual std::vector<std::pair<std::string, std::string>> artifacts() const { return {}; }
  const Json& config() const { return config_; }
  // Made with make_child or given to add_child: modules, losses, metrics and tokenizers.
  struct Child {
    std::string name;
    fathom_object object;
    std::shared_ptr<const void> owner;  // keeps the object
  };
  const std::vector<Child>& children_by_name() const { return children_; }
  // Whether a child of the torch module is a typed one: made by name, of any plugin, or a class of this plugin's own.
  bool is_typed_child(const std::string& name, const torch::nn::Module& module) const {
    for (const Child& child : children_) {
      if (child.name == name) return true;
    }
    return dynamic_cast<const NeuralModule*>(&module) != nullptr;
  }
  const ModelContext& context() const { return context_; }

 protected:
  // Makes the child of section `name` and registers it under that name.
  ModuleHandle make_child(const std::string& name, const std::string& default_target = "") {
    Json section = config_.contains(name) ? config_[name] : Json::object();
    if (!default_target.empty() && !section.contains("_target_") && !section.contains("cls"))
      section["_target_"] = default_target;
    ModuleHandle child = make_module(section, context_.config_path.empty() ? name : context_.config_path + "." + name);
    add_child(name, child);
    return child;
  }
  // Registers a child made elsewhere under `name`.
  void add_child(const std::string& name, const ModuleHandle& child) {
    register_module(name, child.torch_module());
    keep_child(name, child);
  }
  // The host adds up a metric's sums over processes before eval_epoch_end, and keeps them in checkpoints.
  void add_child(const std::string& name, const MetricHandle& metric) { keep_child(name, metric); }
  void add_child(const std::string& name, const TokenizerHandle& tokenizer) { keep_child(name, tokenizer); }
  // Puts another module in the place of a child.
  void replace_child(const std::string& name, const ModuleHandle& child) {
    replace_module(name, child.torch_module());
    keep_child(name, child);
  }
  Json config_;

 private:
  template <typename Handle>
  void keep_child(const std::string& name, const Handle& handle) {
    Child child{name, handle.borrowed(), std::make_shared<Handle>(handle)};
    for (Child& known : children_) {
      if (known.name != name) continue;
      known = std::move(child);
      return;
    }
    children_.push_back(std::move(child));
  }
  ModelContext context_;
  std::vector<Child> children_;
};

namespace model_detail {

// `self` of a model is what a module's is, so that the module table works on it.
inline Model& model(void* self) { return static_cast<Model&>(module_detail::module(self)); }

inline const void* table() {
  static const fathom_model_v1 table = {
      sizeof(fathom_model_v1),
      static_cast<const fathom_module_v1*>(module_detail::table()),
      [](void* self, uint32_t stage, fathom_str config, fathom_str path, fathom_object* dataset) {
        return guard([&] {
          *dataset = {nullptr, nullptr};
          *dataset =
              model(self)
                  .make_dataset(static_cast<Stage>(stage), parse_json(config, "a dataset section"), to_string(path))
                  .object();
        });
      },
      [](void* self, const fathom_named_value* batch, size_t count, const fathom_step* step, const fathom_sink* loss) {
        return guard([&] {
          const at::Tensor value = model(self).training_step(Values::from_abi(batch, count), Step(step));
          if (value.defined()) emit(loss, Values{{"loss", value}});
        });
      },
      [](void* self, const fathom_named_value* batch, size_t count, const fathom_step* step) {
        return guard([&] {
          const Values values = Values::from_abi(batch, count);
          if (step->stage == FATHOM_STAGE_TEST)
            model(self).test_step(values, Step(step));
          else
            model(self).validation_step(values, Step(step));
        });
      },
      [](void* self, const fathom_step* step) { return guard([&] { model(self).eval_epoch_end(Step(step)); }); },
      [](void* self, const fathom_named_value* batch, size_t count, fathom_str options, const fathom_sink* items) {
        return guard([&] {
          for (auto& item :
               model(self).predict_step(Values::from_abi(batch, count), parse_json(options, "predict options"))) {
            emit(items, Values{{"item", Value(std::move(item))}});
          }
        });
      },
      [](void* self, const fathom_text_sink* json) {
        return guard([&] { write(json, json_text(model(self).config())); });
      },
      [](void* self, const fathom_sink* files) {
        return guard([&] {
          Values out;
          for (auto& [key, path] : model(self).artifacts()) out.add(key, path);
          emit(files, out);
        });
      },
      [](void* self, size_t index, fathom_str* name, fathom_object* object) {
        return guard([&] {
          const auto& children = model(self).children_by_name();
          *object = {nullptr, nullptr};
          if (index >= children.size()) return;
          *name = to_abi(children[index].name);
          *object = children[index].object;
        });
      },
      [](void* self, const fathom_text_sink* name) {
        return guard([&] {
          for (const auto& child : model(self).named_children()) {
            if (model(self).is_typed_child(child.key(), *child.value())) write(name, child.key());
          }
        });
      }};
  return &table;
}

}  // namespace model_detail

// A model on the host's side.
class ModelHandle {
 public:
  ModelHandle() = default;
  explicit ModelHandle(fathom_object object) : handle_(object), module_(filled(handle_.vtable().module)) {}
  explicit operator bool() const { return static_cast<bool>(handle_); }
  std::string name() const { return handle_.name(); }
  const fathom_object& object() const { return handle_.object(); }
  template <typename Table>
  Extension<Table> query(std::string_view id) const {
    return handle_.template query<Table>(id);
  }

  std::shared_ptr<torch::nn::Module> torch_module() const {
    void* pointer = module_.torch_module(handle_.self());
    if (pointer == nullptr) throw Error(Code::kUnavailable, "model '" + name() + "' has no torch module");
    return *static_cast<std::shared_ptr<torch::nn::Module>*>(pointer);
  }
  Values forward(const Values& in) const {
    const AbiValues abi(in);
    return collect_values(
        [&](const fathom_sink* out) { return module_.forward(handle_.self(), abi.data(), abi.size(), out); });
  }
  Values input_example() const {
    if (module_.input_example == nullptr) return {};
    return collect_values([&](const fathom_sink* out) { return module_.input_example(handle_.self(), out); });
  }
  // Empty where the section asks for none.
  DatasetHandle make_dataset(Stage stage, const Json& section, const std::string& config_path) const {
    fathom_object dataset{nullptr, nullptr};
    const std::string text = json_text(section);
    check(table().make_dataset(handle_.self(), static_cast<uint32_t>(stage), to_abi(text), to_abi(config_path),
                               &dataset));
    return DatasetHandle(dataset);
  }
  // Undefined where the model gives none.
  at::Tensor training_step(const Values& batch, const fathom_step& step) const {
    const AbiValues abi(batch);
    at::Tensor loss;
    const fathom_sink sink = {
        &loss, [](void* ctx, const fathom_named_value* value) {
          return guard([&] { *static_cast<at::Tensor*>(ctx) = Value::from_abi(value->value).tensor(); });
        }};
    check(table().training_step(handle_.self(), abi.data(), abi.size(), &step, &sink));
    return loss;
  }
  void eval_step(const Values& batch, const fathom_step& step) const {
    const AbiValues abi(batch);
    check(table().eval_step(handle_.self(), abi.data(), abi.size(), &step));
  }
  void eval_epoch_end(const fathom_step& step) const {
    if (table().eval_epoch_end != nullptr) check(table().eval_epoch_end(handle_.self(), &step));
  }
  std::vector<Values> predict_step(const Values& batch, const Json& options) const {
    if (table().predict_step == nullptr)
      throw Error(Code::kUnavailable, "model '" + name() + "' has no inference of its own");
    const AbiValues abi(batch);
    const std::string text = json_text(options);
    const Values items = collect_values([&](const fathom_sink* out) {
      return table().predict_step(handle_.self(), abi.data(), abi.size(), to_abi(text), out);
    });
    std::vector<Values> out;
    for (const auto& [item_name, item] : items) out.emplace_back(item.map());
    return out;
  }
  Json config() const {
    return read_json([&](const fathom_text_sink* json) { return table().config(handle_.self(), json); });
  }
  // Its children by name, in order, of the kinds in the bit set; borrowed, valid while the model lives.
  std::vector<std::pair<std::string, fathom_object>> children(uint32_t kinds) const {
    std::vector<std::pair<std::string, fathom_object>> out;
    for (size_t i = 0; table().child != nullptr; ++i) {
      fathom_str child_name{};
      fathom_object object{nullptr, nullptr};
      check(table().child(handle_.self(), i, &child_name, &object));
      if (object.component == nullptr) break;
      if ((kinds >> object.component->kind & 1) != 0) out.emplace_back(to_string(child_name), object);
    }
    return out;
  }
  std::vector<std::pair<std::string, ModuleHandle>> modules() const {
    std::vector<std::pair<std::string, ModuleHandle>> out;
    for (const auto& [child, object] : children(1u << FATHOM_KIND_MODULE | 1u << FATHOM_KIND_LOSS))
      out.emplace_back(child, ModuleHandle::borrow(object));
    return out;
  }
  std::vector<std::pair<std::string, MetricHandle>> metrics() const {
    std::vector<std::pair<std::string, MetricHandle>> out;
    for (const auto& [child, object] : children(1u << FATHOM_KIND_METRIC))
      out.emplace_back(child, MetricHandle::borrow(object));
    return out;
  }
  std::vector<std::string> typed_children() const {
    std::vector<std::string> names;
    if (table().typed_children == nullptr) {
      for (const auto& [name, module] : modules()) names.push_back(name);
      return names;
    }
    const fathom_text_sink sink = {&names, [](void* ctx, fathom_str name) {
                                     static_cast<std::vector<std::string>*>(ctx)->push_back(to_string(name));
                                   }};
    check(table().typed_children(handle_.self(), &sink));
    return names;
  }
  // The model's own ports.
  ModuleHandle::PortLists ports() const { return ModuleHandle::read_ports(module_, handle_.self()); }
  std::vector<std::pair<std::string, std::string>> artifacts() const {
    if (table().artifacts == nullptr) return {};
    const Values files = collect_values([&](const fathom_sink* out) { return table().artifacts(handle_.self(), out); });
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [key, path] : files) out.emplace_back(key, path.text());
    return out;
  }

 private:
  const fathom_model_v1& table() const { return handle_.vtable(); }
  Handle<fathom_model_v1> handle_;
  fathom_module_v1 module_{};
};

}  // namespace fathom
