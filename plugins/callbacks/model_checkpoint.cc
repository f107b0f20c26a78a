#include "plugins/callbacks/model_checkpoint.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>

#include "plugins/callbacks/time_span.h"

namespace fathom::callbacks {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& what, const std::string& option, const std::string& seen,
                         const std::string& expected) {
  throw Error(Code::kFailed, what).at(option).seen(seen).expected(expected);
}

std::string text_of(const std::optional<int64_t>& value) { return value ? std::to_string(*value) : "null"; }

bool exists(const std::string& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found && !error;
}

double as_float(double value) { return static_cast<double>(static_cast<float>(value)); }

// A number of a state; Lightning's own checkpoints hold tensors here, which do not cross as numbers.
std::optional<double> number_of(const Json& state, const char* key) {
  const auto found = state.find(key);
  if (found == state.end() || found->is_null()) return std::nullopt;
  if (found->is_number() || *found == "inf" || *found == "-inf" || *found == "nan")
    return options_detail::read<double>(*found, key);
  return std::nullopt;
}
std::string string_of(const Json& state, const char* key) {
  const auto found = state.find(key);
  return found != state.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string python_repr(const std::string& text) {
  const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else
      out += c;
  }
  return out + quote;
}

ModelCheckpoint::ModelCheckpoint(const CheckpointOptions& options, const Json& context, std::string class_name,
                                 int64_t default_top_k)
    : options_(options),
      class_name_(std::move(class_name)),
      top_k_size_(options.save_top_k.value_or(options.monitor ? default_top_k : 1)),
      top_k_(top_k_size_, options.mode == "max") {
  if (options_.mode != "min" && options_.mode != "max") refuse("is no mode", "mode", options_.mode, "min or max");
  if (top_k_size_ < -1)
    refuse("is no number of checkpoints to keep", "save_top_k", std::to_string(top_k_size_), "-1 (all), 0 or more");
  if (!options_.monitor && top_k_size_ > 1) {
    refuse("without a monitored metric there is no best checkpoint to keep", "save_top_k", std::to_string(top_k_size_),
           "-1, 0 or 1, or a metric in monitor");
  }
  if (options_.every_n_train_steps.value_or(0) < 0) {
    refuse("is negative", "every_n_train_steps", text_of(options_.every_n_train_steps), "0 (never) or more");
  }
  if (options_.every_n_epochs.value_or(0) < 0)
    refuse("is negative", "every_n_epochs", text_of(options_.every_n_epochs), "0 (never) or more");
  if (!options_.train_time_interval.is_null())
    interval_ = read_time_span(options_.train_time_interval, "train_time_interval");
  every_n_train_steps_ = options_.every_n_train_steps.value_or(0);
  every_n_epochs_ = options_.every_n_epochs.value_or(0);
  if (!options_.every_n_train_steps && !options_.every_n_epochs && !interval_) every_n_epochs_ = 1;
  if ((every_n_train_steps_ > 0) + (every_n_epochs_ > 0) + interval_.has_value() > 1) {
    refuse("every_n_train_steps, every_n_epochs and train_time_interval exclude each other", "every_n_train_steps",
           text_of(options_.every_n_train_steps) + ", " + text_of(options_.every_n_epochs) + ", " +
               json_text(options_.train_time_interval),
           "one of them; set the others to null");
  }
  const Json& last = options_.save_last;
  if (last.is_boolean())
    keeps_last_ = last.get<bool>();
  else if (last == "link")
    keeps_last_ = link_last_ = true;
  else if (!last.is_null())
    refuse("is no choice for the last checkpoint", "save_last", json_text(last), "true, false, null or \"link\"");

  std::string folder = options_.dirpath.value_or(context.value("checkpoint_dir", "checkpoints"));
  if (folder.starts_with("~/")) {
    if (const char* home = std::getenv("HOME")) folder = home + folder.substr(1);
  }
  dirpath_ = fs::absolute(folder).lexically_normal();
  if (dirpath_.size() > 1 && dirpath_.back() == '/') dirpath_.pop_back();

  on(Event::kFitStart, &ModelCheckpoint::start_fit);
  on(Event::kTrainStart, &ModelCheckpoint::start_training);
  if (every_n_train_steps_ > 0 || interval_) on(Event::kTrainBatchEnd, &ModelCheckpoint::end_batch);
  on(Event::kTrainEpochEnd, &ModelCheckpoint::end_epoch);
  on(Event::kValidationEnd, &ModelCheckpoint::end_validation);
  on(Event::kFitEnd, &ModelCheckpoint::end_fit);
  on(Event::kInterrupt, &ModelCheckpoint::interrupt);
  if (options_.save_on_exception) on(Event::kException, &ModelCheckpoint::save_after_error);
}

