#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/file.h"
#include "core/model_files/pretrained.h"
#include "host/arguments.h"
#include "host/engine_loader.h"
#include "host/output.h"
#include "host/signals.h"

namespace fathom::cli {
namespace {

// What the metric asr.WER counted over the items that came with a text.
struct ErrorRate {
  bool known = false;
  int64_t errors = 0, units = 0;
  Json rate() const {
    return units > 0 ? Json(static_cast<double>(errors) / static_cast<double>(units)) : Json(nullptr);
  }
};

ErrorRate error_rate(const PredictTotals& totals, const char* name) {
  const auto found = totals.metrics.find(name);
  if (found == totals.metrics.end()) return {};
  return {true, static_cast<int64_t>(found->second.at("wer_num")), static_cast<int64_t>(found->second.at("wer_denom"))};
}

}  // namespace

int run_transcribe(const Words& words, const Globals& globals) {
  PredictRequest request;
  std::vector<std::string> files, slots;
  std::string manifest, output = "-", decoder_type, precision;
  bool timestamps = false, inverse_normalize = false;
  bool json = false;
  CLI::App app(
      "Speech to text. One JSON object an item on stdout: {audio_filepath, pred_text, text?, duration, offset?}.\n\n"
      "  fathom transcribe model.nemo a.wav b.flac\n"
      "  fathom transcribe model.nemo --manifest test.json --output out.jsonl",
      "fathom transcribe");
  app.add_option("model,--model", request.model, "a .nemo file, or the name of a pretrained model (fathom models)")
      ->required();
  app.add_option("files", files, "audio files (wav, flac, ogg)");
  app.add_option("--manifest", manifest, "NeMo manifest: JSON lines with audio_filepath");
  app.add_option("--output,-o", output, "file for the results; - is stdout");
  app.add_option("--batch-size", request.batch_size, "items computed together")->check(CLI::PositiveNumber);
  app.add_flag("--timestamps", timestamps, "add start and end of characters and words, in seconds");
  app.add_flag("--inverse-normalize", inverse_normalize,
               "add written_text, the English text with figures: \"twenty three dollars\" as $23");
  app.add_option("--decoder-type", decoder_type, "of a hybrid model: rnnt or ctc");
  app.add_option("--prompt", slots, "of a multi-task model: SLOT=VALUE, for items whose manifest line does not say")
      ->type_name("SLOT=VALUE")
      ->allow_extra_args(false);
  app.add_option("--precision", precision, "lay the encoder's weights out once, for products of 32, bf16 or int8");
  app.add_flag("--json", json, "one document {items, wer, cer, errors, words, rtfx} instead of lines");
  if (parse_arguments(app, words)) return 0;
  if (files.empty() == manifest.empty()) {
    throw Error(Code::kUsage, "give audio files or --manifest, one of them").next("fathom transcribe --help");
  }
  request.model = model_files::model_file(request.model);
  if (!file_exists(request.model)) throw Error(Code::kNoInput, "no such model file").at(request.model);
  for (const auto& file : files) {
    if (!file_exists(file)) throw Error(Code::kNoInput, "no such audio file").at(file);
  }
  request.threads = globals.threads;
  request.options = {{"timestamps", timestamps}};
  if (inverse_normalize) request.options["inverse_normalize"] = true;
  if (!precision.empty()) request.options["precision"] = precision;
  if (!decoder_type.empty()) request.options["decoder_type"] = decoder_type;
  for (const auto& slot : slots) {
    const size_t sign = slot.find('=');
    if (sign == std::string::npos || sign == 0) {
      throw Error(Code::kUsage, "a prompt's slot needs its value")
          .at("--prompt")
          .seen(slot)
          .expected("SLOT=VALUE, such as target_lang=de");
    }
    request.options[slot.substr(0, sign)] = slot.substr(sign + 1);
  }
  if (manifest.empty())
    request.data["paths"] = files;
  else
    request.data["manifest_filepath"] = manifest;
  const std::map<std::string, std::string> texts = {{"hypotheses", "pred_text"}, {"references", "text"}};
  request.metrics = {{"wer", {{{"_target_", "asr.WER"}}, texts}},
                     {"cer", {{{"_target_", "asr.WER"}, {"use_cer", true}}, texts}}};

  // With --json and with a file the results are collected, so that a failed run leaves no half document.
  Json items = Json::array();
  std::string lines;
  const bool stream = output == "-" && !json;
  double audio_seconds = 0;
  catch_interrupts();
  const auto take = [&](const Json& item) {
    audio_seconds += item.value("duration", 0.0);
    if (stream)
      print_line(json_text(item));
    else if (json)
      items.push_back(item);
    else
      lines += json_text(item) + "\n";
  };
  PredictTotals totals;
  try {
    totals = engine().predict(request, take);
  } catch (const Error& error) {
    if (error.code() != Code::kInterrupted) throw;
    return interrupt_status(/*saved=*/false);
  }
  const ErrorRate by_word = error_rate(totals, "wer"), by_character = error_rate(totals, "cer");
  if (json) {
    const Json document = {
        {"items", std::move(items)},  {"wer", by_word.rate()},
        {"cer", by_character.rate()}, {"errors", by_word.errors},
        {"words", by_word.units},     {"rtfx", totals.seconds > 0 ? audio_seconds / totals.seconds : 0.0}};
    lines = json_text(document, 2) + "\n";
  }
  if (!stream) {
    if (output == "-")
      print(lines);
    else
      write_file_atomically(output, lines);
  }
  if (by_word.known) {
    fmt::print(stderr, "WER {:.2f} % ({} errors / {} words)\n",
               by_word.units > 0 ? 100 * by_word.rate().get<double>() : 0.0, by_word.errors, by_word.units);
  }
  return 0;
}

}  // namespace fathom::cli
