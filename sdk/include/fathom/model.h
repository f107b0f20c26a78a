// Kind `model`: a NeuralModule that also makes datasets and has training, validation, test and predict steps.
//
// A model's constructor takes (const Json& config, const ModelContext&): the config is its whole section, resolved, and
// children are made from it by name (make_module). NeMo's conventions hold: sections preprocessor, encoder, decoder,
// loss, train_ds, validation_ds, test_ds, optim.
#pragma once

#include "fathom/abi/model.h"
#include "fathom/dataset.h"
#include "fathom/module.h"

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

// What a step sees of the trainer.
class Step {
 public:
  explicit Step(const fathom_step* step) : step_(step) {}
  Stage stage() const { return static_cast<Stage>(step_->stage); }
  int64_t epoch() const { return step_->epoch; }
  int64_t global_step() const { return step_->global_step; }
  int64_t batch_idx() const { return step_->batch_idx; }
  int64_t dataloader_idx() const { return step_->dataloader_idx; }
  int64_t log_every_n_steps() const { return step_->log_every_n_steps; }
  double learning_rate() const { return step_->learning_rate; }

  // Flags: FATHOM_METRIC_*; 0 takes the defaults of the step. A tensor is read only when its value is needed.
  void log(std::string_view name, const at::Tensor& value, uint32_t flags = 0, double batch_size = 0) const {
    auto* borrowed = reinterpret_cast<fathom_tensor>(const_cast<at::Tensor*>(&value));
    check(step_->log(step_->ctx, to_abi(name), borrowed, 0, flags, batch_size));
  }
  void log(std::string_view name, double value, uint32_t flags = 0, double batch_size = 0) const {
    check(step_->log(step_->ctx, to_abi(name), nullptr, value, flags, batch_size));
  }

 private:
  const fathom_step* step_;
};

class Model : public NeuralModule {
 public:
  Model(Json config, ModelContext context) : config_(std::move(config)), context_(std::move(context)) {}

  // The dataset of a stage from its section; null when the section asks for none.
  virtual std::shared_ptr<Dataset> make_dataset(Stage stage, const Json& section, const std::string& config_path) = 0;
  // The loss of one batch, to be differentiated.
  virtual at::Tensor training_step(const Values& batch, const Step& step) = 0;
  virtual void validation_step(const Values& batch, const Step& step) = 0;
  virtual void test_step(const Values& batch, const Step& step) { validation_step(batch, step); }
  // End of one loader of a validation or test epoch: log the epoch's metrics and reset them.
  virtual void eval_epoch_end(const Step& step) {}
  // One JSON object per item, in order.
  virtual std::vector<Json> predict_step(const Values& batch, const Json& options) {
    throw Error(Code::kUnavailable, "this model has no inference of its own");
  }
  // Files that belong into a .nemo: config key -> path on disk.
  virtual std::vector<std::pair<std::string, std::string>> artifacts() const { return {}; }
  // Edges between children: {"preprocessor.processed_signal", "encoder.audio_signal"}.
  virtual std::vector<std::pair<std::string, std::string>> wiring() const { return {}; }
  // Rebuilds what depends on the vocabulary (a decoder, a loss), with new weights, and changes the config.
  virtual void change_vocabulary(const std::vector<std::string>& vocabulary) {
    throw Error(Code::kUnavailable, "this model has no vocabulary to change")
        .seen(std::to_string(vocabulary.size()) + " labels");
  }
  virtual Json save_state() const { return nullptr; }
  virtual void load_state(const Json& state) {}

  const Json& config() const { return config_; }
  const std::vector<std::pair<std::string, ModuleHandle>>& children_by_name() const { return children_; }
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
  // Registers a child made elsewhere under `name`, which wiring() may then use.
  void add_child(const std::string& name, const ModuleHandle& child) {
    register_module(name, child.torch_module());
    children_.emplace_back(name, child);
  }
  // Puts another module in the place of a child.
  void replace_child(const std::string& name, const ModuleHandle& child) {
    replace_module(name, child.torch_module());
    for (auto& [known, handle] : children_) {
      if (known == name) handle = child;
    }
  }
  Json config_;

 private:
  ModelContext context_;
  std::vector<std::pair<std::string, ModuleHandle>> children_;
};

