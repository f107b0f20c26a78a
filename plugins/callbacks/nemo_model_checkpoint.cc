#include "plugins/callbacks/nemo_model_checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>

namespace fathom::callbacks {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnfinished = "-unfinished";
constexpr std::string_view kEma = "-EMA";

bool is_twin(const std::string& path) { return fs::path(path).stem().string().ends_with(kEma); }

void make_marker(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) {
    throw Error(errno == ENOSPC || errno == EDQUOT ? Code::kIo : Code::kCantCreate,
                std::string("cannot save a checkpoint: ") + std::strerror(errno))
        .at(path);
  }
  ::close(fd);
}

void unlink_if_there(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) throw Error(Code::kIo, "cannot remove: " + error.message()).at(path);
}

// NeMo's defaults that need the run's name.
CheckpointOptions with_names(const NeMoModelCheckpoint::Options& given, const Json& context) {
  CheckpointOptions o = given;
  if (given.filepath) {  // of NeMo 1.0: folder and name in one
    if (given.dirpath || given.filename) {
      throw Error(Code::kFailed, "filepath gives folder and name, and they are given again")
          .at("filepath")
          .next("remove dirpath and filename");
    }
    const fs::path path(*given.filepath);
    o.dirpath = path.has_parent_path() ? path.parent_path().string() : std::string(".");
    o.filename = path.filename();
  }
  const std::string name = context.value("name", "default");
  if (!o.filename) o.filename = name + "--" + (o.monitor ? "{" + *o.monitor + ":.4f}-" : "") + "{epoch}";
  return o;
}

