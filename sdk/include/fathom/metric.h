// Kind `metric`: sums over batches, values at the end of an epoch. An author derives from EpochMetric; `update` takes
// named values, `compute` gives named numbers. Used by one thread at a time.
#pragma once

#include "fathom/abi/metric.h"
#include "fathom/plugin.h"
#include "fathom/values.h"

namespace fathom {

namespace metric_detail {
const void* table();
}

class EpochMetric {
 public:
  using ComponentKind = SimpleKind<EpochMetric, FATHOM_KIND_METRIC, &metric_detail::table>;
  virtual ~EpochMetric() = default;
  virtual void update(const Values& values) = 0;
  // Named results over everything since the last reset. Must not change the sums.
  virtual std::vector<std::pair<std::string, double>> compute() const = 0;
  virtual void reset() = 0;
  // The sums, as numbers that are added over processes and kept in checkpoints. Everything compute() needs, and nothing
  // else: a metric without sums is refused where several processes run.
  virtual std::map<std::string, double> sums() const = 0;
  virtual void set_sums(const std::map<std::string, double>& sums) = 0;
};

namespace metric_detail {

inline EpochMetric& metric(void* self) { return *static_cast<EpochMetric*>(self); }

inline const void* table() {
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
        return guard([&] { write(json, json_text(options_detail::dump(metric(self).sums()))); });
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

// A metric on the caller's side.
class MetricHandle {
 public:
  MetricHandle() = default;
  explicit MetricHandle(fathom_object object) : handle_(std::make_shared<Handle<fathom_metric_v1>>(object)) {}
  // An object somebody else owns and keeps for as long as this is used.
  static MetricHandle borrow(fathom_object object) {
    MetricHandle out;
    out.handle_ = borrowed_handle<fathom_metric_v1>(object);
    return out;
  }
  explicit operator bool() const { return handle_ != nullptr; }
  std::string name() const { return handle_->name(); }
  fathom_object borrowed() const { return handle_->object(); }

  void update(const Values& values) const {
    const AbiValues abi(values);
    check(table().update(handle_->self(), abi.data(), abi.size()));
  }
  std::map<std::string, double> compute() const {
    Values results;
    const fathom_sink sink = values_sink(results);
    check(table().compute(handle_->self(), &sink));
    std::map<std::string, double> out;
    for (const auto& [name, value] : results) out[name] = value.real();
    return out;
  }
  void reset() const { check(table().reset(handle_->self())); }
  // Empty where the metric lists none; set_sums() then fails.
  std::map<std::string, double> sums() const {
    if (table().sums == nullptr) return {};
    const Json sums = read_json([&](const fathom_text_sink* sink) { return table().sums(handle_->self(), sink); });
    return options_detail::read<std::map<std::string, double>>(sums, "sums");
  }
  void set_sums(const std::map<std::string, double>& sums) const {
    const std::string text = json_text(options_detail::dump(sums));
    if (table().set_sums == nullptr) throw Error(Code::kUnavailable, "the metric '" + name() + "' takes no sums");
    check(table().set_sums(handle_->self(), to_abi(text)));
  }

 private:
  const fathom_metric_v1& table() const { return handle_->vtable(); }
  std::shared_ptr<Handle<fathom_metric_v1>> handle_;
};

// A metric made by name, of any plugin.
inline MetricHandle make_metric(const Json& config, const std::string& config_path) {
  return MetricHandle(create_object(1u << FATHOM_KIND_METRIC, config, config_path));
}

}  // namespace fathom
