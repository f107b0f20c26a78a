#include "plugins/callbacks/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "fathom/utf8.h"

namespace fathom::callbacks {
namespace {

using namespace std::chrono_literals;

ProgressBar::Output standard_error() {
  ProgressBar::Output out;
  const char* term = std::getenv("TERM");
  const char* no_color = std::getenv("NO_COLOR");
  const char* ci = std::getenv("CI");  // whose logs keep every update of a line
  out.terminal = ::isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb" &&
                 (ci == nullptr || *ci == '\0' || std::string_view(ci) == "false");
  out.colour = out.terminal && (no_color == nullptr || *no_color == '\0');
  out.write = [](std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
      if (n <= 0) return;  // a closed stderr is no reason to stop training
      text.remove_prefix(static_cast<size_t>(n));
    }
  };
  out.width = [] {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? static_cast<int>(size.ws_col) : 80;
  };
  out.memory = [] {
    int64_t pages = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
  };
  return out;
}

std::string short_number(double value) {
  char text[40];
  const double size = std::fabs(value);
  if (value == 0 || (size >= 1e-3 && size < 1e5))
    std::snprintf(text, sizeof text, size >= 100 ? "%.1f" : "%.4f", value);
  else
    std::snprintf(text, sizeof text, "%.2e", value);
  return text;
}

std::string clock_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 359999) return "--:--";
  const auto s = static_cast<int64_t>(seconds + 0.5);
  char text[32];
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(s / 3600), static_cast<int>(s / 60 % 60),
                  static_cast<int>(s % 60));
  else
    std::snprintf(text, sizeof text, "%02d:%02d", static_cast<int>(s / 60), static_cast<int>(s % 60));
  return text;
}

std::string memory_text(int64_t bytes) {
  char text[32];
  const double mb = static_cast<double>(bytes) / 1e6;
  std::snprintf(text, sizeof text, mb < 1000 ? "%.0f MB" : "%.2f GB", mb < 1000 ? mb : mb / 1000);
  return text;
}

// Lightning's: the number of version_N, of another name the last four characters.
std::string v_num_of(const std::string& version) {
  constexpr std::string_view kCounted = "version_";
  if (version.starts_with(kCounted)) return version.substr(kCounted.size());
  size_t start = version.size() < 4 ? 0 : version.size() - 4;
  while (start > 0 && utf8::is_continuation(version[start])) --start;
  return version.substr(start);
}

std::string bar_text(double done) {
  constexpr int kCells = 20;
  const int full = std::clamp(static_cast<int>(done * kCells), 0, kCells);
  return "[" + std::string(static_cast<size_t>(full), '#') + std::string(static_cast<size_t>(kCells - full), '.') + "]";
}

double seconds_of(ProgressBar::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

void ProgressBar::Options::describe(OptionSet<Options>& o) {
  o("refresh_rate", &Options::refresh_rate, "look every so many batches whether to draw; 0: never draw");
  o("plain_interval", &Options::plain_interval, "without a terminal at most one line in this time", "s");
  o("leave", &Options::leave, "keep the finished line of each epoch on the screen");
  o("process_position", &Options::process_position, "accepted: there is one line only");
}

ProgressBar::ProgressBar(const Options& options, const Json& context)
    : ProgressBar(options, context, standard_error()) {}

ProgressBar::ProgressBar(const Options& options, const Json& context, Output output)
    : options_(options), output_(std::move(output)) {
  if (const auto version = context.find("version"); version != context.end() && version->is_string())
    v_num_ = v_num_of(version->get<std::string>());
  if (options_.refresh_rate < 0)
    throw Error(Code::kFailed, "is negative")
        .at("refresh_rate")
        .seen(std::to_string(options_.refresh_rate))
        .expected("0 or more");
  interval_ = output_.terminal
                  ? Clock::duration(100ms)
                  : std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.plain_interval));
  last_drawn_ = output_.now();  // also the first plain line waits for its time
  if (options_.refresh_rate == 0) return;
  on(Event::kTrainStart, &ProgressBar::start_training);
  on(Event::kTrainEpochStart, &ProgressBar::start_epoch);
  on(Event::kTrainBatchEnd, &ProgressBar::end_batch);
  on(Event::kTrainEpochEnd, &ProgressBar::end_epoch);
  for (const Event event : {Event::kValidationStart, Event::kTestStart}) on(event, &ProgressBar::start_evaluation);
  for (const Event event : {Event::kValidationBatchEnd, Event::kTestBatchEnd}) on(event, &ProgressBar::end_eval_batch);
  for (const Event event : {Event::kValidationEnd, Event::kTestEnd}) on(event, &ProgressBar::end_evaluation);
  for (const Event event : {Event::kTrainEnd, Event::kException, Event::kInterrupt}) on(event, &ProgressBar::finish);
}

