#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/file.h"
#include "host/arguments.h"
#include "host/engine_loader.h"
#include "host/output.h"
#include "host/signals.h"

namespace fathom::cli {

int run_transcribe(const Words& words, const Globals& globals) {
  TranscribeRequest request;
  std::string output = "-";
  bool json = false;
  CLI::App app(
      "Speech to text. One JSON object an item on stdout: {audio_filepath, pred_text, text?, duration, offset?}.\n\n"
      "  fathom transcribe model.nemo a.wav b.flac\n"
      "  fathom transcribe model.nemo --manifest test.json --output out.jsonl",
      "fathom transcribe");
  app.add_option("model", request.model, "a .nemo file")->required();
  app.add_option("files", request.files, "audio files (wav, flac, ogg)");
  app.add_option("--manifest", request.manifest, "NeMo manifest: JSON lines with audio_filepath");
  app.add_option("--output,-o", output, "file for the results; - is stdout");
  app.add_option("--batch-size", request.batch_size, "items computed together")->check(CLI::PositiveNumber);
  app.add_flag("--timestamps", request.timestamps, "add start and end of characters and words, in seconds");
  app.add_flag("--json", json, "one document {items, wer, cer, errors, words, rtfx} instead of lines");
  if (parse_arguments(app, words)) return 0;
  if (request.files.empty() == request.manifest.empty()) {
    throw Error(Code::kUsage, "give audio files or --manifest, one of them").next("fathom transcribe --help");
  }
  if (!file_exists(request.model)) throw Error(Code::kNoInput, "no such model file").at(request.model);
  request.threads = globals.threads;

  // With --json and with a file the results are collected, so that a failed run leaves no half document.
  Json items = Json::array();
  std::string lines;
  const bool stream = output == "-" && !json;
  const auto totals = engine().transcribe(request, [&](const Json& item) {
    if (stream)
      print_line(item.dump());
    else if (json)
      items.push_back(item);
    else
      lines += item.dump() + "\n";
  });
  const auto rate = [](int64_t errors, int64_t length) -> Json {
    return length > 0 ? Json(static_cast<double>(errors) / static_cast<double>(length)) : Json(nullptr);
  };
  if (json) {
    const Json document = {
        {"items", std::move(items)},
        {"wer", totals.references > 0 ? rate(totals.errors, totals.words) : Json(nullptr)},
        {"cer", totals.references > 0 ? rate(totals.character_errors, totals.characters) : Json(nullptr)},
        {"errors", totals.errors},
        {"words", totals.words},
        {"rtfx", totals.seconds > 0 ? totals.audio_seconds / totals.seconds : 0.0}};
    lines = document.dump(2) + "\n";
  }
  if (!stream) {
    if (output == "-")
      print(lines);
    else
      write_file_atomically(output, lines);
  }
  if (totals.references > 0) {
    const double wer =
        totals.words > 0 ? 100.0 * static_cast<double>(totals.errors) / static_cast<double>(totals.words) : 0.0;
    fmt::print(stderr, "WER {:.2f} % ({} errors / {} words)\n", wer, totals.errors, totals.words);
  }
  return 0;
}

}  // namespace fathom::cli
