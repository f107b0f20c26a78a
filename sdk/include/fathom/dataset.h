// Kind `dataset`: indexed items and how to batch them.
//
//   struct Clip { at::Tensor audio; std::vector<int64_t> tokens; };
//   class Clips final : public fathom::DatasetOf<Clip> {
//    public:
//     int64_t size() const override;
//     Clip get(int64_t index, uint64_t seed) const override;                       // many threads at once
//     fathom::Values collate(const std::vector<const Clip*>& clips) const override; // many threads at once
//   };
//
// A dataset that a config names beside a model may have a second argument in its constructor, the context: a JSON
// object
// {"stage": "train" | "validation" | "test" | "predict", "model": the model's section, "artifacts": {key of that
// section: path of the file that it names}}. So one that reads texts finds the tokenizer its model was trained with.
#pragma once

#include "fathom/abi/dataset.h"
#include "fathom/neural_type.h"
#include "fathom/plugin.h"
#include "fathom/values.h"

namespace fathom {

namespace dataset_detail {
const void* table();
}

class Dataset {
 public:
  using Storage = Shared<Dataset>;
  using ComponentKind = SimpleKind<Dataset, FATHOM_KIND_DATASET, &dataset_detail::table, Storage>;

  virtual ~Dataset() = default;
  // -1: not known, of an iterable one (iterable.h).
  virtual int64_t size() const = 0;
  // How long an item is, without loading it, in a unit that is the same for all; negative = unknown. For bucketing
  // (use_bucketing). Batches by seconds or tokens take a dataset that names its unit (lengths.h).
  virtual double length_hint(int64_t /*index*/) const { return -1; }
  virtual Ports outputs() const { return {}; }

  // Untyped access, implemented by DatasetOf.
  virtual void* get_sample(int64_t index, uint64_t seed) const = 0;
  virtual void free_sample(void* sample) const = 0;
  virtual Values collate_samples(void* const* samples, size_t count) const = 0;

  const PortTable& port_table() const {
    if (!ports_) ports_ = std::make_unique<PortTable>(outputs());
    return *ports_;
  }

 private:
  mutable std::unique_ptr<PortTable> ports_;
};

template <typename Sample>
class DatasetOf : public Dataset {
 public:
  // Loads one item. `seed` is the only source of randomness.
  virtual Sample get(int64_t index, uint64_t seed) const = 0;
  virtual Values collate(const std::vector<const Sample*>& samples) const = 0;

  void* get_sample(int64_t index, uint64_t seed) const final { return new Sample(get(index, seed)); }
  void free_sample(void* sample) const final { delete static_cast<Sample*>(sample); }
  Values collate_samples(void* const* samples, size_t count) const final {
    std::vector<const Sample*> typed(count);
    for (size_t i = 0; i < count; ++i) typed[i] = static_cast<const Sample*>(samples[i]);
    return collate(typed);
  }
};

namespace dataset_detail {

inline Dataset& dataset(void* self) { return Dataset::Storage::get(self); }

inline const void* table() {
  static const fathom_dataset_v1 table = {
      sizeof(fathom_dataset_v1),
      [](void* self, int64_t* size) { return guard([&] { *size = dataset(self).size(); }); },
      [](void* self, int64_t index, uint64_t seed, void** sample) {
        return guard([&] { *sample = dataset(self).get_sample(index, seed); });
      },
      [](void* self, void* sample) { dataset(self).free_sample(sample); },
      [](void* self, void* const* samples, size_t count, const fathom_sink* batch) {
        return guard([&] { emit(batch, dataset(self).collate_samples(samples, count)); });
      },
      [](void* self, int64_t index, double* length) {
        return guard([&] { *length = dataset(self).length_hint(index); });
      },
      [](void* self, fathom_ports* ports) { return guard([&] { *ports = dataset(self).port_table().abi(); }); }};
  return &table;
}
// The descriptor of datasets of class T that a model makes itself, without a name in any config.
template <typename T>
const fathom_component* anonymous() {
  static const fathom_component component = [] {
    using Kind = Dataset::ComponentKind;
    fathom_component c{};
    c.struct_size = sizeof(c);
    c.kind = Kind::kind;
    c.name = to_abi("dataset");
    c.schema = to_abi("{}");
    c.destroy = &Kind::destroy;
    c.vtable = Kind::vtable();
    c.query = &Kind::template query<T>;
    return c;
  }();
  return &component;
}

}  // namespace dataset_detail

// A dataset that a model made itself (Model::make_dataset): what crosses knows the capabilities of its class.
class MadeDataset {
 public:
  MadeDataset() = default;        // none
  MadeDataset(std::nullptr_t) {}  // NOLINT
  template <std::derived_from<Dataset> T>
  MadeDataset(std::shared_ptr<T> dataset)  // NOLINT: conversion is the point
      : component_(dataset == nullptr ? nullptr : dataset_detail::anonymous<T>()), dataset_(std::move(dataset)) {}
  explicit operator bool() const { return dataset_ != nullptr; }
  const std::shared_ptr<Dataset>& get() const { return dataset_; }
  Dataset& operator*() const { return *dataset_; }
  Dataset* operator->() const { return dataset_.get(); }
  // The object for the boundary, which owns a share of the dataset; empty for none.
  fathom_object object() const {
    if (dataset_ == nullptr) return {nullptr, nullptr};
    return {component_, new std::shared_ptr<Dataset>(dataset_)};
  }