void ProgressBar::start_training(Trainer& trainer) {
  last_drawn_ = training_started_ = output_.now();
  batches_done_ = 0;
  steps_before_ = trainer.progress().global_step;
  start_epoch(trainer);
}

void ProgressBar::start_epoch(Trainer& trainer) {
  stage_started_ = output_.now();
  const fathom_progress p = trainer.progress();
  first_batch_ = p.batch_idx;
  items_before_ = p.items_trained;
  audio_before_ = p.seconds_trained;
  evaluation_time_ = {};
}

bool ProgressBar::due(int64_t batches_done, int64_t total) {
  if (options_.refresh_rate > 1 && batches_done % options_.refresh_rate != 0 && batches_done != total) return false;
  const auto now = output_.now();
  if (now - last_drawn_ < interval_) return false;
  last_drawn_ = now;
  return true;
}

void ProgressBar::end_batch(Trainer& trainer) {
  const fathom_progress& p = trainer.progress();
  const int64_t done = p.batch_idx + 1;
  ++batches_done_;
  if (due(done, p.training_batches)) draw(trainer, "train", done, p.training_batches);
}

void ProgressBar::end_epoch(Trainer& trainer) {
  if (!output_.terminal) return;
  const fathom_progress& p = trainer.progress();
  draw(trainer, "train", p.training_batches >= 0 ? std::min(p.batch_idx, p.training_batches) : p.batch_idx,
       p.training_batches);
  if (options_.leave)
    output_.write("\n");
  else
    clear_line();
  drawn_ = false;
}

void ProgressBar::start_evaluation(Trainer&) {
  eval_done_ = 0;
  evaluation_started_ = output_.now();
}

void ProgressBar::end_eval_batch(Trainer& trainer) {
  const fathom_progress& p = trainer.progress();
  ++eval_done_;
  if (due(eval_done_, p.eval_batches))
    draw(trainer, p.sanity_checking != 0 ? "sanity check" : "eval", eval_done_, p.eval_batches);
}

void ProgressBar::end_evaluation(Trainer&) { evaluation_time_ += output_.now() - evaluation_started_; }

void ProgressBar::finish(Trainer&) {
  if (drawn_ && output_.terminal) output_.write("\n");
  drawn_ = false;
}

void ProgressBar::clear_line() { output_.write("\x1b[2K\r"); }

std::string ProgressBar::numbers(Trainer& trainer, bool training) {
  std::string out;
  if (training) {
    try {
      out += "  loss " + short_number(trainer.loss());
    } catch (const Error&) {
      // A model may train without giving a loss for every batch; the line is drawn without it.
    }
    if (trainer.group_count() > 0) out += "  lr " + short_number(trainer.optimizer_option(0, 0, "lr"));
  }
  for (const auto& [name, value] : trainer.progress_bar_metrics()) {
    if (name != "loss" && name != "lr") out += "  " + name + " " + short_number(value);
  }
  return out;
}