namespace model_detail {

// `self` of a model is a ModuleBox too, so that the module table works on it.
inline Model& model(void* self) { return static_cast<Model&>(*module_detail::box(self).typed); }

inline const fathom_model_v1* vtable() {
  static const fathom_model_v1 table = {
      sizeof(fathom_model_v1),
      module_detail::vtable(),
      [](void* self, uint32_t stage, fathom_str config, fathom_str path, fathom_object* dataset) {
        return guard([&] {
          *dataset = {nullptr, nullptr};
          auto made = model(self).make_dataset(static_cast<Stage>(stage), parse_json(config, "a dataset section"),
                                               to_string(path));
          if (made != nullptr) *dataset = DatasetHandle::wrap(std::move(made));
        });
      },
      [](void* self, const fathom_named_value* batch, size_t count, const fathom_step* step, const fathom_sink* loss) {
        return guard([&] {
          const Values out{{"loss", model(self).training_step(Values::from_abi(batch, count), Step(step))}};
          emit(loss, out);
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
          Values out;
          for (auto& item :
               model(self).predict_step(Values::from_abi(batch, count), parse_json(options, "predict options"))) {
            out.add("item", item.dump());
          }
          emit(items, out);
        });
      },
      [](void* self, const fathom_text_sink* json) { return guard([&] { write(json, model(self).config().dump()); }); },
      [](void* self, const fathom_sink* files) {
        return guard([&] {
          Values out;
          for (auto& [key, path] : model(self).artifacts()) out.add(key, path);
          emit(files, out);
        });
      },
      [](void* self, const fathom_text_sink* json) {
        return guard([&] {
          Json edges = Json::array();
          for (auto& [from, to] : model(self).wiring()) edges.push_back({{"from", from}, {"to", to}});
          write(json, edges.dump());
        });
      },
      [](void* self, size_t index, fathom_str* name, fathom_object* object) {
        return guard([&] {
          const auto& children = model(self).children_by_name();
          *object = {nullptr, nullptr};
          if (index >= children.size()) return;
          *name = to_abi(children[index].first);
          *object = children[index].second.borrowed();
        });
      },
      [](void* self, fathom_str vocabulary) {
        return guard([&] {
          model(self).change_vocabulary(parse_json(vocabulary, "a vocabulary").get<std::vector<std::string>>());
        });
      },
      [](void* self, const fathom_text_sink* json) {
        return guard([&] { write_state(json, model(self).save_state()); });
      },
      [](void* self, fathom_str json) {
        return guard([&] { model(self).load_state(parse_json(json, "a model's state")); });
      }};
  return &table;
}

}  // namespace model_detail

// A model's Options (if it declares any) describe its section; what crosses is the whole section. By default extra keys
// are allowed: model sections hold values that others refer to.
struct AnyModelOptions {
  static void describe(OptionSet<AnyModelOptions>& o) { o.allow_extra(); }
};

template <typename T>
struct KindOf<T, std::enable_if_t<std::is_base_of_v<Model, T>>> {
  static constexpr fathom_kind kind = FATHOM_KIND_MODEL;
  static const void* vtable() { return model_detail::vtable(); }
  static void describe(Json& schema) {
    if constexpr (std::is_same_v<typename OptionsOf<T>::type, NoOptions>) schema["extra"] = true;
  }
  static void destroy(void* self) { module_detail::destroy(self); }
  static fathom_status create(const fathom_create_args* args, void** self) {
    return guard([&] {
      const std::string path = to_string(args->config_path);
      const Json context = parse_json(args->context, "a model's context");
      ModelContext model_context{context.value("restoring", false), context.value("restore_dir", std::string()),
                                 context.value("world_size", int64_t{1}), path};
      auto model = std::make_shared<T>(parse_json(args->config, "a model's config"), std::move(model_context));
      model->set_owner_name(module_detail::owner_text(*args));
      *self = new module_detail::ModuleBox{model, model};
    });
  }
};

// A model on the host's side.
class ModelHandle {
 public:
  ModelHandle() = default;
  explicit ModelHandle(fathom_object object) : handle_(object) {}
  explicit operator bool() const { return static_cast<bool>(handle_); }
  std::string name() const { return handle_.name(); }

