// Kind `logger`: receives metrics of a run. Uses no torch. Called from the training thread only.
//
//   class CsvLogger final : public fathom::Logger {
//    public:
//     struct Options { … };
//     CsvLogger(const Options& options, const fathom::Json& context);   // context: save_dir, name, version
//     void log_metrics(std::span<const fathom::Metric> metrics, int64_t step) override;
//   };
//
// A logger that is also fathom::Stateful says what it has written so far (rows, bytes), which goes into checkpoints. A
// resumed run calls load_state first, and what the killed run wrote after that checkpoint must then be dropped, so that
// the files equal an uninterrupted run's.
//
// An exception never stops training: the program warns once, with the logger's name, and calls that logger no more.
#pragma once

#include <span>

#include "fathom/abi/logger.h"
#include "fathom/media.h"
#include "fathom/plugin.h"

namespace fathom {

struct Metric {
  std::string_view name;
  double value;
};

namespace logger_detail {
const void* table();
}

class Logger {
 public:
  using ComponentKind = SimpleKind<Logger, FATHOM_KIND_LOGGER, &logger_detail::table>;
  virtual ~Logger() = default;
  virtual void log_metrics(std::span<const Metric> metrics, int64_t step) = 0;
  virtual void log_hyperparams(const Json& /*hyperparams*/) {}
  virtual void log_text(std::string_view /*name*/, std::string_view /*text*/, int64_t /*step*/) {}
  // Borrowed for the call; at least one value, which may be no number.
  virtual void log_histogram(std::string_view /*name*/, std::span<const float> /*values*/, int64_t /*step*/) {}
  virtual void log_audio(std::string_view /*name*/, const Audio& /*audio*/, int64_t /*step*/) {}
  virtual void log_image(std::string_view /*name*/, const Image& /*image*/, int64_t /*step*/) {}
  // Everything logged so far reaches the disk. Comes before save_state() of a Stateful logger.
  virtual void save() {}
  // "success", "failed" or "interrupted". The last call, unless a test follows the training, which ends with another.
  virtual void finalize(std::string_view /*status*/) {}
};

namespace logger_detail {
inline Logger& logger(void* self) { return *static_cast<Logger*>(self); }

inline const void* table() {
  static const fathom_logger_v1 table = {
      sizeof(fathom_logger_v1),
      [](void* self, const fathom_metric_values* metrics, int64_t step) {
        return guard([&] {
          const ArrayView<fathom_metric_values> given(*metrics);
          std::vector<Metric> list(given.size());
          for (size_t i = 0; i < list.size(); ++i) list[i] = {to_view(given[i].name), given[i].value};
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
      [](void* self, fathom_str name, const fathom_float_array* values, int64_t step) {
        return guard([&] { logger(self).log_histogram(to_view(name), float_array(values).values, step); });
      },
      [](void* self, fathom_str name, const fathom_float_array* samples, int64_t sample_rate, int64_t step) {
        return guard([&] { logger(self).log_audio(to_view(name), audio_of(float_array(samples), sample_rate), step); });
      },
      [](void* self, fathom_str name, const fathom_float_array* pixels, int64_t step) {
        return guard([&] { logger(self).log_image(to_view(name), image_of(float_array(pixels)), step); });
      }};
  return &table;
}
}  // namespace logger_detail

// A logger on the host's side. What a logger has no function for is not told to it.
class LoggerHandle {
 public:
  explicit LoggerHandle(fathom_object object) : handle_(object) {}
  std::string name() const { return handle_.name(); }
  void log_metrics(std::span<const fathom_metric_value> metrics, int64_t step) const {
    const auto array = array_of<fathom_metric_values>(metrics.data(), metrics.size());
    check(handle_.vtable().log_metrics(handle_.self(), &array, step));
  }
  void log_hyperparams(const Json& json) const {
    if (handle_.vtable().log_hyperparams == nullptr) return;
    const std::string text = json_text(json);
    check(handle_.vtable().log_hyperparams(handle_.self(), to_abi(text)));
  }
  void log_text(std::string_view name, std::string_view text, int64_t step) const {
    if (handle_.vtable().log_text != nullptr)
      check(handle_.vtable().log_text(handle_.self(), to_abi(name), to_abi(text), step));
  }
  void log_histogram(std::string_view name, const fathom_float_array& values, int64_t step) const {
    if (handle_.vtable().log_histogram != nullptr)
      check(handle_.vtable().log_histogram(handle_.self(), to_abi(name), &values, step));
  }
  void log_audio(std::string_view name, const fathom_float_array& samples, int64_t sample_rate, int64_t step) const {
    if (handle_.vtable().log_audio != nullptr)
      check(handle_.vtable().log_audio(handle_.self(), to_abi(name), &samples, sample_rate, step));
  }
  void log_image(std::string_view name, const fathom_float_array& pixels, int64_t step) const {
    if (handle_.vtable().log_image != nullptr)
      check(handle_.vtable().log_image(handle_.self(), to_abi(name), &pixels, step));
  }
  void save() const {
    if (handle_.vtable().save != nullptr) check(handle_.vtable().save(handle_.self()));
  }
  void finalize(std::string_view status) const {
    if (handle_.vtable().finalize != nullptr) check(handle_.vtable().finalize(handle_.self(), to_abi(status)));
  }
  bool is_stateful() const { return has_state(handle_.object()); }
  Json save_state() const { return fathom::save_state(handle_.object()); }
  void load_state(const Json& state) const { fathom::load_state(handle_.object(), state); }

 private:
  Handle<fathom_logger_v1> handle_;
};

}  // namespace fathom