// --- when
// ---------------------------------------------------------------------------------------------------------------

void ModelCheckpoint::start_fit(Trainer&) { fitting_ = true; }

void ModelCheckpoint::start_training(Trainer& trainer) {
  last_time_ = std::chrono::steady_clock::now();
  if (!trainer.resumed_from().empty()) remove_half_written();
  const fathom_progress& p = trainer.progress();
  if (every_n_epochs_ > 0 && p.has_validation == 0 && p.fast_dev_run == 0 && !saves_on_train_epoch_end(p)) {
    log_warning(
        "saves after validation, and there is none: only the end of the run may be saved. Set "
        "save_on_train_epoch_end=true");
  }
}

bool ModelCheckpoint::skips(const fathom_progress& p) const {
  return !fitting_ || p.fast_dev_run != 0 || p.sanity_checking != 0 || last_global_step_saved_ == p.global_step;
}

// As Lightning decides; an int 1 counts as 1.0 there too.
bool ModelCheckpoint::saves_on_train_epoch_end(const fathom_progress& p) const {
  if (options_.save_on_train_epoch_end) return *options_.save_on_train_epoch_end;
  if (p.check_val_every_n_epoch != 1) return false;
  return p.has_validation == 0 || p.val_check_interval == 1.0;
}

void ModelCheckpoint::end_batch(Trainer& trainer) {
  const fathom_progress& p = trainer.progress();
  const bool by_step = every_n_train_steps_ > 0 && p.global_step % every_n_train_steps_ == 0;
  bool by_time = false;
  if (interval_) {
    const auto now = std::chrono::steady_clock::now();
    by_time = std::chrono::duration<double>(now - last_time_).count() >= *interval_;
    if (by_time && !skips(p)) last_time_ = now;
  }
  if ((by_step || by_time) && !skips(p)) save(trainer, /*with_top_k=*/true);
}

void ModelCheckpoint::end_epoch(Trainer& trainer) {
  const fathom_progress& p = trainer.progress();
  if (skips(p) || !saves_on_train_epoch_end(p)) return;
  save(trainer, every_n_epochs_ >= 1 && (p.epoch + 1) % every_n_epochs_ == 0);
}

void ModelCheckpoint::end_validation(Trainer& trainer) {
  const fathom_progress& p = trainer.progress();
  if (fitting_ && p.sanity_checking == 0) validated_ = true;
  if (skips(p) || saves_on_train_epoch_end(p)) return;
  save(trainer, every_n_epochs_ >= 1 && (p.epoch + 1) % every_n_epochs_ == 0);
}

void ModelCheckpoint::end_fit(Trainer&) { fitting_ = false; }

void ModelCheckpoint::interrupt(Trainer& trainer) {
  if (!fitting_ || trainer.progress().fast_dev_run != 0 || (top_k_size_ == 0 && !keeps_last_)) return;
  // What would have been saved at this step without the interrupt still is, when the run goes on.
  const int64_t saved = last_global_step_saved_;
  counts_saves_ = false;
  save_last(trainer, candidates(trainer), /*may_link=*/false);
  counts_saves_ = true;
  last_global_step_saved_ = saved;
}

// Lightning's (2.5.3): a file by the usual name, which no rule of best checkpoints removes, and the last one. What goes
// wrong here is told, not thrown: the error that ended the run is the one to be seen.
void ModelCheckpoint::save_after_error(Trainer& trainer) {
  if (skips(trainer.progress())) return;
  const MetricValues values = candidates(trainer);
  const std::string path = free_path(values, options_.filename.value_or(""), "");
  try {
    write_now(trainer, path);
    if (keeps_last_) save_last(trainer, values, /*may_link=*/true);
    log_info("an error ended the training; saved " + path);
  } catch (const std::exception& error) {
    log(LogLevel::kError, class_name_, path + " could not be saved: " + error.what());
  }
}

// --- what
// ---------------------------------------------------------------------------------------------------------------

void ModelCheckpoint::save(Trainer& trainer, bool with_top_k) {
  const MetricValues values = candidates(trainer);
  if (with_top_k) save_top_k(trainer, values);
  if (keeps_last_) save_last(trainer, values, /*may_link=*/true);
}

MetricValues ModelCheckpoint::candidates(Trainer& trainer) const {
  MetricValues values;
  for (const auto& [name, value] : trainer.metrics()) values[name] = {as_float(value), false};
  const auto integer = [&](const char* name, int64_t otherwise) {
    const auto [entry, added] = values.try_emplace(name, MetricValue{static_cast<double>(otherwise), true});
    if (!added) entry->second = {std::trunc(entry->second.number), true};
  };
  integer("epoch", trainer.progress().epoch);
  integer("step", trainer.progress().global_step);
  return values;
}

