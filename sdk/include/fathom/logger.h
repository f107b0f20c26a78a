// Kind `logger`: receives metrics of a run. Uses no torch. Called from the training thread only.
//
//   class CsvLogger final : public fathom::Logger {
//    public:
//     struct Options { … };
//     CsvLogger(const Options& options, const fathom::Json& context);   // context: save_dir, name, version
//     void log_metrics(std::span<const fathom::Metric> metrics, int64_t step) override;
//   };
#pragma once

#include <span>

#include "fathom/abi/logger.h"
#include "fathom/plugin.h"

namespace fathom {

struct Metric {
  std::string_view name;
  double value;
};

class Logger {
 public:
  virtual ~Logger() = default;
  virtual void log_metrics(std::span<const Metric> metrics, int64_t step) = 0;
  virtual void log_hyperparams(const Json& hyperparams) {}
  virtual void log_text(std::string_view name, std::string_view text, int64_t step) {}
  // Everything logged so far reaches the disk.
  virtual void save() {}
  // "success", "failed" or "interrupted". The last call.
  virtual void finalize(std::string_view status) {}
  // What has been written so far (rows, bytes): goes into checkpoints. A resumed run calls load_state first, and what
  // the killed run wrote after that checkpoint must then be dropped, so that the files equal an uninterrupted run's.
  virtual Json save_state() { return nullptr; }
  virtual void load_state(const Json& state) {}
};

namespace logger_detail {
inline Logger& logger(void* self) { return *static_cast<Logger*>(self); }

inline const fathom_logger_v1* vtable() {
  static const fathom_logger_v1 table = {
      sizeof(fathom_logger_v1),
      [](void* self, const fathom_metric_value* metrics, size_t count, int64_t step) {
        return guard([&] {
          std::vector<Metric> list(count);
          for (size_t i = 0; i < count; ++i) list[i] = {to_view(metrics[i].name), metrics[i].value};
          logger(self).log_metrics(list, step);
        });
      },
      [](void* self, fathom_str json) {
        return guard([&] { logger(self).log_hyperparams(parse_json(json, "hyperparameters")); });
      },
      [](void* self, fathom_str name, fathom_str text, int64_t step) {
        return guard([&] { logger(self).log_text(to_view(name), to_view(text), step); });
      },
      [](void* self) { return guard([&] { logger(self).save(); }); },
      [](void* self, fathom_str status) { return guard([&] { logger(self).finalize(to_view(status)); }); },
      [](void* self, const fathom_text_sink* json) {
        return guard([&] { write_state(json, logger(self).save_state()); });
      },
      [](void* self, fathom_str json) {
        return guard([&] { logger(self).load_state(parse_json(json, "a logger's state")); });
      }};
  return &table;
}
}  // namespace logger_detail

template <typename T>
struct KindOf<T, std::enable_if_t<std::is_base_of_v<Logger, T>>> {
  static constexpr fathom_kind kind = FATHOM_KIND_LOGGER;
  static const void* vtable() { return logger_detail::vtable(); }
  static void describe(Json&) {}
  static fathom_status create(const fathom_create_args* args, void** self) {
    return create_component<T, Logger>(args, self,
                                       [](auto options, const Json&, const std::string&, const Json& context) {
                                         return static_cast<Logger*>(construct_raw<T>(options, context));
                                       });
  }
  static void destroy(void* self) { delete static_cast<Logger*>(self); }
};

// A logger on the host's side.
class LoggerHandle {
 public:
  explicit LoggerHandle(fathom_object object) : handle_(object) {}
  std::string name() const { return handle_.name(); }
  void log_metrics(std::span<const fathom_metric_value> metrics, int64_t step) const {
    check(handle_.vtable().log_metrics(handle_.self(), metrics.data(), metrics.size(), step));
  }
  void log_hyperparams(const Json& json) const {
    const std::string text = json.dump();
    check(handle_.vtable().log_hyperparams(handle_.self(), to_abi(text)));
  }
  void log_text(std::string_view name, std::string_view text, int64_t step) const {
    check(handle_.vtable().log_text(handle_.self(), to_abi(name), to_abi(text), step));
  }
  void save() const { check(handle_.vtable().save(handle_.self())); }
  void finalize(std::string_view status) const { check(handle_.vtable().finalize(handle_.self(), to_abi(status))); }
  Json save_state() const {
    return read_state([&](const fathom_text_sink* sink) { return handle_.vtable().save_state(handle_.self(), sink); });
  }
  void load_state(const Json& state) const {
    const std::string text = state.dump();
    check(handle_.vtable().load_state(handle_.self(), to_abi(text)));
  }

 private:
  Handle<fathom_logger_v1> handle_;
};

}  // namespace fathom
