// Kind `dataset`: indexed items and how to batch them.
//
//   struct Clip { at::Tensor audio; std::vector<int64_t> tokens; };
//   class Clips final : public fathom::DatasetOf<Clip> {
//    public:
//     int64_t size() const override;
//     Clip get(int64_t index, uint64_t seed) const override;                       // many threads at once
//     fathom::Values collate(const std::vector<const Clip*>& clips) const override; // many threads at once
//   };
#pragma once

#include "fathom/abi/dataset.h"
#include "fathom/neural_type.h"
#include "fathom/plugin.h"
#include "fathom/values.h"

namespace fathom {

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // Seconds or tokens of an item without loading it; negative = unknown. For bucketing and reports.
  virtual double length_hint(int64_t index) const { return -1; }
  virtual Ports outputs() const { return {}; }

  // Untyped access, implemented by DatasetOf.
  virtual void* get_sample(int64_t index, uint64_t seed) const = 0;
  virtual void free_sample(void* sample) const = 0;
  virtual Values collate_samples(void* const* samples, size_t count) const = 0;
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

struct DatasetBox {
  std::shared_ptr<Dataset> dataset;
  PortTable ports;
};
inline DatasetBox& box(void* self) { return *static_cast<DatasetBox*>(self); }

inline const fathom_dataset_v1* vtable() {
  static const fathom_dataset_v1 table = {
      sizeof(fathom_dataset_v1),
      [](void* self, int64_t* size) { return guard([&] { *size = box(self).dataset->size(); }); },
      [](void* self, int64_t index, uint64_t seed, void** sample) {
        return guard([&] { *sample = box(self).dataset->get_sample(index, seed); });
      },
      [](void* self, void* sample) { box(self).dataset->free_sample(sample); },
      [](void* self, void* const* samples, size_t count, const fathom_sink* batch) {
        return guard([&] { emit(batch, box(self).dataset->collate_samples(samples, count)); });
      },
      [](void* self, int64_t index, double* length) {
        return guard([&] { *length = box(self).dataset->length_hint(index); });
      },
      [](void* self, const fathom_port** ports, size_t* count) {
        return guard([&] {
          if (box(self).ports.size() == 0) box(self).ports = PortTable(box(self).dataset->outputs());
          *ports = box(self).ports.data();
          *count = box(self).ports.size();
        });
      }};
  return &table;
}
inline void destroy(void* self) { delete static_cast<DatasetBox*>(self); }

// The descriptor of datasets a model makes itself, without a name in any config.
inline const fathom_component* anonymous() {
  static const fathom_component component = {sizeof(fathom_component),
                                             FATHOM_KIND_DATASET,
                                             to_abi("dataset"),
                                             nullptr,
                                             0,
                                             to_abi(""),
                                             to_abi("{}"),
                                             nullptr,
                                             &destroy,
                                             vtable()};
  return &component;
}

}  // namespace dataset_detail

template <typename T>
struct KindOf<T, std::enable_if_t<std::is_base_of_v<Dataset, T>>> {
  static constexpr fathom_kind kind = FATHOM_KIND_DATASET;
  static const void* vtable() { return dataset_detail::vtable(); }
  static void describe(Json&) {}
  static void destroy(void* self) { dataset_detail::destroy(self); }
  static fathom_status create(const fathom_create_args* args, void** self) {
    return create_component<T, dataset_detail::DatasetBox>(
        args, self, [](auto options, const Json&, const std::string&, const Json& context) {
          return new dataset_detail::DatasetBox{construct_shared<T>(options, context), {}};
        });
  }
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
  // Wraps a dataset of the same binary, for models that make their own.
  static fathom_object wrap(std::shared_ptr<Dataset> dataset) {
    return {dataset_detail::anonymous(), new dataset_detail::DatasetBox{std::move(dataset), {}}};
  }

  explicit operator bool() const { return static_cast<bool>(handle_); }
  std::string name() const { return handle_.name(); }
  // What its batches hold; empty when it does not say.
  std::vector<fathom_port> ports() const {
    const fathom_port* ports = nullptr;
    size_t count = 0;
    check(handle_.vtable().ports(handle_.self(), &ports, &count));
    return {ports, ports + count};
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
  double length_hint(int64_t index) const {
    double length = -1;
    check(handle_.vtable().length_hint(handle_.self(), index, &length));
    return length;
  }
  fathom_object release() { return handle_.release(); }

 private:
  Handle<fathom_dataset_v1> handle_;
};

}  // namespace fathom