double ProgressBar::seconds_left(const fathom_progress& p, int64_t done, Clock::time_point now) const {
  const double batches = static_cast<double>(batches_done_);
  double left = INFINITY;
  if (p.max_epochs > 0 && p.training_batches >= 0)
    left = static_cast<double>((p.max_epochs - p.epoch) * p.training_batches - done);
  const double steps = static_cast<double>(p.global_step - steps_before_);
  if (p.max_steps >= 0 && steps > 0)
    left = std::min(left, static_cast<double>(p.max_steps - p.global_step) * batches / steps);
  if (batches == 0 || !std::isfinite(left)) return NAN;
  return std::max(0.0, left) * seconds_of(now - training_started_) / batches;
}

void ProgressBar::draw(Trainer& trainer, const char* stage, int64_t done, int64_t total) {
  const fathom_progress& p = trainer.progress();
  const bool training = std::string_view(stage) == "train";
  const auto now = output_.now();
  const double seconds =
      training ? seconds_of(now - stage_started_ - evaluation_time_) : seconds_of(now - evaluation_started_);
  const int64_t here = training ? done - first_batch_ : done;
  const double rate = seconds > 0 && here > 0 ? static_cast<double>(here) / seconds : 0;

  std::string head = stage;  // what comes before the first epoch or after the last one belongs to none
  if (p.sanity_checking == 0 && (p.max_epochs <= 0 || p.epoch < p.max_epochs)) {
    head = "epoch " + std::to_string(p.epoch);
    if (p.max_epochs > 0) head += "/" + std::to_string(p.max_epochs - 1);
    if (!training) head += std::string(" ") + stage;
  }
  std::string tail = " " + std::to_string(done) + "/" + (total >= 0 ? std::to_string(total) : "?");
  if (training) tail += "  step " + std::to_string(p.global_step);
  char speed[32];
  std::snprintf(speed, sizeof speed, rate >= 1 || rate == 0 ? "  %.1f it/s" : "  %.2f s/it",
                rate >= 1 || rate == 0 ? rate : 1 / rate);
  tail += speed;
  if (const int64_t items = p.items_trained - items_before_; training && items > 0 && seconds > 0) {
    std::snprintf(speed, sizeof speed, "  %.4g samples/s", static_cast<double>(items) / seconds);
    tail += speed;
  }
  if (const double audio = p.seconds_trained - audio_before_; training && audio > 0 && seconds > 0) {
    std::snprintf(speed, sizeof speed, "  %.4g s audio/s", audio / seconds);
    tail += speed;
  }
  if (total >= 0) tail += "  ETA " + clock_text(rate > 0 ? static_cast<double>(total - done) / rate : NAN);
  const bool one_epoch = p.max_epochs == 1 && p.max_steps < 0;  // its time is the fit's
  if (const double left = training && !one_epoch ? seconds_left(p, done, now) : NAN; std::isfinite(left))
    tail += "  fit " + clock_text(left);
  tail += numbers(trainer, training);
  if (const int64_t memory = output_.memory(); memory > 0) tail += "  mem " + memory_text(memory);
  if (!v_num_.empty()) tail += "  v_num " + v_num_;

  if (!output_.terminal) {
    output_.write(head + tail + "\n");
    return;
  }
  const std::string bar = total > 0 ? " " + bar_text(static_cast<double>(done) / static_cast<double>(total)) : "";
  std::string line = head + bar + tail;
  const auto width = static_cast<size_t>(std::max(20, output_.width()) - 1);
  size_t keep = line.size();
  if (keep > width) {
    keep = width;
    while (keep > 0 && utf8::is_continuation(line[keep])) --keep;  // whole UTF-8 characters
  }
  line.resize(keep);
  if (output_.colour && line.size() > head.size()) line = "\x1b[1m" + head + "\x1b[0m" + line.substr(head.size());
  // The cursor goes back to the start of the line, so that a message of the log takes its place.
  output_.write("\x1b[2K" + line + "\r");
  drawn_ = true;
}

}  // namespace fathom::callbacks