void ModelCheckpoint::save_top_k(Trainer& trainer, const MetricValues& values) {
  if (top_k_size_ == 0) return;
  if (!options_.monitor) return save_newest(trainer, values);
  const auto found = values.find(*options_.monitor);
  if (found == values.end()) {
    std::string names;
    for (const auto& [name, value] : values) names += (names.empty() ? "" : ", ") + name;
    if (validated_) {
      throw Error(Code::kFailed, class_name_ + " monitors a metric that is not logged")
          .at("monitor")
          .seen(*options_.monitor)
          .expected("one of: " + names)
          .next("log it, or monitor another");
    }
    return log_warning("the monitored metric '" + *options_.monitor + "' is not there yet (" + names +
                       "); nothing is saved for it");
  }
  const double score = found->second.number;
  if (top_k_.accepts(score)) {
    save_monitored(trainer, values, score);
  } else if (options_.verbose) {
    log_info("epoch " + std::to_string(trainer.progress().epoch) + ", global step " +
             std::to_string(trainer.progress().global_step) + ": '" + *options_.monitor + "' was not in top " +
             std::to_string(top_k_size_));
  }
}

void ModelCheckpoint::save_monitored(Trainer& trainer, const MetricValues& values, double score) {
  const std::string replaced = top_k_.make_room();
  const std::string path = free_path(values, options_.filename.value_or(""), replaced);
  top_k_.add(path, score);
  current_score_ =
      std::isnan(score) ? (options_.mode == "min" ? 1 : -1) * std::numeric_limits<double>::infinity() : score;
  best_model_path_ = top_k_.best()->first;
  best_model_score_ = top_k_.best()->second;
  if (options_.verbose) {
    char text[160];
    std::snprintf(text, sizeof text, "epoch %lld, global step %lld: '%.60s' reached %.5f (best %.5f), saving ",
                  static_cast<long long>(trainer.progress().epoch),
                  static_cast<long long>(trainer.progress().global_step), options_.monitor->c_str(), *current_score_,
                  *best_model_score_);
    log_info(text + path);
  }
  write_now(trainer, path);
  if (!replaced.empty() && may_remove(trainer, replaced, path)) remove(replaced);
}

void ModelCheckpoint::save_newest(Trainer& trainer, const MetricValues& values) {
  const std::string previous = best_model_path_;
  // Set before saving: it is part of the state that is saved.
  best_model_path_ = free_path(values, options_.filename.value_or(""), previous);
  write_now(trainer, best_model_path_);
  if (top_k_size_ == 1 && !previous.empty() && may_remove(trainer, previous, best_model_path_)) remove(previous);
}

void ModelCheckpoint::save_last(Trainer& trainer, const MetricValues& values, bool may_link) {
  const std::string previous = last_model_path_;
  last_model_path_ = free_path(values, last_name_, previous);
  if (may_link && link_last_ && top_k_size_ != 0 && !last_checkpoint_saved_.empty()) {
    const std::string link = last_model_path_ + ".link";
    std::error_code error;
    fs::remove(link, error);
    fs::create_symlink(fs::path(last_checkpoint_saved_).lexically_relative(fs::path(last_model_path_).parent_path()),
                       link, error);
    if (!error) fs::rename(link, last_model_path_, error);
    if (error) throw Error(Code::kIo, "cannot link the last checkpoint: " + error.message()).at(last_model_path_);
  } else {
    write_now(trainer, last_model_path_);
  }
  if (!previous.empty() && may_remove(trainer, previous, last_model_path_)) remove(previous);
}

std::string ModelCheckpoint::path_of(const MetricValues& values, const std::string& name, int version) const {
  std::string out = format_checkpoint_name(name, values, options_.auto_insert_metric_name);
  if (version > 0) out += "-v" + std::to_string(version);
  return dirpath_ + "/" + out + ".ckpt";
}

std::string ModelCheckpoint::free_path(const MetricValues& values, const std::string& name,
                                       const std::string& reusable) const {
  std::string path = path_of(values, name);
  for (int version = 1; options_.enable_version_counter && path != reusable && is_taken(path); ++version)
    path = path_of(values, name, version);
  return path;
}

bool ModelCheckpoint::is_taken(const std::string& path) const { return exists(path); }

void ModelCheckpoint::write_now(Trainer& trainer, const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) throw Error(Code::kCantCreate, "cannot create the folder of checkpoints: " + error.message()).at(path);
  // Before it is written: it is part of the state that is saved, so that a run resumed from this file does not write
  // it again.
  if (counts_saves_) last_global_step_saved_ = trainer.progress().global_step;
  write(trainer, path);
  last_checkpoint_saved_ = path;
}

