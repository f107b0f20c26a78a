#include "core/training/metric_hub.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "fathom/abi/model.h"

namespace fathom::training {
namespace {

// `ending` is part of a metric's own name: v/dataloader_idx_1 becomes v_step/dataloader_idx_1.
std::string with_ending(const std::string& name, const char* ending) {
  const size_t at = std::min(name.find(MetricHub::kLoaderMark), name.size());
  return name.substr(0, at) + ending + name.substr(at);
}

constexpr uint32_t kWhere = FATHOM_METRIC_ON_STEP | FATHOM_METRIC_ON_EPOCH;

}  // namespace

double MetricHub::Entry::read() const {
  if (pending.defined()) {
    last = pending.item<double>();
    pending.reset();
  }
  return last;
}

MetricHub::Entry& MetricHub::find_or_add(Hook hook, std::string_view name, uint32_t flags) {
  for (auto& entry : entries_) {
    if (entry.name != name || entry.hook != hook) continue;
    if (entry.flags != flags) {
      throw Error(Code::kFailed, "'" + std::string(name) + "' is logged twice in one hook with different arguments")
          .next("log it under two names, or with the same arguments");
    }
    return entry;
  }
  Entry entry;
  entry.name = name;
  entry.hook = hook;
  entry.flags = flags;
  const uint32_t where = flags & kWhere;
  entry.on_step = where != 0 ? (where & FATHOM_METRIC_ON_STEP) != 0 : hook == Hook::kTrainStep;
  entry.on_epoch = where != 0 ? (where & FATHOM_METRIC_ON_EPOCH) != 0 : hook != Hook::kTrainStep;
  if (hook == Hook::kEpochEnd && entry.on_step) {
    throw Error(Code::kFailed, "'" + std::string(name) + "' cannot be logged per step at the end of an epoch");
  }
  if ((flags & FATHOM_METRIC_REDUCE_SUM) != 0) entry.reduce = Reduce::kSum;
  if ((flags & FATHOM_METRIC_REDUCE_MIN) != 0) entry.reduce = Reduce::kMin;
  if ((flags & FATHOM_METRIC_REDUCE_MAX) != 0) entry.reduce = Reduce::kMax;
  entries_.push_back(std::move(entry));
  return entries_.back();
}

void MetricHub::log(Hook hook, std::string_view name, const at::Tensor* tensor, double value, uint32_t flags,
                    double batch_size) {
  Entry& entry = find_or_add(hook, name, flags);
  if (tensor != nullptr) {
    if (tensor->numel() != 1) {
      throw Error(Code::kFailed, "'" + entry.name + "' is no single value")
          .seen(c10::str(tensor->sizes()))
          .expected("one element");
    }
    entry.pending = tensor->detach();
  } else {
    entry.pending.reset();
    entry.last = value;
  }
  entry.fresh = true;
  if (!entry.on_epoch) return;
  const double seen = entry.read();
  const double weight = batch_size > 0 ? batch_size : 1.0;
  const bool first = entry.weight == 0;
  switch (entry.reduce) {
    case Reduce::kMean: entry.total += seen * weight; break;
    case Reduce::kSum: entry.total += seen; break;
    case Reduce::kMin: entry.total = first ? seen : std::min(entry.total, seen); break;
    case Reduce::kMax: entry.total = first ? seen : std::max(entry.total, seen); break;
  }
  entry.weight += weight;
}

void MetricHub::begin_step() {
  for (auto& entry : entries_) entry.fresh = false;
}

MetricRow MetricHub::step_row() const {
  MetricRow row;
  for (const auto& entry : entries_) {
    if (!entry.fresh || !entry.on_step || (entry.flags & FATHOM_METRIC_NO_LOGGER) != 0) continue;
    row.emplace_back(entry.on_epoch ? with_ending(entry.name, "_step") : entry.name, entry.read());
  }
  return row;
}

MetricRow MetricHub::finish_epoch(std::map<std::string, double>& callback_metrics,
                                  std::map<std::string, double>& progress_bar) {
  MetricRow row;
  for (const auto& entry : entries_) {
    if (!entry.on_epoch || entry.weight == 0) continue;
    const double value = entry.reduce == Reduce::kMean ? entry.total / entry.weight : entry.total;
    const std::string name = entry.on_step ? with_ending(entry.name, "_epoch") : entry.name;
    if ((entry.flags & FATHOM_METRIC_NO_LOGGER) == 0) row.emplace_back(name, value);
    if ((entry.flags & FATHOM_METRIC_PROG_BAR) != 0) progress_bar[name] = value;
    callback_metrics[entry.name] = value;
    if (entry.on_step) callback_metrics[name] = value;
  }
  entries_.clear();
  return row;
}

void MetricHub::read_steps(std::map<std::string, double>& callback_metrics) const {
  for (const auto& entry : entries_) {
    if (!entry.fresh || !entry.on_step) continue;
    callback_metrics[entry.name] = entry.read();
    if (entry.on_epoch) callback_metrics[with_ending(entry.name, "_step")] = entry.last;
  }
}

void MetricHub::read_progress_bar(std::map<std::string, double>& metrics) const {
  for (const auto& entry : entries_) {
    if (!entry.fresh || !entry.on_step || (entry.flags & FATHOM_METRIC_PROG_BAR) == 0) continue;
    metrics[entry.on_epoch ? with_ending(entry.name, "_step") : entry.name] = entry.read();
  }
}

Json MetricHub::save_state() const {
  Json out = Json::array();
  for (const auto& entry : entries_) {
    const auto exact = [](double value) {
      return options_detail::dump(value);
    };  // shortest text: reads back bit for bit
    out.push_back({{"name", entry.name},
                   {"hook", static_cast<int>(entry.hook)},
                   {"flags", entry.flags},
                   {"last", exact(entry.read())},
                   {"total", exact(entry.total)},
                   {"weight", entry.weight}});
  }
  return out;
}

void MetricHub::load_state(const Json& state) {
  entries_.clear();
  for (const auto& item : state) {
    Entry& entry = find_or_add(static_cast<Hook>(item.at("hook").get<int>()), item.at("name").get<std::string>(),
                               item.at("flags").get<uint32_t>());
    entry.last = options_detail::read<double>(item.at("last"), "last");
    entry.total = options_detail::read<double>(item.at("total"), "total");
    entry.weight = item.at("weight").get<double>();
  }
}

}  // namespace fathom::training