  std::shared_ptr<torch::nn::Module> torch_module() const {
    void* pointer = handle_.vtable().module->torch_module(handle_.self());
    if (pointer == nullptr) throw Error(Code::kUnavailable, "model '" + name() + "' has no torch module");
    return *static_cast<std::shared_ptr<torch::nn::Module>*>(pointer);
  }
  Values forward(const Values& in) const {
    const AbiValues abi(in);
    Values out;
    const fathom_sink sink = values_sink(out);
    check(handle_.vtable().module->forward(handle_.self(), abi.data(), abi.size(), &sink));
    return out;
  }
  DatasetHandle make_dataset(Stage stage, const Json& section, const std::string& config_path) const {
    fathom_object dataset{nullptr, nullptr};
    const std::string text = section.dump();
    check(handle_.vtable().make_dataset(handle_.self(), static_cast<uint32_t>(stage), to_abi(text), to_abi(config_path),
                                        &dataset));
    return DatasetHandle(dataset);
  }
  at::Tensor training_step(const Values& batch, const fathom_step& step) const {
    const AbiValues abi(batch);
    at::Tensor loss;
    const fathom_sink sink = {
        &loss, [](void* ctx, const fathom_named_value* value) {
          return guard([&] { *static_cast<at::Tensor*>(ctx) = Value::from_abi(value->value).tensor(); });
        }};
    check(handle_.vtable().training_step(handle_.self(), abi.data(), abi.size(), &step, &sink));
    return loss;
  }
  void eval_step(const Values& batch, const fathom_step& step) const {
    const AbiValues abi(batch);
    check(handle_.vtable().eval_step(handle_.self(), abi.data(), abi.size(), &step));
  }
  void eval_epoch_end(const fathom_step& step) const { check(handle_.vtable().eval_epoch_end(handle_.self(), &step)); }
  std::vector<Json> predict_step(const Values& batch, const Json& options) const {
    const AbiValues abi(batch);
    Values items;
    const fathom_sink sink = values_sink(items);
    const std::string text = options.dump();
    check(handle_.vtable().predict_step(handle_.self(), abi.data(), abi.size(), to_abi(text), &sink));
    std::vector<Json> out;
    for (const auto& [name, item] : items) out.push_back(Json::parse(item.text()));
    return out;
  }
  Json config() const { return read_json(handle_.vtable().config); }
  Json wiring() const { return read_json(handle_.vtable().wiring); }
  // Its children by name; valid while the model lives.
  std::vector<std::pair<std::string, ModuleHandle>> children() const {
    std::vector<std::pair<std::string, ModuleHandle>> out;
    for (size_t i = 0;; ++i) {
      fathom_str name{};
      fathom_object object{nullptr, nullptr};
      check(handle_.vtable().child(handle_.self(), i, &name, &object));
      if (object.component == nullptr) return out;
      out.emplace_back(to_string(name), ModuleHandle::borrow(object));
    }
  }
  // The model's own ports.
  ModuleHandle::PortView ports() const {
    ModuleHandle::PortView view{};
    check(handle_.vtable().module->ports(handle_.self(), &view.inputs, &view.input_count, &view.outputs,
                                         &view.output_count));
    return view;
  }
  void change_vocabulary(const std::vector<std::string>& vocabulary) const {
    const std::string text = Json(vocabulary).dump();
    check(handle_.vtable().change_vocabulary(handle_.self(), to_abi(text)));
  }
  Json save_state() const { return read_json(handle_.vtable().save_state); }
  void load_state(const Json& state) const {
    const std::string text = state.dump();
    check(handle_.vtable().load_state(handle_.self(), to_abi(text)));
  }
  std::vector<std::pair<std::string, std::string>> artifacts() const {
    Values files;
    const fathom_sink sink = values_sink(files);
    check(handle_.vtable().artifacts(handle_.self(), &sink));
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [key, path] : files) out.emplace_back(key, path.text());
    return out;
  }

 private:
  Json read_json(fathom_status (*function)(void*, const fathom_text_sink*)) const {
    return read_state([&](const fathom_text_sink* sink) { return function(handle_.self(), sink); });
  }
  Handle<fathom_model_v1> handle_;
};

}  // namespace fathom