void ModelCheckpoint::write(Trainer& trainer, const std::string& path) {
  trainer.save_checkpoint(path, options_.save_weights_only);
}

// What a killed run was writing: NAME.ckpt.tmp.PID, of a process that is no more.
void ModelCheckpoint::remove_half_written() {
  constexpr std::string_view kTemporary = ".tmp.";
  std::error_code error;  // a folder that cannot be read is told of when something is saved
  for (fs::directory_iterator entry(dirpath_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    const size_t at = name.rfind(kTemporary);
    if (at == std::string::npos || !(name.substr(0, at).ends_with(".ckpt") || name.substr(0, at).ends_with(".nemo")))
      continue;
    const std::string digits = name.substr(at + kTemporary.size());
    int pid = 0;
    const auto [rest, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
    if (problem != std::errc() || rest != digits.data() + digits.size() || pid <= 0) continue;
    if (::kill(pid, 0) == 0 || errno != ESRCH) continue;  // somebody is writing it
    log_info("removing " + entry->path().string() + ", which a run that was killed left half written");
    remove(entry->path());
  }
}

void ModelCheckpoint::remove(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) log_warning("cannot remove " + path + ": " + error.message());
}

// Never what the run was resumed from, nor anything outside the folder of checkpoints.
bool ModelCheckpoint::may_remove(Trainer& trainer, const std::string& previous, const std::string& current) const {
  if (previous == current) return false;
  const std::string resumed = trainer.resumed_from();
  if (!resumed.empty() && fs::absolute(resumed).lexically_normal() == fs::path(previous)) return false;
  return previous.starts_with(dirpath_ + "/");
}

// --- state
// --------------------------------------------------------------------------------------------------------------

std::string ModelCheckpoint::state_key() const {
  return class_name_ + "{'monitor': " + (options_.monitor ? python_repr(*options_.monitor) : "None") +
         ", 'mode': " + python_repr(options_.mode) +
         ", 'every_n_train_steps': " + std::to_string(every_n_train_steps_) +
         ", 'every_n_epochs': " + std::to_string(every_n_epochs_) +
         ", 'train_time_interval': " + (interval_ ? timedelta_repr(*interval_) : "None") + "}";
}

Json ModelCheckpoint::save_state() const {
  Json models = Json::object();
  for (const auto& [path, score] : top_k_.models()) models[path] = options_detail::dump(score);
  const auto* worst = top_k_.is_full() ? top_k_.worst() : nullptr;
  const double none = (options_.mode == "min" ? 1 : -1) * std::numeric_limits<double>::infinity();
  return {{"monitor", options_.monitor ? Json(*options_.monitor) : Json(nullptr)},
          {"best_model_score", options_detail::dump(best_model_score_)},
          {"best_model_path", best_model_path_},
          {"current_score", options_detail::dump(current_score_)},
          {"dirpath", dirpath_},
          {"best_k_models", std::move(models)},
          {"kth_best_model_path", worst != nullptr ? worst->first : ""},
          {"kth_value", options_detail::dump(worst != nullptr ? worst->second : none)},
          {"last_model_path", last_model_path_},
          {"last_global_step_saved", last_global_step_saved_}};  // Lightning's own does not have it
}

void ModelCheckpoint::load_state(const Json& state) {
  if (const auto step = number_of(state, "last_global_step_saved"))
    last_global_step_saved_ = static_cast<int64_t>(*step);
  best_model_path_ = string_of(state, "best_model_path");
  if (const std::string dirpath = string_of(state, "dirpath"); !dirpath.empty() && dirpath != dirpath_) {
    log_warning("checkpoints were in " + dirpath + " and are now in " + dirpath_ + ": the earlier ones are left alone");
    return;
  }
  best_model_score_ = number_of(state, "best_model_score");
  current_score_ = number_of(state, "current_score");
  last_model_path_ = string_of(state, "last_model_path");
  std::vector<std::pair<std::string, double>> models;
  if (const auto found = state.find("best_k_models"); found != state.end() && found->is_object()) {
    for (const auto& [path, score] : found->items()) {
      if (const auto value = number_of(*found, path.c_str()))
        models.emplace_back(path, *value);
      else
        return log_warning("the scores of earlier checkpoints are not readable: they are left alone");
    }
  }
  top_k_.set(std::move(models));
  state_loaded_ = true;
}

void ModelCheckpoint::log_info(const std::string& text) const { log(LogLevel::kInfo, class_name_, text); }
void ModelCheckpoint::log_warning(const std::string& text) const { log(LogLevel::kWarning, class_name_, text); }

}  // namespace fathom::callbacks
