#include "plugins/asr/data/speech_set.h"

#include <algorithm>

#include "fathom/options.h"
#include "plugins/asr/data/set_random.h"

namespace fathom::asr {
namespace {

// What a section says of its sets together, in NeMo's names.
struct SpeechSetKeys : ConcatOptions, BucketOptions {
  bool is_tarred = false, shard_manifests = false, is_concat = false;
  std::optional<int64_t> shuffle_n;
  std::optional<std::string> tarred_shard_strategy, shard_strategy;
  Json tarred_audio_filepaths;
  static void describe(OptionSet<SpeechSetKeys>& o) {
    using Keys = SpeechSetKeys;
    o("is_tarred", &Keys::is_tarred, "the audio lies in tar files");
    o("tarred_audio_filepaths", &Keys::tarred_audio_filepaths, "the tar files: a pattern or a list; of buckets, lists");
    o("tarred_shard_strategy", &Keys::tarred_shard_strategy, "scatter or replicate");
    o("shard_strategy", &Keys::shard_strategy, "as some configs call tarred_shard_strategy");
    o("shard_manifests", &Keys::shard_manifests, "manifest_filepath is a pattern too, of a manifest for every shard");
    o("shuffle_n", &Keys::shuffle_n, "clips of tar files among which the next one is drawn; null: 4 * batch_size");
    o("bucketing_strategy", &Keys::strategy, "fixed_order, synced_randomized or fully_randomized");
    o("bucketing_batch_size", &Keys::batch_size, "of each bucket: a list, or a number that longer buckets divide");
    o("bucketing_weights", &Keys::weights, "how often each bucket is read in an epoch");
    o("is_concat", &Keys::is_concat, "the manifests are sets of their own, which are mixed");
    o("concat_sampling_technique", &Keys::technique, "temperature, random or round-robin");
    o("concat_sampling_temperature", &Keys::temperature, "1: shares as the sets' sizes; larger: closer to equal");
    o("concat_sampling_scale", &Keys::scale, "items of an epoch, of those that the sets have");
    o("concat_sampling_probabilities", &Keys::probabilities, "of each set, where the technique is random");
    o("concat_shuffle", &Keys::shuffle, "items of a set come in another order in every epoch");
    o("concat_sampling_seed", &Keys::seed, "of the choice among sets; null: another one in every epoch");
    o("concat_exhaust", &Keys::exhaust, "an epoch ends when every set was gone through (NeMo's ConcatMapDataset)");
  }
};

// Of the section, what its sets are made from.
struct SpeechSetPlan {
  SpeechSetKeys keys;
  std::vector<Json> parts;
  bool plans_batches = false;  // and not the loader

  SpeechSetPlan(const Json& section, const std::string& config_path, const Rank& rank);

