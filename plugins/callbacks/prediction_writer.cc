#include "plugins/callbacks/prediction_writer.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace fathom::callbacks {

namespace fs = std::filesystem;

PredictionWriter::PredictionWriter(const Options& options)
    : options_(options), path_(fs::path(options.output_dir) / options.filename) {
  if (options_.write_interval != "batch" && options_.write_interval != "epoch") {
    throw Error(Code::kFailed, "is no time to write predictions")
        .at("write_interval")
        .seen(options_.write_interval)
        .expected("batch or epoch");
  }
  if (options_.filename.empty() || options_.filename.find('/') != std::string::npos)
    throw Error(Code::kFailed, "is no name of a file").at("filename").seen(options_.filename);
  on(Event::kPredictStart, &PredictionWriter::start);
  on(Event::kPredictBatchEnd, &PredictionWriter::write_batch);
  on(Event::kPredictEnd, &PredictionWriter::finish);
}

void PredictionWriter::fail(const char* what, Code code) const {
  throw Error(code, std::string(what) + ": " + std::strerror(errno)).at(written_);
}

void PredictionWriter::start(Trainer&) {
  written_ = options_.write_interval == "batch" ? path_ : path_ + ".tmp." + std::to_string(::getpid());
  std::error_code error;
  fs::create_directories(options_.output_dir, error);
  if (error) {
    errno = error.value();
    fail("cannot create the folder of predictions", Code::kCantCreate);
  }
  file_.reset(std::fopen(written_.c_str(), "wb"));
  if (!file_) fail("cannot create", Code::kCantCreate);
}

void PredictionWriter::write_batch(Trainer& trainer) {
  for (const std::string& item : trainer.predictions()) {
    if (std::fwrite(item.data(), 1, item.size(), file_.get()) != item.size() || std::fputc('\n', file_.get()) == EOF)
      fail("cannot write");
  }
  if (std::fflush(file_.get()) != 0) fail("cannot write");
}

void PredictionWriter::finish(Trainer&) {
  if (std::fclose(file_.release()) != 0) fail("cannot write");
  if (written_ != path_ && std::rename(written_.c_str(), path_.c_str()) != 0) fail("cannot rename");
  log(LogLevel::kInfo, "PredictionWriter", "predictions are in " + path_);
}

}  // namespace fathom::callbacks
