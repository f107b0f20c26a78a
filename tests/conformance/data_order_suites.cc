// Recorded orders of NeMo's data: tar files and buckets of them, and sets that are mixed.
#include <fmt/format.h>

#include "plugins/asr/data/audio_to_char_dataset.h"
#include "plugins/asr/data/data_section.h"
#include "plugins/asr/data/set_orders.h"
#include "plugins/asr/data/speech_set.h"
#include "tests/conformance/suite.h"

namespace fathom::conformance {
namespace {

using Names = std::vector<std::string>;
using NameBatches = std::vector<Names>;

Json as_json(const nlohmann::json& body) { return parse_text(json_text(body)); }

// Counts what differs and keeps the first of it.
class OrderRows {
 public:
  template <typename T>
  void compare(const std::string& what, const T& got, const Json& expected) {
    ++rows_;
    if (Json(got) == expected) return;
    if (count_++ == 0) first_ = fmt::format("{}: expected {}, got {}", what, json_text(expected), json_text(Json(got)));
  }
  Outcome outcome() const {
    if (count_ == 0) return pass();
    return fail(fmt::format("{} of {} rows differ, the first: {}", count_, rows_, first_));
  }

 private:
  int64_t rows_ = 0, count_ = 0;
  std::string first_;
};

// A file name, or those of a list (of lists), in the case's folder.
Json in_folder(const std::string& folder, const Json& names) {
  if (names.is_string()) return folder + "/" + names.get<std::string>();
  Json out = Json::array();
  for (const Json& name : names) out.push_back(in_folder(folder, name));
  return out;
}

asr::Rank rank_of(const Json& row) { return {row.value("global_rank", 0), row.value("world_size", 1)}; }

std::shared_ptr<Dataset> tar_set(const Json& section, const asr::Rank& rank) {
  const asr::MakeSpeechPart make = [&](const Json& part) {
    using Options = asr::AudioToCharDataset::Options;
    auto options = parse_options<Options>(asr::dataset_keys(part, option_names<Options>(), "train_ds"), "train_ds");
    for (char c = 'a'; c <= 'z'; ++c) options.labels.emplace_back(1, c);
    options.rank = rank;
    return std::make_shared<asr::AudioToCharDataset>(options);
  };
  return asr::make_speech_set(section, "train_ds", make, rank).get();
}

std::string name_of(const Dataset& set, int64_t index) {
  if (const auto* planned = dynamic_cast<const asr::PlannedSpeechSet*>(&set)) return planned->entry(index).named_as;
  return dynamic_cast<const asr::AudioToTextDataset&>(set).clips().entry(index).named_as;
}

NameBatches batches_of(const Dataset& set, int64_t batch_size, uint64_t seed, int64_t epoch) {
  const auto& planner = dynamic_cast<const BatchPlanner&>(set);
  NameBatches out;
  for (const auto& batch : planner.plan_batches({seed, epoch, batch_size, false, false})) {
    out.emplace_back();
    for (const int64_t index : batch) out.back().push_back(name_of(set, index));
  }
  return out;
}

// Of a clip: name, offset, duration, samples.
Json clip_facts(const asr::AudioToTextDataset& set, int64_t index, const Json& expected) {
  const audio::ManifestEntry entry = set.clips().entry(index);
  const Json offset = expected[1].is_null() && entry.offset == 0 ? Json(nullptr) : Json(entry.offset);
  return {entry.named_as, offset, entry.duration, set.get(index, 0).audio.size(0)};
}

Outcome run_tarred(const Case& c) {
  OrderRows rows_compared;
  const Json body = as_json(c.body);
  int64_t number = 0;
  Json without_workers;
  for (const Json& row : body["cases"]) {
    const bool sharded = row.value("shard_manifests", false);
    Json section = {{"is_tarred", true}, {"sample_rate", 8000}, {"shuffle", false}};
    section["manifest_filepath"] =
        in_folder(c.folder, sharded ? Json("shard_manifest_{0..5}.json") : row.value("manifest", Json("audio.json")));
    section["tarred_audio_filepaths"] =
        in_folder(c.folder, row.contains("tar_filepaths") ? row["tar_filepaths"] : Json("audio_{0..5}.tar"));
    if (sharded) section["shard_manifests"] = true;
    if (row.contains("shard_strategy")) section["tarred_shard_strategy"] = row["shard_strategy"];
    for (const char* key : {"min_duration", "max_duration"}) {
      if (row.contains(key)) section[key] = row[key];
    }
    const std::string what = fmt::format("case {}", number++);
    const auto set = tar_set(section, rank_of(row));
    const auto& planned = dynamic_cast<const asr::PlannedSpeechSet&>(*set);
    if (row.contains("batches_two_epochs")) {
      // Batches do not depend on the number of workers here; NeMo's do.
      if (row["num_workers"] == 0) without_workers = row["batches_two_epochs"];
      for (int64_t epoch = 0; epoch < 2; ++epoch)
        rows_compared.compare(what, batches_of(*set, row["batch_size"], 0, epoch), without_workers[epoch]);
      continue;
    }
    const auto& part = planned.part(0);
    if (row.contains("len")) rows_compared.compare(what + " len", part.clips().manifest().size(), row["len"]);
    if (row.contains("samples")) {
      Names names;
      for (int64_t i = 0; i < set->size(); ++i) names.push_back(name_of(*set, i));
      rows_compared.compare(what, names, row["samples"]);
    }
    if (row.contains("samples_offset_duration_length")) {
      const Json& expected = row["samples_offset_duration_length"];
      rows_compared.compare(what + " size", set->size(), Json(expected.size()));
      for (int64_t i = 0; i < std::min<int64_t>(set->size(), static_cast<int64_t>(expected.size())); ++i)
        rows_compared.compare(what, clip_facts(part, i, expected[i]), expected[i]);
    }
  }
  const auto buckets = static_cast<int64_t>(body["bucket_files"].size());
  Json manifests = Json::array(), shards = Json::array();
  for (int64_t i = 0; i < buckets; ++i) {
    manifests.push_back({fmt::format("bucket{}.json", i)});
    shards.push_back({fmt::format("bucket{}_{{0..1}}.tar", i)});
  }
  for (const Json& row : body["bucketing"]) {
    Json section = {{"is_tarred", true}, {"sample_rate", 8000}, {"shuffle", false}};
    section["manifest_filepath"] = in_folder(c.folder, manifests);
    section["tarred_audio_filepaths"] = in_folder(c.folder, shards);
    for (const char* key : {"bucketing_strategy", "bucketing_batch_size", "bucketing_weights"}) {
      if (row.contains(key)) section[key] = row[key];
    }
    const auto set = tar_set(section, rank_of(row));
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      rows_compared.compare(json_text(section), batches_of(*set, row["batch_size"], row["python_random_seed"], epoch),
                            row[fmt::format("batches_epoch{}", epoch)]);
    }
  }
  for (const Json& row : body["bucketing_batch_sizes"]) {
    asr::BucketOptions options;
    options.batch_size = row["bucketing_batch_size"];
    if (row.contains("bucketing_weights")) options.weights = row["bucketing_weights"];
    const size_t weighted = row["datasets"];
    const size_t sets = options.weights.is_array() ? options.weights.size() : weighted;
    try {
      const asr::BucketOrder order(options, sets, "train_ds");
      order.batches(0, 0, row["batch_size"], false, [](size_t, int64_t) { return std::vector<int64_t>(); });
      rows_compared.compare("batch sizes", order.batch_sizes(), row.value("sizes", Json(nullptr)));
    } catch (const Error& error) {
      rows_compared.compare(error.what(), row.contains("error"), true);
    }
  }
  return rows_compared.outcome();
}

Names names_of(const std::vector<asr::SetItem>& items) {
  Names out;
  for (const asr::SetItem& at : items)
    out.push_back(std::string(1, static_cast<char>('a' + at.set)) + std::to_string(at.item));
  return out;
}

Outcome run_concat(const Case& c) {
  OrderRows rows_compared;
  const Json rows = as_json(c.body)["rows"];
  for (const Json& row : rows) {
    asr::ConcatOptions options;
    options.technique = row["sampling_technique"];
    options.temperature = row.value("sampling_temperature", 5.0);
    options.scale = row.value("sampling_scale", 1.0);
    if (row.contains("sampling_probabilities") && !row["sampling_probabilities"].is_null())
      options.probabilities = row["sampling_probabilities"].get<std::vector<double>>();
    options.shuffle = row.value("shuffle", false);
    if (row.contains("seed")) options.seed = row["seed"].get<int64_t>();
    options.exhaust = row["class"] == "ConcatMapDataset";
    options.rank = rank_of(row);
    const auto sizes = row["sizes"].get<std::vector<int64_t>>();
    asr::ConcatOrder::Pass in_order;
    if (row.value("kind", "map") == "iterable") {
      in_order = [&](size_t set, int64_t, int64_t) {
        std::vector<int64_t> items(static_cast<size_t>(sizes[set]));
        std::iota(items.begin(), items.end(), int64_t{0});
        return items;
      };
    }
    Json without_samples = row;
    for (const char* key : {"samples", "second_epoch"}) without_samples.erase(key);
    const std::string what = json_text(without_samples);
    try {
      const asr::ConcatOrder order(options, sizes, "train_ds", in_order);
      if (row.contains("error")) {
        rows_compared.compare(what, "no error", row["error"]);
        continue;
      }
      const uint64_t seed = row.value("numpy_global_seed", 0);
      Names samples = names_of(order.of_epoch(seed, 0));
      // Of a long epoch the first items are recorded.
      rows_compared.compare(what + " len", order.size(), row["len"]);
      samples.resize(std::min(samples.size(), row["samples"].size()));
      rows_compared.compare(what, samples, row["samples"]);
      if (row.contains("second_epoch"))
        rows_compared.compare(what + " second epoch", names_of(order.of_epoch(seed, 1)), row["second_epoch"]);
    } catch (const Error& error) {
      if (!row.contains("error")) rows_compared.compare(what, error.what(), row["samples"]);
    }
  }
  return rows_compared.outcome();
}

Outcome run_data_order(const Case& c) {
  const std::string kind = c.body.value("kind", std::string());
  if (kind == "tarred_order") return run_tarred(c);
  if (kind == "concat_order") return run_concat(c);
  if (kind == "lhotse_order") return skip("not supported yet: Lhotse's samplers");
  return fail("no order of kind '" + kind + "' is known");
}

}  // namespace

void add_data_order_suites(std::vector<Suite>& suites) { suites.push_back({"nemo_models/data_order", run_data_order}); }

}  // namespace fathom::conformance