 private:
  Json own_keys(const Json& section, const std::string& config_path);
  static std::vector<Json> split(const Json& value, const std::string& where, bool concat);
  Json part_of(const Json& own, Json manifest, Json shards, const std::string& config_path) const;
};

// Takes the keys of the sets out of the section. A detail of what is switched off says nothing, as in NeMo.
Json SpeechSetPlan::own_keys(const Json& section, const std::string& config_path) {
  const auto is_on = [&](const char* key) { return section.contains(key) && section[key] == Json(true); };
  const bool tarred = is_on("is_tarred"), concat = is_on("is_concat");
  const auto names = option_names<SpeechSetKeys>();
  Json mine = Json::object(), own = section;
  for (const auto& [key, value] : section.items()) {
    if (std::find(names.begin(), names.end(), key) == names.end()) continue;
    own.erase(key);
    const bool about_concat = key.starts_with("concat_");
    const bool about_tars =
        !about_concat && key != "is_tarred" && key != "is_concat" && key != "tarred_audio_filepaths";
    const bool counts = about_concat ? concat : !about_tars || tarred;
    if (counts && !value.is_null()) mine[key] = value;
  }
  keys = parse_options<SpeechSetKeys>(mine, config_path);
  const Json& shards = keys.tarred_audio_filepaths;
  const bool names_shards = !shards.is_null() && shards != Json("") && shards != Json("na") && !shards.empty();
  if (names_shards && !tarred) {
    throw Error(Code::kFailed, "tar files are named, but is_tarred is not set")
        .at(config_path + ".tarred_audio_filepaths")
        .seen(json_text(shards))
        .next("set is_tarred: true, or tarred_audio_filepaths: null");
  }
  if (tarred && !names_shards) {
    throw Error(Code::kFailed, "is_tarred is set, but no tar files are named")
        .at(config_path + ".tarred_audio_filepaths")
        .expected("a pattern such as audio__OP_0..511_CL_.tar, or a list");
  }
  if (keys.shuffle_n && *keys.shuffle_n < 0) {
    throw Error(Code::kFailed, "shuffle_n is too small")
        .at(config_path + ".shuffle_n")
        .seen(std::to_string(*keys.shuffle_n))
        .expected("at least 0");
  }
  if (keys.shard_strategy) {
    if (keys.tarred_shard_strategy && *keys.tarred_shard_strategy != *keys.shard_strategy) {
      throw Error(Code::kFailed, "shard_strategy and tarred_shard_strategy contradict each other")
          .at(config_path + ".shard_strategy")
          .seen(*keys.shard_strategy + ", " + *keys.tarred_shard_strategy)
          .next("keep tarred_shard_strategy");
    }
    keys.tarred_shard_strategy = keys.shard_strategy;
  }
  return own;
}

// Of buckets, the lists in a list; of sets to mix, the entries of a list, also of one that is alone in another.
std::vector<Json> SpeechSetPlan::split(const Json& value, const std::string& where, bool concat) {
  const Json* list = &value;
  if (concat) {
    if (list->is_array() && list->size() == 1 && list->front().is_array()) list = &list->front();
    if (!list->is_array() || list->empty()) {
      throw Error(Code::kFailed, "is_concat mixes the sets of a list")
          .at(where)
          .seen(json_text(value))
          .expected("a list with an entry for every set");
    }
    return {list->begin(), list->end()};
  }
  const bool nested = list->is_array() && !list->empty() && list->front().is_array();
  if (!nested) return {value};
  for (const Json& bucket : *list) {
    if (bucket.is_array()) continue;
    throw Error(Code::kFailed, "some entries are buckets and others are not")
        .at(where)
        .seen(json_text(bucket))
        .expected("a list of lists, one for every bucket, or a list of texts");
  }
  return {list->begin(), list->end()};
}

Json SpeechSetPlan::part_of(const Json& own, Json manifest, Json shards, const std::string& config_path) const {
  Json part = own;
  if (keys.is_tarred) {
    const std::string strategy = keys.tarred_shard_strategy.value_or("scatter");
    part["is_tarred"] = true;
    part["tarred_audio_filepaths"] = std::move(shards);
    part["tarred_shard_strategy"] = strategy;
    if (keys.shard_manifests) {
      manifest = shards_of_rank(shard_paths(manifest, config_path + ".manifest_filepath"), strategy,
                                keys.BucketOptions::rank, config_path + ".tarred_shard_strategy");
    }
  }
  part["manifest_filepath"] = std::move(manifest);
  return part;
}

SpeechSetPlan::SpeechSetPlan(const Json& section, const std::string& config_path, const Rank& rank) {
  const Json own = own_keys(section, config_path);
  keys.ConcatOptions::rank = keys.BucketOptions::rank = rank;
  const std::vector<Json> manifests =
      !keys.is_concat && !keys.is_tarred
          ? std::vector<Json>{own["manifest_filepath"]}
          : split(own["manifest_filepath"], config_path + ".manifest_filepath", keys.is_concat);
  std::vector<Json> shards(manifests.size());
  if (keys.is_tarred) {
    shards = split(keys.tarred_audio_filepaths, config_path + ".tarred_audio_filepaths", keys.is_concat);
    if (shards.size() != manifests.size()) {
      throw Error(Code::kFailed, "there are not as many manifests as sets of tar files")
          .at(config_path + ".tarred_audio_filepaths")
          .seen(std::to_string(shards.size()) + " sets of tar files, " + std::to_string(manifests.size()) +
                " manifests")
          .expected("a manifest for every set");
    }
  }
  for (size_t i = 0; i < manifests.size(); ++i) parts.push_back(part_of(own, manifests[i], shards[i], config_path));
  const auto says = [&](const char* key) { return section.contains(key) && !section[key].is_null(); };
  const bool loader_plans = says("max_seconds") || says("max_tokens") ||
                            (section.contains("use_bucketing") && section["use_bucketing"] == Json(true));
  plans_batches = keys.is_concat || parts.size() > 1 || (keys.is_tarred && !loader_plans);
}

// The items of a tarred part for the pass-th time in an epoch.
std::vector<int64_t> tarred_pass(const AudioToTextDataset& part, size_t number, int64_t window, uint64_t seed,
                                 int64_t epoch, int64_t pass) {
  const uint64_t drawn =
      mixed_seed(mixed_seed(mixed_seed(seed, static_cast<uint64_t>(epoch)), number), static_cast<uint64_t>(pass));
  return shuffled_shards(part.clips().shard_starts(), window, drawn);
}

// Cuts an epoch's items into batches.
std::vector<std::vector<SetItem>> cut(const std::vector<SetItem>& items, const BatchRequest& request) {
  std::vector<std::vector<SetItem>> out;
  const auto most = static_cast<size_t>(request.batch_size);
  for (size_t at = 0; at < items.size(); at += most) {
    const size_t end = std::min(items.size(), at + most);
    if (end - at < most && request.drop_last) break;
    out.emplace_back(items.begin() + static_cast<std::ptrdiff_t>(at), items.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return out;
}

using Parts = PlannedSpeechSet::Parts;

PlannedSpeechSet::Planner concat_planner(const SpeechSetKeys& keys, const Parts& parts, const std::string& where) {
  std::vector<int64_t> sizes;
  for (const auto& part : parts) sizes.push_back(part->size());
  if (!keys.is_tarred) {
    const auto order = std::make_shared<ConcatOrder>(keys, sizes, where);
    return [order](const BatchRequest& r) { return cut(order->of_epoch(r.seed, r.epoch), r); };
  }
  // What the passes over tar files depend on, beside their number; one thread asks.
  const auto asked = std::make_shared<BatchRequest>();
  const auto window = keys.shuffle_n;
  const auto pass = [parts, asked, window](size_t set, int64_t number, int64_t epoch) {
    const int64_t shuffled = asked->shuffle ? window.value_or(4 * asked->batch_size) : 0;
    return tarred_pass(*parts[set], set, shuffled, asked->seed, epoch, number);
  };
  const auto order = std::make_shared<ConcatOrder>(keys, sizes, where, pass);
  return [order, asked](const BatchRequest& r) {
    *asked = r;
    return cut(order->of_epoch(r.seed, r.epoch), r);
  };
}

PlannedSpeechSet::Planner bucket_planner(const SpeechSetKeys& keys, const Parts& parts, const std::string& where) {
  const auto order = std::make_shared<BucketOrder>(keys, parts.size(), where);
  const auto window = keys.shuffle_n;
  return [order, parts, window](const BatchRequest& r) {
    const int64_t shuffled = r.shuffle ? window.value_or(4 * r.batch_size) : 0;
    return order->batches(r.seed, r.epoch, r.batch_size, r.drop_last, [&](size_t set, int64_t pass) {
      return tarred_pass(*parts[set], set, shuffled, r.seed, r.epoch, pass);
    });
  };
}

PlannedSpeechSet::Planner shard_planner(const SpeechSetKeys& keys, const Parts& parts) {
  const auto window = keys.shuffle_n;
  return [parts, window](const BatchRequest& r) {
    const int64_t shuffled = r.shuffle ? window.value_or(4 * r.batch_size) : 0;
    std::vector<SetItem> items;
    for (const int64_t item : tarred_pass(*parts[0], 0, shuffled, r.seed, r.epoch, 0)) items.push_back({0, item});
    return cut(items, r);
  };
}

}  // namespace

MadeDataset make_speech_set(const Json& section, const std::string& config_path, const MakeSpeechPart& make,
                            const Rank& rank) {
  SpeechSetPlan plan(section, config_path, rank);
  Parts parts;
  for (const Json& part : plan.parts) {
    parts.push_back(make(part));
    if (parts.back()->size() > 0) continue;
    throw Error(Code::kBadData, "no clip is left: min_duration, max_duration or the text parser dropped them all")
        .at(config_path)
        .seen(plan.parts.size() == 1 ? "" : json_text(part["manifest_filepath"]));
  }
  if (!plan.plans_batches) return parts.front();
  auto planner = plan.keys.is_concat ? concat_planner(plan.keys, parts, config_path)
                 : parts.size() > 1  ? bucket_planner(plan.keys, parts, config_path)
                                     : shard_planner(plan.keys, parts);
  return std::make_shared<PlannedSpeechSet>(std::move(parts), std::move(planner));
}

PlannedSpeechSet::PlannedSpeechSet(Parts parts, Planner plan) : parts_(std::move(parts)), plan_(std::move(plan)) {
  starts_.push_back(0);
  for (const auto& part : parts_) starts_.push_back(starts_.back() + part->size());
}

SetItem PlannedSpeechSet::place(int64_t index) const {
  const auto set = std::upper_bound(starts_.begin(), starts_.end() - 1, index) - starts_.begin() - 1;
  return {static_cast<size_t>(set), index - starts_[static_cast<size_t>(set)]};
}

audio::ManifestEntry PlannedSpeechSet::entry(int64_t index) const {
  const SetItem at = place(index);
  return parts_[at.set]->clips().entry(at.item);
}

double PlannedSpeechSet::length_hint(int64_t index) const {
  const SetItem at = place(index);
  return parts_[at.set]->length_hint(at.item);
}

double PlannedSpeechSet::length(int64_t index, std::string_view unit) const {
  const SetItem at = place(index);
  return parts_[at.set]->length(at.item, unit);
}

SpeechSample PlannedSpeechSet::get(int64_t index, uint64_t seed) const {
  const SetItem at = place(index);
  SpeechSample sample = parts_[at.set]->get(at.item, seed);
  if (parts_.size() > 1) sample.id = index;
  return sample;
}

std::vector<std::vector<int64_t>> PlannedSpeechSet::plan_batches(const BatchRequest& request) const {
  std::vector<std::vector<int64_t>> out;
  for (const auto& batch : plan_(request)) {
    out.emplace_back();
    for (const SetItem& at : batch) out.back().push_back(starts_[at.set] + at.item);
  }
  return out;
}

}  // namespace fathom::asr