 private:
  const fathom_component* component_ = nullptr;
  std::shared_ptr<Dataset> dataset_;
};

// A dataset on the caller's side. Thread-safe.
class DatasetHandle {
 public:
  // A batch's samples, freed together.
  class Sample {
   public:
    Sample() = default;
    Sample(const DatasetHandle* owner, void* pointer) : owner_(owner), pointer_(pointer) {}
    Sample(Sample&& other) noexcept : owner_(other.owner_), pointer_(std::exchange(other.pointer_, nullptr)) {}
    Sample& operator=(Sample&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(pointer_, other.pointer_);
      return *this;
    }
    ~Sample() {
      if (pointer_ != nullptr) owner_->handle_.vtable().free_sample(owner_->handle_.self(), pointer_);
    }
    void* pointer() const { return pointer_; }

   private:
    const DatasetHandle* owner_ = nullptr;
    void* pointer_ = nullptr;
  };

  DatasetHandle() = default;
  explicit DatasetHandle(fathom_object object) : handle_(object) {}

  explicit operator bool() const { return static_cast<bool>(handle_); }
  std::string name() const { return handle_.name(); }
  // What its batches hold; empty when it does not say.
  std::vector<fathom_port> ports() const {
    if (handle_.vtable().ports == nullptr) return {};
    fathom_ports ports{};
    check(handle_.vtable().ports(handle_.self(), &ports));
    return port_list(ports);
  }
  int64_t size() const {
    int64_t size = 0;
    check(handle_.vtable().size(handle_.self(), &size));
    return size;
  }
  Sample get(int64_t index, uint64_t seed) const {
    void* sample = nullptr;
    check(handle_.vtable().get(handle_.self(), index, seed, &sample));
    return Sample(this, sample);
  }
  Values collate(const std::vector<Sample>& samples) const {
    std::vector<void*> pointers;
    for (const auto& sample : samples) pointers.push_back(sample.pointer());
    Values batch;
    const fathom_sink sink = values_sink(batch);
    check(handle_.vtable().collate(handle_.self(), pointers.data(), pointers.size(), &sink));
    return batch;
  }
  // Takes over a sample that an iterable gave.
  Sample own(void* sample) const { return Sample(this, sample); }
  double length_hint(int64_t index) const {
    double length = -1;
    if (handle_.vtable().length_hint == nullptr) return length;
    check(handle_.vtable().length_hint(handle_.self(), index, &length));
    return length;
  }
  template <typename Table>
  Extension<Table> query(std::string_view id) const {
    return handle_.template query<Table>(id);
  }
  const fathom_object& object() const { return handle_.object(); }
  fathom_object release() { return handle_.release(); }

 private:
  Handle<fathom_dataset_v1> handle_;
};

}  // namespace fathom
