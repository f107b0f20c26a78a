#include "plugins/asr/losses/transducer_loss_options.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "fathom/nearest_names.h"
#include "fathom/support.h"

namespace fathom::asr {
namespace {

using Kind = TransducerLossOptions::Kind;

const std::map<std::string, Kind>& known_losses() {
  static const std::map<std::string, Kind> kLosses = {{"default", Kind::kRnnt},
                                                      {"warprnnt_numba", Kind::kRnnt},
                                                      {"warprnnt", Kind::kRnnt},
                                                      {"pytorch", Kind::kRnnt},
                                                      {"tdt", Kind::kTdt},
                                                      {"tdt_pytorch", Kind::kTdt},
                                                      {"multiblank_rnnt", Kind::kMultiblank},
                                                      {"multiblank_rnnt_pytorch", Kind::kMultiblank}};
  return kLosses;
}

void expect_share(double value, const char* key) {
  if (value >= 0 && value <= 1) return;
  throw Error(Code::kFailed, "a probability lies between 0 and 1").at(key).seen(json_text(Json(value)));
}
void expect_not_negative(double value, const char* key) {
  if (value >= 0 && std::isfinite(value)) return;
  throw Error(Code::kFailed, "a finite number that is not negative is needed").at(key).seen(json_text(Json(value)));
}

// Of TDT: 0 and 1 first, rising. NeMo's kernels look for them there; without 0 two labels cannot share a frame, without
// 1 not every length can be reached.
void check_durations(const std::vector<int64_t>& durations) {
  const bool rising = std::adjacent_find(durations.begin(), durations.end(), std::greater_equal<>()) == durations.end();
  if (durations.size() >= 2 && durations[0] == 0 && durations[1] == 1 && rising) return;
  throw Error(Code::kFailed, "the durations of a TDT model begin with 0 and 1, and rise")
      .at("durations")
      .seen(json_text(Json(durations)))
      .expected("for example [0, 1, 2, 3, 4]");
}

void check_big_blanks(const std::vector<int64_t>& durations, int64_t blank) {
  const bool long_enough = std::all_of(durations.begin(), durations.end(), [](int64_t frames) { return frames >= 2; });
  if (durations.empty() || !long_enough || static_cast<int64_t>(durations.size()) >= blank) {
    throw Error(Code::kFailed, "a multi-blank loss needs the frames that each big blank moves, 2 or more")
        .at("big_blank_durations")
        .seen(json_text(Json(durations)))
        .expected("for example [2, 4, 8]; num_classes counts the big blanks, which stand before the blank");
  }
}

void warn_of_unused(const TransducerLossKwargs& k, Kind kind, const std::string& name) {
  std::string unused;
  const auto note = [&](bool given, const char* key) {
    if (given) unused += (unused.empty() ? "" : ", ") + std::string(key);
  };
  note(kind != Kind::kTdt && k.durations.has_value(), "durations");
  note(kind != Kind::kTdt && k.omega != 0, "omega");
  note(kind != Kind::kMultiblank && k.big_blank_durations.has_value(), "big_blank_durations");
  note(kind == Kind::kRnnt && k.sigma != 0, "sigma");
  if (!unused.empty())
    log(LogLevel::kWarning, "asr.RNNTLoss", "the loss '" + name + "' has no use for " + unused + ": ignored");
}

}  // namespace

void TransducerLossKwargs::describe(OptionSet<TransducerLossKwargs>& o) {
  o("fastemit_lambda", &TransducerLossKwargs::fastemit_lambda, "FastEmit: how much more labels count than blanks");
  o("clamp", &TransducerLossKwargs::clamp, "bound of each logit's gradient; not positive: none");
  o("durations", &TransducerLossKwargs::durations, "TDT: frames that a duration output stands for; 0 and 1 first");
  o("big_blank_durations", &TransducerLossKwargs::big_blank_durations, "multi-blank: frames that each big blank moves");
  o("sigma", &TransducerLossKwargs::sigma, "TDT, multi-blank: taken from the tokens' log-probabilities");
  o("omega", &TransducerLossKwargs::omega, "TDT: share of training batches that train tokens as plain RNN-T");
}

TransducerLossOptions transducer_loss_options(int64_t num_classes, const std::string& loss_name,
                                              const std::string& reduction, const Json& loss_kwargs) {
  const auto& losses = known_losses();
  const auto found = losses.find(loss_name);
  if (found == losses.end()) {
    const bool graph = loss_name.starts_with("graph_");
    std::vector<std::string> names;
    for (const auto& [name, kind] : losses) names.push_back(name);
    std::string list;
    for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
    throw Error(graph ? Code::kUnavailable : Code::kFailed,
                graph ? "losses on k2's graphs are not supported" : "unknown loss of transducers")
        .at("loss_name")
        .seen(loss_name)
        .expected("one of " + list)
        .candidates(nearest_names(loss_name, names));
  }
  const auto& reductions = {"mean_batch", "mean", "mean_volume", "sum", "none"};
  if (std::find(reductions.begin(), reductions.end(), reduction) == reductions.end()) {
    throw Error(Code::kFailed, "unknown reduction")
        .at("reduction")
        .seen(reduction)
        .expected("mean_batch, mean, mean_volume, sum, none or null");
  }
  if (num_classes < 0) {
    throw Error(Code::kFailed, "a transducer's loss needs the number of its blank")
        .at("num_classes")
        .seen(std::to_string(num_classes))
        .expected("0 or more: the tokens without the blank, which is the one after them");
  }
  const auto kwargs =
      loss_kwargs.is_null() ? TransducerLossKwargs{} : parse_options<TransducerLossKwargs>(loss_kwargs, "loss_kwargs");
  TransducerLossOptions out;
  out.kind = found->second;
  out.blank = num_classes;
  out.reduction = reduction;
  out.sigma = out.kind == Kind::kRnnt ? 0 : kwargs.sigma;
  out.omega = out.kind == Kind::kTdt ? kwargs.omega : 0;
  out.fastemit_lambda = kwargs.fastemit_lambda;
  out.clamp = kwargs.clamp > 0 ? kwargs.clamp : 0;
  expect_share(out.omega, "omega");
  expect_not_negative(out.fastemit_lambda, "fastemit_lambda");
  if (!std::isfinite(out.sigma) || std::isnan(kwargs.clamp))
    throw Error(Code::kFailed, "sigma and clamp must be numbers").at("loss_kwargs").seen(json_text(loss_kwargs));
  if (out.kind == Kind::kTdt) {
    out.durations = kwargs.durations.value_or(std::vector<int64_t>{});
    check_durations(out.durations);
  }
  if (out.kind == Kind::kMultiblank) {
    out.durations = kwargs.big_blank_durations.value_or(std::vector<int64_t>{});
    check_big_blanks(out.durations, out.blank);
  }
  warn_of_unused(kwargs, out.kind, loss_name);
  return out;
}

std::string loss_kwargs_key(const std::string& loss_name) {
  return (loss_name == "default" ? std::string("warprnnt_numba") : loss_name) + "_kwargs";
}

}  // namespace fathom::asr