std::vector<fs::path> files_below(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    if (it->is_regular_file()) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

void NeMoModelCheckpoint::Options::describe(OptionSet<Options>& o) {
  describe_checkpoint(o);
  o("prefix", &Options::prefix, "name of the .nemo file; default the experiment's name");
  o("postfix", &Options::postfix, "end of the .nemo file's name");
  o("filepath", &Options::filepath, "folder and template of names in one, as in NeMo 1.0");
  o("save_best_model", &Options::save_best_model, "the .nemo holds the best weights instead of the last ones");
  o("always_save_nemo", &Options::always_save_nemo, "write the .nemo with every checkpoint");
  o("save_nemo_on_train_end", &Options::save_nemo_on_train_end, "write the .nemo when training ends");
  o("n_resume", &Options::n_resume,
    "count checkpoints of an earlier run in the folder among the best; default: when resumed");
  o("model_parallel_size", &Options::model_parallel_size, "only null or 1");
  o("async_save", &Options::async_save, "only false: a checkpoint is complete when training goes on");
  o("save_last_n_optim_states", &Options::save_last_n_optim_states,
    "only -1: every checkpoint has the optimizer's state");
}

NeMoModelCheckpoint::NeMoModelCheckpoint(const Options& options, const Json& context)
    : ModelCheckpoint(with_names(options, context), context, "NeMoModelCheckpoint", 3),
      nemo_(options),
      prefix_(options.prefix.value_or(context.value("name", "default"))) {
  const auto refuse = [](bool bad, const char* option, const std::string& seen, const char* expected) {
    if (bad)
      throw Error(Code::kUnavailable, std::string(option) + " is not available")
          .at(option)
          .seen(seen)
          .expected(expected);
  };
  refuse(nemo_.async_save, "async_save", "true", "false");
  refuse(nemo_.save_last_n_optim_states != -1, "save_last_n_optim_states",
         std::to_string(nemo_.save_last_n_optim_states), "-1");
  refuse(nemo_.model_parallel_size.value_or(1) != 1, "model_parallel_size",
         std::to_string(nemo_.model_parallel_size.value_or(1)), "null or 1");
  last_name_ = *options_.filename + "-last";
  on(Event::kTrainStart, &NeMoModelCheckpoint::start_nemo_training);
  on(Event::kTrainEnd, &NeMoModelCheckpoint::end_training);
}

// Saving after validation is NeMo's default, and null leaves it to Lightning; a run without any validation and nothing
// to monitor saves each epoch.
bool NeMoModelCheckpoint::saves_on_train_epoch_end(const fathom_progress& p) const {
  return ModelCheckpoint::saves_on_train_epoch_end(p) || (!options_.monitor && p.has_validation == 0);
}

void NeMoModelCheckpoint::start_nemo_training(Trainer& trainer) {
  ModelCheckpoint::start_training(trainer);
  first_step_ = trainer.progress().global_step;
  const std::string given = trainer.resumed_from();
  const std::string resumed = given.empty() ? "" : fs::absolute(given).lexically_normal().string();
  remove_unfinished(resumed);
  // The -last it was resumed from is replaced by the next one, wherever its own state says it lay.
  if (resumed.ends_with("-last.ckpt") && resumed.starts_with(dirpath_ + "/")) last_model_path_ = resumed;
  if (state_loaded_)
    drop_missing(resumed);
  else if (nemo_.n_resume.value_or(!resumed.empty()) && options_.monitor && top_k_size_ > 0)
    rebuild_top_k(resumed);
  if (!resumed.empty()) take_over(resumed);
}

// What a run that died wrote after the checkpoint that this one goes on from comes again: under the same names, and
// the -last files go when there is a new one.
void NeMoModelCheckpoint::take_over(const std::string& resumed) {
  std::error_code error;  // a folder that cannot be read is told of when something is saved
  const auto since = fs::last_write_time(resumed, error);
  const std::string start = last_name_.substr(0, last_name_.find('{'));
  for (fs::directory_iterator entry(dirpath_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string path = entry->path(), name = entry->path().filename();
    if (!name.ends_with(".ckpt") || is_twin(path) || path == resumed || path == last_model_path_) continue;
    const auto& kept = top_k_.models();
    if (std::any_of(kept.begin(), kept.end(), [&](const auto& model) { return model.first == path; })) continue;
    const bool last = name.ends_with("-last.ckpt") && name.starts_with(start);
    if (last || fs::last_write_time(path) >= since) left_.insert(path);
  }
}

bool NeMoModelCheckpoint::is_taken(const std::string& path) const {
  return !left_.contains(path) && ModelCheckpoint::is_taken(path);
}

// Files that were removed, or whose writing was cut short, are no longer among the best. The rest is trimmed to
// save_top_k.
void NeMoModelCheckpoint::drop_missing(const std::string& keep) {
  if (!options_.monitor) {
    if (!fs::exists(best_model_path_)) best_model_path_.clear();
    return;
  }
  const auto models = top_k_.models();
  for (const auto& [path, score] : models) {
    if (!fs::exists(path) || fs::exists(marker_of(path))) top_k_.remove(path);
  }
  while (top_k_size_ > 0 && top_k_.excess() > 0) {
    const std::string path = top_k_.worst()->first;
    top_k_.remove(path);
    if (path.starts_with(dirpath_ + "/") && path != keep) remove(path);
  }
  const auto* best = top_k_.best();
  best_model_path_ = best != nullptr ? best->first : "";
  best_model_score_ = best != nullptr ? std::optional(best->second) : std::nullopt;
}

// From the values in the file names: "…{monitor}=0.0300-epoch=2.ckpt".
void NeMoModelCheckpoint::rebuild_top_k(const std::string& keep) {
  std::vector<std::pair<std::string, double>> models;
  for (const auto& file : files_below(dirpath_)) {
    const std::string path = file;
    if (!path.ends_with(".ckpt") || path.ends_with("-last.ckpt") || is_twin(path)) continue;
    const size_t at = path.rfind(*options_.monitor + "=");
    if (at == std::string::npos) continue;
    double value = 0;
    const char* start = path.data() + at + options_.monitor->size() + 1;
    const auto [end, error] = std::from_chars(start, path.data() + path.size() - std::strlen(".ckpt"), value);
    if (error == std::errc() && end != start) models.emplace_back(path, value);
  }
  top_k_.set(std::move(models));
  drop_missing(keep);
}

void NeMoModelCheckpoint::remove_unfinished(const std::string& keep) {
  std::set<std::string> markers;
  const auto files = files_below(dirpath_);
  for (const auto& file : files) {
    if (file.string().ends_with(kUnfinished)) markers.insert(file);
  }
  if (markers.empty()) return;
  for (const auto& file : files) {
    const std::string path = file;
    if (!path.ends_with(".ckpt") || path == keep || !markers.contains(marker_of(path))) continue;
    log_warning("removing unfinished checkpoint " + path);
    unlink_if_there(path);
  }
  for (const auto& marker : markers) unlink_if_there(marker);
}

std::string NeMoModelCheckpoint::marker_of(const std::string& path) {
  std::string out = path;
  for (const std::string_view ending : {".nemo", ".ckpt"}) {
    if (out.ends_with(ending)) {
      out.resize(out.size() - ending.size());
      break;
    }
  }
  if (out.ends_with(kEma)) out.resize(out.size() - kEma.size());
  return out + kUnfinished;
}

std::string NeMoModelCheckpoint::twin_of(const std::string& path) {
  const fs::path file(path);
  return file.parent_path() / (file.stem().string() + std::string(kEma) + file.extension().string());
}

void NeMoModelCheckpoint::write(Trainer& trainer, const std::string& path) {
  // The file itself appears in one step, so one that is being overwritten is complete at any time and gets no marker: a
  // run that is killed meanwhile must find it.
  const std::string marker = fs::exists(path) ? "" : marker_of(path);
  if (!marker.empty()) make_marker(marker);
  try {
    // The twin first: whoever sees the checkpoint has both.
    if (trainer.has_average()) trainer.save_average_checkpoint(twin_of(path), options_.save_weights_only);
    ModelCheckpoint::write(trainer, path);
  } catch (...) {
    if (!marker.empty()) ::unlink(marker.c_str());
    throw;
  }
  if (!marker.empty()) unlink_if_there(marker);
  left_.erase(path);
  if (path.ends_with("-last.ckpt")) {
    for (auto left = left_.begin(); left != left_.end();) {
      const bool last = left->ends_with("-last.ckpt");
      if (last) remove(*left);
      left = last ? left_.erase(left) : std::next(left);
    }
  }
  if (nemo_.always_save_nemo) save_nemo_beside(trainer, path);
}

void NeMoModelCheckpoint::remove(const std::string& path) {
  ModelCheckpoint::remove(path);
  if (const std::string twin = twin_of(path); fs::exists(twin)) ModelCheckpoint::remove(twin);
}

// The -last that a run was resumed from must go once there is a newer one: a folder with two could not be resumed.
bool NeMoModelCheckpoint::may_remove(Trainer&, const std::string& previous, const std::string& current) const {
  return previous != current && previous.starts_with(dirpath_ + "/");
}

void NeMoModelCheckpoint::save_nemo(Trainer& trainer, const std::string& path) {
  const std::string twin = twin_of(nemo_path());
  if (trainer.has_average() && path.empty()) {
    trainer.use_average(true);
    trainer.save_nemo(twin);
    trainer.use_average(false);
  } else if (trainer.has_average() && fs::exists(twin_of(path))) {
    trainer.load_weights(twin_of(path));
    trainer.save_nemo(twin);
    trainer.load_weights(path);
  }
  trainer.save_nemo(nemo_path());
}

// `path` = the checkpoint just written, which has the weights in hand.
void NeMoModelCheckpoint::save_nemo_beside(Trainer& trainer, const std::string& path) {
  if (!nemo_.save_best_model) return save_nemo(trainer);
  if (best_model_path_.empty() || !fs::exists(best_model_path_) || best_model_path_ == best_in_nemo_) return;
  if (best_model_path_ == path) {
    if (keeps_last_) return;  // the -last that follows brings it
    save_nemo(trainer);
  } else {
    trainer.load_weights(best_model_path_);
    try {
      save_nemo(trainer, best_model_path_);
    } catch (...) {
      trainer.load_weights(path);
      throw;
    }
    trainer.load_weights(path);
  }
  best_in_nemo_ = best_model_path_;
}

// NeMo's rule, which for a fraction of an epoch is nearly always true.
bool NeMoModelCheckpoint::last_is_due(const fathom_progress& p) const {
  const double interval = p.val_check_interval;
  if (!keeps_last_ || interval == 0 || p.global_step == 0) return false;
  if (p.val_check_counts_batches != 0 || interval > 1) return p.global_step % static_cast<int64_t>(interval) != 0;
  return std::fmod(interval, static_cast<double>(p.global_step)) != 0;
}

void NeMoModelCheckpoint::end_training(Trainer& trainer) {
  const fathom_progress& p = trainer.progress();
  if (p.fast_dev_run != 0) return;
  // Resumed from the end of a finished run all is there, under the same name; unless that run died before.
  if (last_is_due(p)) {
    const MetricValues values = candidates(trainer);
    if (last_model_path_ != path_of(values, last_name_)) save_last(trainer, values, /*may_link=*/false);
  }
  const bool trained = p.global_step != first_step_;
  if (!nemo_.save_nemo_on_train_end || (!trained && fs::exists(nemo_path()))) return;
  if (nemo_.save_best_model) {
    if (best_model_path_.empty())
      log_warning("there is no best checkpoint: the .nemo gets the last weights");
    else {
      trainer.load_weights(best_model_path_);
      return save_nemo(trainer, best_model_path_);
    }
  }
  save_nemo(trainer);
}

}  // namespace fathom::callbacks
