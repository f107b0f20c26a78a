#include <algorithm>
#include <filesystem>
#include <set>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/runs/curve_svg.h"
#include "core/runs/run_table.h"
#include "host/arguments.h"
#include "host/output.h"

namespace fathom::cli {
namespace {

// Where trainings write when nobody tells them where.
Words default_folders() {
  Words found;
  for (const char* folder : {"nemo_experiments", "lightning_logs"}) {
    std::error_code error;
    if (std::filesystem::is_directory(folder, error)) found.push_back(folder);
  }
  return found.empty() ? Words{"."} : found;
}

struct ListFlags {
  Words folders;
  std::string sort = "changed";
  bool json = false, jsonl = false, reverse = false, all = false;
};

int list_runs(const ListFlags& flags) {
  const auto order = runs::run_order(flags.sort);
  if (!order) {
    throw Error(Code::kUsage, "the runs cannot be sorted by this")
        .at("--sort")
        .seen(flags.sort)
        .expected(join(runs::run_order_words(), ", "))
        .candidates(nearest_names(flags.sort, runs::run_order_words()));
  }
  if (flags.json && flags.jsonl) throw Error(Code::kUsage, "--json and --jsonl exclude each other");
  const Words folders = flags.folders.empty() ? default_folders() : flags.folders;
  std::vector<runs::RunInfo> found;
  std::set<std::string> seen;  // a folder may lie in another that was named too
  for (const std::string& folder : folders) {
    for (auto& run : runs::find_runs(folder, {flags.all}, print_error)) {
      std::error_code error;
      if (seen.insert(std::filesystem::weakly_canonical(run.folder, error)).second) found.push_back(std::move(run));
    }
  }
  runs::sort_runs(found, *order, flags.reverse);
  if (flags.json) {
    Json list = Json::array();
    for (const auto& run : found) list.push_back(runs::to_json(run));
    print_json(list);
  } else if (flags.jsonl) {
    for (const auto& run : found) print_line(json_text(runs::to_json(run)));
  } else if (found.empty()) {
    log_info("runs", "there are no runs below {}", join(folders, ", "));
  } else {
    print(runs::runs_text(found));
  }
  return 0;
}

struct PlotFlags {
  Words folders, metrics;
  std::string svg = "-", axis = "step";
  bool log = false;
  double smooth = 0;
};

int plot_runs(const PlotFlags& flags) {
  runs::CurveOptions options;
  options.metrics = flags.metrics;
  options.log = flags.log;
  options.smooth = flags.smooth;
  if (!(flags.smooth >= 0 && flags.smooth < 1)) {
    throw Error(Code::kUsage, "is no weight of a running mean")
        .at("--smooth")
        .seen(json_text(Json(flags.smooth)))
        .expected("0 or more, and less than 1");
  }
  const Words axes = {"step", "epoch", "time"};
  const auto axis = std::find(axes.begin(), axes.end(), flags.axis);
  if (axis == axes.end()) {
    throw Error(Code::kUsage, "is no axis")
        .at("--x")
        .seen(flags.axis)
        .expected(join(axes, ", "))
        .candidates(nearest_names(flags.axis, axes));
  }
  options.axis = static_cast<runs::CurveAxis>(axis - axes.begin());
  const auto note = [](const std::string& text) { log_warning("runs", "{}", text); };
  const std::string image = runs::curves_svg(runs::make_curves(flags.folders, options, note));
  if (flags.svg.empty() || flags.svg == "-")
    print(image);
  else
    write_file_atomically(flags.svg, image);
  return 0;
}

}  // namespace

int run_runs(const Words& words, const Globals&) {
  ListFlags list;
  PlotFlags plot;
  CLI::App app(
      "The runs below a folder, newest first: state, epochs, steps and best checkpoint of each.\n\n"
      "  fathom runs\n"
      "  fathom runs nemo_experiments/digits --sort best\n"
      "  fathom runs plot nemo_experiments/digits --metric val_loss --metric train_loss --svg curves.svg\n",
      "fathom runs");
  app.require_subcommand(0, 1);
  app.add_option(
      "folder", list.folders,
      "where to look; default nemo_experiments and lightning_logs, and where neither is, the current folder");
  app.add_option("--sort", list.sort, "changed (default), started, name, state, epochs, step or best");
  app.add_flag("--reverse", list.reverse, "the other way round");
  app.add_flag("--all", list.all, "also what exp_manager set aside in run_N of a run's folder");
  app.add_flag("--json", list.json, "one JSON document, a list");
  app.add_flag("--jsonl", list.jsonl, "one JSON object a line");
  app.footer(
      "States: finished, stopped (early, as asked), interrupted (saved; the same command goes on), failed, running,\n"
      "killed (its process is gone), unknown (of NeMo, Lightning or an older fathom, which left no run.json).\n"
      "EPOCHS are those done; of a run without an end of its own those begun.");
  auto* draw = app.add_subcommand("plot", "curves of the runs' metrics.csv as an image");
  draw->add_option("folder", plot.folders, "folders of runs, folders with runs below them, or metrics.csv files")
      ->required();
  draw->add_option("--svg", plot.svg, "the SVG file to write; - or nothing: stdout")->expected(0, 1);
  draw->add_option("--metric", plot.metrics, "what to draw, once for each; default: what all the runs have")
      ->allow_extra_args(false);
  draw->add_option("--x", plot.axis,
                   "step (default), epoch (means of each), or time (s; needs TensorBoard events beside metrics.csv)");
  draw->add_flag("--log", plot.log, "a logarithmic y axis; values of 0 and below are gaps");
  draw->add_option("--smooth", plot.smooth, "0 (off) to less than 1: weight of the past in a running mean");
  if (parse_arguments(app, words)) return 0;
  return *draw ? plot_runs(plot) : list_runs(list);
}

}  // namespace fathom::cli
