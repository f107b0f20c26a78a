#include "plugins/tts/data/pitch_statistics.h"

#include <ATen/ATen.h>

#include <fstream>
#include <vector>

#include "fathom/nearest_names.h"
#include "fathom/support.h"

namespace fathom::tts {
namespace {

std::map<std::string, PitchStatistics> read_statistics(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Code::kNoInput, "the pitch statistics cannot be read").at("pitch_stats_path").seen(path);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto refuse = [&](const std::string& seen) -> Error {
    return Error(Code::kBadData, "no file of pitch statistics")
        .at(path)
        .seen(seen)
        .expected(R"({"default": {"pitch_mean": 212.4, "pitch_std": 68.5}, "3": …}, by the speakers' numbers)")
        .next("`fathom tts prepare` writes one");
  };
  Json stats;
  try {
    stats = parse_text(text);
  } catch (const nlohmann::json::exception&) {
    throw refuse(text.substr(0, 40));
  }
  if (!stats.is_object() || stats.empty()) throw refuse(text.substr(0, 40));
  std::map<std::string, PitchStatistics> out;
  for (const auto& [speaker, one] : stats.items()) {
    const auto number = [&](const char* key) {
      if (!one.is_object() || !one.contains(key) || !one[key].is_number())
        throw refuse(speaker + ": " + json_text(one));
      return one[key].get<double>();
    };
    out[speaker] = {number("pitch_mean"), number("pitch_std")};
    if (!(out[speaker].std > 0)) throw refuse(speaker + ": " + json_text(one));
  }
  return out;
}

}  // namespace

PitchScale::PitchScale(const std::optional<double>& mean, const std::optional<double>& std,
                       const std::optional<std::string>& stats_path)
    : on_(true) {
  if (mean.has_value() != std.has_value()) {
    throw Error(Code::kFailed, "pitch_mean and pitch_std belong together")
        .at(mean ? "pitch_std" : "pitch_mean")
        .seen("null")
        .expected("a number, as the other is given");
  }
  if (mean.has_value() == stats_path.has_value()) {
    throw Error(Code::kFailed, "pitch_norm needs the pitch's statistics from one source")
        .at("pitch_norm")
        .seen(mean ? "pitch_mean, pitch_std and pitch_stats_path" : "neither pitch_mean nor pitch_stats_path")
        .expected("pitch_mean and pitch_std, or pitch_stats_path")
        .next("`fathom tts prepare` computes them");
  }
  if (mean) {
    if (!(*std > 0))
      throw Error(Code::kFailed, "a deviation must be positive").at("pitch_std").seen(std::to_string(*std));
    all_ = PitchStatistics{*mean, *std};
    return;
  }
  path_ = *stats_path;
  by_speaker_ = read_statistics(path_);
}

const PitchStatistics& PitchScale::of(const std::string& speaker, const std::string& where) const {
  if (all_) return *all_;
  auto found = by_speaker_.find(speaker);
  if (found == by_speaker_.end()) found = by_speaker_.find("default");
  if (found != by_speaker_.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, one] : by_speaker_) known.push_back(name);
  throw Error(Code::kBadData, "the pitch statistics know no such speaker, and no default")
      .at(where)
      .seen(speaker.empty() ? "a line without a speaker" : speaker)
      .candidates(nearest_names(speaker, known))
      .next("are they those of another set? " + path_);
}

at::Tensor PitchScale::operator()(const at::Tensor& pitch, const std::string& speaker, const std::string& where) const {
  if (!on_) return pitch;
  const PitchStatistics& stats = of(speaker, where);
  return pitch.sub(stats.mean).masked_fill(pitch.eq(0), 0).div(stats.std);
}

}  // namespace fathom::tts
