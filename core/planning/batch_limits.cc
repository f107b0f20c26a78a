#include "core/planning/batch_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace fathom {

int64_t limited_batches(const Json& limit, int64_t batches, const std::string& key) {
  if (limit.is_null()) return batches;
  if (limit.is_number_integer()) {
    const auto count = limit.get<int64_t>();
    if (count < 0) throw Error(Code::kFailed, "must not be negative").at(key).seen(json_text(limit));
    return std::min(count, batches);
  }
  if (!limit.is_number())
    throw Error(Code::kFailed, "is no limit").at(key).seen(json_text(limit)).expected("an int or a fraction");
  const auto fraction = limit.get<double>();
  if (batches == kUnknownBatches) {
    if (fraction == 1.0) return batches;
    throw Error(Code::kFailed, "a fraction of data whose length is not known cannot be taken")
        .at(key)
        .seen(json_text(limit))
        .expected("an int, or 1.0 for all");
  }
  if (fraction > 1.0 && fraction == static_cast<double>(static_cast<int64_t>(fraction))) {
    return std::min(static_cast<int64_t>(fraction), batches);  // 2.0 is read as two batches
  }
  if (fraction < 0 || fraction > 1.0) {
    throw Error(Code::kFailed, "is neither a fraction nor a count")
        .at(key)
        .seen(json_text(limit))
        .expected("0.0 to 1.0, or an int");
  }
  const auto count = static_cast<int64_t>(static_cast<double>(batches) * fraction);
  if (count == 0 && fraction > 0 && batches > 0) {
    throw Error(Code::kFailed, "this fraction leaves no batch")
        .at(key)
        .seen(json_text(limit))
        .expected(fmt::format("at least {} for {} batches", 1.0 / static_cast<double>(batches), batches))
        .next("use an int to name a number of batches");
  }
  return count;
}

bool ValidationPlan::due(int64_t epoch, int64_t batch_idx, int64_t batches_seen, bool last_batch) const {
  if (every_batches <= 0) return false;
  if (every_batches == kUnknownBatches) return last_batch && (epoch + 1) % every_epochs == 0;
  if (across_epochs) return batches_seen % every_batches == 0;
  if ((epoch + 1) % every_epochs != 0) return false;
  return (batch_idx + 1) % every_batches == 0;
}

ValidationPlan plan_validation(const Json& interval, std::optional<int64_t> every_epochs, int64_t batches,
                               const std::string& path) {
  const std::string key = path + ".val_check_interval";
  ValidationPlan plan;
  plan.across_epochs = !every_epochs.has_value();
  plan.every_epochs = every_epochs.value_or(1);
  if (plan.every_epochs < 1) {
    throw Error(Code::kFailed, "must be at least 1")
        .at(path + ".check_val_every_n_epoch")
        .seen(std::to_string(plan.every_epochs));
  }
  if (interval.is_number_integer()) {
    plan.every_batches = interval.get<int64_t>();
    if (plan.every_batches < 1) throw Error(Code::kFailed, "must be at least 1").at(key).seen(json_text(interval));
    if (!plan.across_epochs && plan.every_batches > batches && batches > 0) {
      throw Error(Code::kFailed,
                  fmt::format("must be less than or equal to the number of the training batches ({})", batches))
          .at(key)
          .seen(json_text(interval))
          .next("set check_val_every_n_epoch=null to count batches over epochs");
    }
    plan.at_epoch_end = false;
    return plan;
  }
  if (!interval.is_number() || interval.get<double>() < 0 || interval.get<double>() > 1) {
    throw Error(Code::kFailed, "is no interval")
        .at(key)
        .seen(json_text(interval))
        .expected("0.0 to 1.0, or an int of at least 1");
  }
  if (plan.across_epochs) {
    throw Error(Code::kFailed, "a fraction of an epoch cannot be counted over epochs")
        .at(key)
        .seen(json_text(interval))
        .expected("an int, because check_val_every_n_epoch is null");
  }
  const auto fraction = interval.get<double>();
  if (batches == kUnknownBatches) {
    if (fraction != 1.0) {
      throw Error(Code::kFailed, "a fraction of an epoch whose length is not known cannot be taken")
          .at(key)
          .seen(json_text(interval))
          .expected("1.0 for the end of an epoch, or an int");
    }
    plan.every_batches = kUnknownBatches;
    plan.at_epoch_end = plan.every_epochs == 1;
    return plan;
  }
  plan.every_batches = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(batches) * fraction));
  plan.at_epoch_end = fraction == 1.0 && plan.every_epochs == 1;
  return plan;
}

double parse_max_time(const std::string& text, const std::string& key) {
  int days = 0, hours = 0, minutes = 0, seconds = 0, used = 0;
  if (std::sscanf(text.c_str(), "%d:%d:%d:%d%n", &days, &hours, &minutes, &seconds, &used) != 4 ||
      static_cast<size_t>(used) != text.size() || days < 0 || hours < 0 || minutes < 0 || seconds < 0) {
    throw Error(Code::kFailed, "is no duration").at(key).seen(text).expected("DD:HH:MM:SS, such as 00:12:00:00");
  }
  return ((days * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds;
}

double parse_interval(const Json& given, const std::string& key) {
  double seconds = 0;
  if (given.is_number()) {
    seconds = given.get<double>();
  } else if (given.is_string()) {
    const std::string text = given.get<std::string>();
    if (text.find(':') != std::string::npos) {
      seconds = parse_max_time(text, key);
    } else {
      char* end = nullptr;
      seconds = std::strtod(text.c_str(), &end);
      const std::string unit = end;
      seconds *= unit == "s" || unit.empty() ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86400 : 0;
    }
  }
  if (!(seconds > 0) || !std::isfinite(seconds)) {
    throw Error(Code::kFailed, "is no span of time")
        .at(key)
        .seen(json_text(given))
        .expected("seconds, or a text such as 30s, 5m, 2h or 00:00:30:00");
  }
  return seconds;
}

}  // namespace fathom
