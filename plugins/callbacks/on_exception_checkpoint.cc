#include "plugins/callbacks/on_exception_checkpoint.h"

#include <filesystem>

namespace fathom::callbacks {

OnExceptionCheckpoint::OnExceptionCheckpoint(const Options& options, const Json& context) {
  if (options.filename.empty())
    throw Error(Code::kFailed, "a checkpoint needs a name")
        .at("filename")
        .seen("\"\"")
        .expected("such as on_exception");
  const std::string folder = options.dirpath ? *options.dirpath : context.value("checkpoint_dir", std::string("."));
  path_ = (std::filesystem::path(folder) / (options.filename + ".ckpt")).string();
  on(Event::kTrainStart, &OnExceptionCheckpoint::start);
  on(Event::kException, &OnExceptionCheckpoint::save);
  on(Event::kInterrupt, &OnExceptionCheckpoint::save);
  on(Event::kTeardown, &OnExceptionCheckpoint::end);
}

// What went wrong here is told, not thrown: the error that ended the run is the one to be seen.
void OnExceptionCheckpoint::save(Trainer& trainer) {
  if (!training_ || trainer.progress().fast_dev_run != 0) return;
  try {
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
    trainer.save_checkpoint(path_);
    log(LogLevel::kInfo, "OnExceptionCheckpoint", "saved " + path_);
  } catch (const std::exception& error) {
    log(LogLevel::kError, "OnExceptionCheckpoint", path_ + " could not be saved: " + error.what());
  }
}

void OnExceptionCheckpoint::end(Trainer&) {
  std::error_code ignored;  // it is not there after a run that ended well
  if (training_) std::filesystem::remove(path_, ignored);
}

}  // namespace fathom::callbacks
