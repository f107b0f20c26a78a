// Datasets whose items only come one after another ("fathom.iterable/1"): a stream of shards, a generator.
//
//   class Numbers final : public fathom::IterableDatasetOf<int64_t> {
//     std::unique_ptr<Items> start(uint64_t seed) override;        // one epoch, from its first item
//     Values collate(const std::vector<const int64_t*>& samples) const override;
//   };
#pragma once

#include <memory>
#include <optional>

#include "fathom/abi/iterable.h"
#include "fathom/dataset.h"

namespace fathom {

class Iterable {
 public:
  virtual ~Iterable() = default;
  virtual void start_epoch(uint64_t seed, int64_t skip) = 0;
  virtual void* next_sample() = 0;  // null at the end
};

template <>
struct Capability<Iterable> {
  static constexpr std::string_view id = FATHOM_ITERABLE_EXTENSION;
  template <typename Get>
  static const void* table() {
    static const fathom_iterable_v1 table = {
        sizeof(fathom_iterable_v1),
        [](void* self, uint64_t seed, int64_t skip) { return guard([&] { Get::get(self).start_epoch(seed, skip); }); },
        [](void* self, void** sample) { return guard([&] { *sample = Get::get(self).next_sample(); }); }};
    return &table;
  }
};

template <typename Sample>
class IterableDatasetOf : public DatasetOf<Sample>, public Iterable {
 public:
  // The items of one epoch, in order; nothing at the end.
  class Items {
   public:
    virtual ~Items() = default;
    virtual std::optional<Sample> next() = 0;
    // Passes over `count` items, for a run that goes on in mid-epoch. Override where that is cheaper than making them.
    virtual void skip(int64_t count) {
      for (int64_t i = 0; i < count && next(); ++i) {
      }
    }
  };
  // An epoch's items depend on `seed` alone.
  virtual std::unique_ptr<Items> start(uint64_t seed) = 0;

  int64_t size() const override { return -1; }
  Sample get(int64_t, uint64_t) const final {
    throw Error(Code::kInternal, "an iterable dataset was asked for an item by its index");
  }
  void start_epoch(uint64_t seed, int64_t skip) final {
    items_ = start(seed);
    if (skip > 0) items_->skip(skip);
  }
  void* next_sample() final {
    std::optional<Sample> sample = items_ == nullptr ? std::nullopt : items_->next();
    return sample ? new Sample(std::move(*sample)) : nullptr;
  }

 private:
  std::unique_ptr<Items> items_;
};

}  // namespace fathom
