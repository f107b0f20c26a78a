#include <iostream>

#include "core/base/file.h"
#include "core/model_files/pretrained.h"
#include "host/arguments.h"
#include "host/engine_loader.h"
#include "host/output.h"
#include "host/signals.h"

namespace fathom::cli {
namespace {

// The JSON objects of stdin, a line each.
Json lines_of_stdin() {
  Json out = Json::array();
  std::string line;
  for (size_t number = 1; std::getline(std::cin, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    Json item = Json::parse(line, nullptr, false);
    if (!item.is_object()) {
      throw Error(Code::kBadData, "a line is no JSON object")
          .at("stdin:" + std::to_string(number))
          .seen(line.substr(0, 80))
          .expected("{\"text\": \"…\"}");
    }
    out.push_back(std::move(item));
  }
  return out;
}

// KEY=VALUE, where a value that is JSON is that, and else a text.
void add_option(const std::string& given, Json& options) {
  const size_t sign = given.find('=');
  if (sign == std::string::npos || sign == 0) {
    throw Error(Code::kUsage, "an option needs its value").at("--option").seen(given).expected("KEY=VALUE");
  }
  const std::string value = given.substr(sign + 1);
  Json parsed = Json::parse(value, nullptr, false);
  options[given.substr(0, sign)] = parsed.is_discarded() ? Json(value) : std::move(parsed);
}

}  // namespace

int run_infer(const Words& words, const Globals& globals) {
  PredictRequest request;
  std::string input, output = "-";
  std::vector<std::string> texts, options;
  CLI::App app(
      "What a model of texts makes of each line of a file: one JSON object a line on stdout, in the lines' order. A "
      "line\n"
      "is {\"text\": \"…\"}; what else it holds is kept. Models that hear: fathom transcribe.\n\n"
      "  fathom infer sms.nemo --input messages.jsonl\n"
      "  fathom infer sms.nemo --text \"Win cash now\" --option scores=true",
      "fathom infer");
  app.add_option("model,--model", request.model, "a .nemo file, or the name of a pretrained model (fathom models)")
      ->required();
  app.add_option("--input,-i", input, "JSON lines; - is stdin");
  app.add_option("--text", texts, "a text, in place of a file's lines")->allow_extra_args(false);
  app.add_option("--output,-o", output, "file for the results; - is stdout");
  app.add_option("--batch-size", request.batch_size, "lines read together")->check(CLI::PositiveNumber);
  app.add_option("--option", options, "of the model's inference: KEY=VALUE")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  if (parse_arguments(app, words)) return 0;
  if (input.empty() == texts.empty())
    throw Error(Code::kUsage, "give --input or --text, one of them").next("fathom infer --help");
  request.model = model_files::model_file(request.model);
  if (!file_exists(request.model)) throw Error(Code::kNoInput, "no such model file").at(request.model);
  if (!input.empty() && input != "-" && !file_exists(input)) throw Error(Code::kNoInput, "no such file").at(input);
  request.threads = globals.threads;
  for (const std::string& option : options) add_option(option, request.options);
  if (!texts.empty())
    request.data["texts"] = texts;
  else if (input == "-")
    request.data["lines"] = lines_of_stdin();
  else
    request.data["manifest_filepath"] = input;

  // A file is written whole or not at all.
  std::string lines;
  catch_interrupts();
  try {
    engine().predict(request, [&](const Json& item) {
      if (output == "-")
        print_line(json_text(item));
      else
        lines += json_text(item) + "\n";
    });
  } catch (const Error& error) {
    if (error.code() != Code::kInterrupted) throw;
    return interrupt_status(/*saved=*/false);
  }
  if (output != "-") write_file_atomically(output, lines);
  return 0;
}

}  // namespace fathom::cli
