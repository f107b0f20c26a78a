// Kind `metric`: sums over batches, values at the end of an epoch. An author derives from EpochMetric; `update` takes
// named values, `compute` gives named numbers. Used by one thread at a time.
#pragma once

#include "fathom/abi/metric.h"
#include "fathom/plugin.h"
#include "fathom/values.h"

namespace fathom {

class EpochMetric {
 public:
  virtual ~EpochMetric() = default;
  virtual void update(const Values& values) = 0;
  // Named results over everything since the last reset. Must not change the sums.
  virtual std::vector<std::pair<std::string, double>> compute() const = 0;
  virtual void reset() = 0;
  // The sums, as numbers that are added over ranks and kept in checkpoints.
  virtual std::map<std::string, double> sums() const = 0;
  virtual void set_sums(const std::map<std::string, double>& sums) = 0;
};

namespace metric_detail {

inline EpochMetric& metric(void* self) { return *static_cast<EpochMetric*>(self); }

inline const fathom_metric_v1* vtable() {
  static const fathom_metric_v1 table = {
      sizeof(fathom_metric_v1),
      [](void* self, const fathom_named_value* values, size_t count) {
        return guard([&] { metric(self).update(Values::from_abi(values, count)); });
      },
      [](void* self, const fathom_sink* results) {
        return guard([&] {
          Values out;
          for (const auto& [name, value] : metric(self).compute()) out.add(name, value);
          emit(results, out);
        });
      },
      [](void* self) { return guard([&] { metric(self).reset(); }); },
      [](void* self, const fathom_text_sink* json) {
        return guard([&] { write(json, options_detail::dump(metric(self).sums()).dump()); });
      },
      [](void* self, fathom_str json) {
        return guard([&] {
          const Json sums = parse_json(json, "a metric's state");
          metric(self).set_sums(options_detail::read<std::map<std::string, double>>(sums, "sums"));
        });
      }};
  return &table;
}

}  // namespace metric_detail

template <typename T>
struct KindOf<T, std::enable_if_t<std::is_base_of_v<EpochMetric, T>>> {
  static constexpr fathom_kind kind = FATHOM_KIND_METRIC;
  static const void* vtable() { return metric_detail::vtable(); }
  static void describe(Json&) {}
  static fathom_status create(const fathom_create_args* args, void** self) {
    return create_component<T, EpochMetric>(args, self,
                                            [](auto options, const Json&, const std::string&, const Json& context) {
                                              return static_cast<EpochMetric*>(construct_raw<T>(options, context));
                                            });
  }
  static void destroy(void* self) { delete static_cast<EpochMetric*>(self); }
};

// A metric on the caller's side.
class MetricHandle {
 public:
  explicit MetricHandle(fathom_object object) : handle_(object) {}
  void update(const Values& values) const {
    const AbiValues abi(values);
    check(handle_.vtable().update(handle_.self(), abi.data(), abi.size()));
  }
  std::map<std::string, double> compute() const {
    Values results;
    const fathom_sink sink = values_sink(results);
    check(handle_.vtable().compute(handle_.self(), &sink));
    std::map<std::string, double> out;
    for (const auto& [name, value] : results) out[name] = value.real();
    return out;
  }
  void reset() const { check(handle_.vtable().reset(handle_.self())); }
  Json save_state() const {
    std::string text;
    const fathom_text_sink sink = text_sink(text);
    check(handle_.vtable().save_state(handle_.self(), &sink));
    return Json::parse(text);
  }
  void load_state(const Json& state) const {
    const std::string text = state.dump();
    check(handle_.vtable().load_state(handle_.self(), to_abi(text)));
  }

 private:
  Handle<fathom_metric_v1> handle_;
};

}  // namespace fathom
