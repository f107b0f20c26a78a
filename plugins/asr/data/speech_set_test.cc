// The data that a section names: tar files, buckets and mixed sets, in batches as the loader makes them.
#include "plugins/asr/data/speech_set.h"

#include <ATen/ATen.h>
#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "core/base/file.h"
#include "core/base/temporary_folder.h"
#include "core/data/data_loader.h"
#include "core/plugins/host_table.h"
#include "plugins/asr/data/audio_to_char_dataset.h"
#include "plugins/asr/data/data_section.h"

namespace fathom::asr {
namespace {

constexpr int64_t kRate = 8000;
const std::string kLetters = "abcdefghijklmnopqrstuvwxyz";

void write_shard(const std::string& path, const std::vector<std::string>& clips) {
  archive* out = archive_write_new();
  archive_write_set_format_ustar(out);
  ASSERT_EQ(archive_write_open_filename(out, path.c_str()), ARCHIVE_OK);
  for (const std::string& clip : clips) {
    const std::string bytes = read_file(clip);
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, std::filesystem::path(clip).filename().c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<int64_t>(bytes.size()));
    archive_write_header(out, entry);
    archive_write_data(out, bytes.data(), bytes.size());
    archive_entry_free(entry);
  }
  archive_write_free(out);
}

// Clips called after letters, each of another length and with its letter as its text: "a" has 800 samples, "b" 801, …
class SpeechSet : public ::testing::Test {
 protected:
  void SetUp() override {
    host_slot() = plugins::host_table();
    for (size_t i = 0; i < kLetters.size(); ++i) {
      audio::AudioSegment clip;
      clip.sample_rate = kRate;
      for (size_t t = 0; t < 800 + i; ++t) clip.samples.push_back(static_cast<float>((t * (i + 3)) % 17) / 40.0f);
      audio::save_audio(path_of(kLetters[i]), clip);
    }
    folder_.write("plain.json", lines("abcdefgh"));
    folder_.write("tarred.json", lines("abcdefgh", {3, 6, 8}));
    shard("0", "cab");
    shard("1", "fed");
    shard("2", "hg");
  }
  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string path_of(char letter) const { return file(std::string(1, letter) + ".wav"); }
  void shard(const std::string& number, const std::string& letters) const {
    std::vector<std::string> clips;
    for (const char letter : letters) clips.push_back(path_of(letter));
    write_shard(file("audio_" + number + ".tar"), clips);
  }
  // A manifest of these clips; with `ends` shard_id counts the parts of the text that end there.
  static std::string lines(const std::string& letters, const std::vector<size_t>& ends = {}) {
    std::string out;
    for (size_t i = 0; i < letters.size(); ++i) {
      Json line = {{"audio_filepath", std::string(1, letters[i]) + ".wav"},
                   {"duration", static_cast<double>(800 + letters[i] - 'a') / kRate},
                   {"text", std::string(1, letters[i])}};
      if (!ends.empty()) line["shard_id"] = std::upper_bound(ends.begin(), ends.end(), i) - ends.begin();
      out += json_text(line) + "\n";
    }
    return out;
  }
  Json tarred(const Json& more = Json::object()) const {
    Json section = {{"is_tarred", true},
                    {"manifest_filepath", file("tarred.json")},
                    {"tarred_audio_filepaths", file("audio__OP_0..2_CL_.tar")}};
    for (const auto& [key, value] : more.items()) section[key] = value;
    return section;
  }
  static MadeDataset make(const Json& section) {
    return make_speech_set(section, "model.train_ds", [](const Json& part) {
      Json own = dataset_keys(part, option_names<AudioToCharDataset::Options>(), "model.train_ds");
      own["sample_rate"] = kRate;
      auto options = parse_options<AudioToCharDataset::Options>(own, "model.train_ds");
      for (const char letter : kLetters) options.labels.emplace_back(1, letter);
      return std::make_shared<AudioToCharDataset>(options);
    });
  }
  // The batches of an epoch by their texts, every clip's samples checked.
  static std::vector<std::string> batches(const Json& section, int64_t epoch = 0, int64_t first = 0) {
    DataLoader loader(DatasetHandle(make(section).object()), LoaderOptions::from_section(section, "model.train_ds"), 7,
                      "model.train_ds");
    loader.start_epoch(epoch, first);
    std::vector<std::string> out;
    while (const auto batch = loader.next()) {
      out.emplace_back();
      for (int64_t i = 0; i < batch->tensor("transcripts").size(0); ++i) {
        const int64_t letter = batch->tensor("transcripts")[i][0].item<int64_t>();
        EXPECT_EQ(batch->tensor("a_sig_length")[i].item<int64_t>(), 800 + letter);
        out.back() += kLetters[static_cast<size_t>(letter)];
      }
    }
    return out;
  }
  static std::string refusal(const Json& section) {
    try {
      batches(section);
    } catch (const Error& error) {
      return std::to_string(static_cast<int>(error.code())) + " " + error.what();
    }
    return "no error";
  }
  static ::testing::AssertionResult says(const std::string& text, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      if (text.find(part) == std::string::npos)
        return ::testing::AssertionFailure() << "'" << part << "' is not in: " << text;
    }
    return ::testing::AssertionSuccess();
  }
  static std::string sorted(const std::vector<std::string>& batches) {
    std::string all;
    for (const std::string& batch : batches) all += batch;
    std::sort(all.begin(), all.end());
    return all;
  }
  using Batches = std::vector<std::string>;
  TemporaryFolder folder_;
};

TEST_F(SpeechSet, TarredClipsComeInTheOrderOfTheirShards) {
  EXPECT_EQ(batches(tarred({{"batch_size", 3}})), (Batches{"cab", "fed", "hg"}));
  EXPECT_EQ(batches(tarred({{"batch_size", 3}, {"drop_last", true}})), (Batches{"cab", "fed"}));
  EXPECT_EQ(batches(tarred({{"batch_size", 3}, {"num_workers", 8}})), (Batches{"cab", "fed", "hg"}))
      << "more workers than shards";
  EXPECT_EQ(
      batches(tarred({{"batch_size", 4}, {"tarred_audio_filepaths", {file("audio_2.tar"), file("audio_0.tar")}}})),
      (Batches{"hgca", "b"}));
}

TEST_F(SpeechSet, TarredClipsAreShuffledByTheEpoch) {
  const Json section = tarred({{"batch_size", 2}, {"shuffle", true}});
  const Batches first = batches(section), second = batches(section, 1);
  EXPECT_EQ(sorted(first), "abcdefgh");
  EXPECT_EQ(sorted(second), "abcdefgh");
  EXPECT_NE(first, second);
  // A run that goes on in mid-epoch.
  EXPECT_EQ(batches(section, 1, 2), Batches(second.begin() + 2, second.end()));
  EXPECT_EQ(batches(tarred({{"batch_size", 2}, {"shuffle", true}, {"num_workers", 3}}), 1), second);
  EXPECT_EQ(batches(tarred({{"batch_size", 3}, {"shuffle", true}, {"shuffle_n", 0}})), (Batches{"cab", "fed", "hg"}));
}

TEST_F(SpeechSet, TarredClipsFillBatchesBySeconds) {
  // Of like length: 8 clips of about 0.1 s.
  const Json section = tarred({{"max_seconds", 0.31}, {"shuffle", true}});
  const Batches filled = batches(section);
  EXPECT_EQ(filled.size(), 3u);
  EXPECT_EQ(sorted(filled), "abcdefgh");
}

TEST_F(SpeechSet, FiltersLeaveTarredClipsOut) {
  // From "c" on.
  EXPECT_EQ(batches(tarred({{"batch_size", 9}, {"min_duration", 802.0 / kRate - 1e-6}})), (Batches{"cfedhg"}));
}

TEST_F(SpeechSet, TextsTooLongForTheirAudioAreLeftOut) {
  // One letter in 0.1 s and a little more each: "a" has 10 a second, "h" 9.9.
  const Json plain = {{"manifest_filepath", file("plain.json")}, {"batch_size", 9}};
  const auto with = [&](const char* key, double value) {
    Json section = plain;
    section[key] = value;
    return batches(section);
  };
  EXPECT_EQ(with("max_tps", 9.97), (Batches{"defgh"}));
  EXPECT_EQ(with("min_tps", 9.97), (Batches{"abc"}));
  EXPECT_EQ(batches(tarred({{"batch_size", 9}, {"max_tps", 9.97}})), (Batches{"fedhg"}));
}

TEST_F(SpeechSet, BucketsAreReadOneAfterAnother) {
  for (const auto& [number, letters] : {std::pair{"0", "abc"}, {"1", "defgh"}}) {
    folder_.write(std::string("bucket") + number + ".json", lines(letters));
    std::vector<std::string> clips;
    for (const char* c = letters; *c != 0; ++c) clips.push_back(path_of(*c));
    write_shard(file(std::string("bucket") + number + ".tar"), clips);
  }
  const auto buckets = [&](const Json& more) {
    Json section = tarred({{"manifest_filepath", {{file("bucket0.json")}, {file("bucket1.json")}}},
                           {"tarred_audio_filepaths", {{file("bucket0.tar")}, {file("bucket1.tar")}}},
                           {"bucketing_strategy", "fixed_order"}});
    for (const auto& [key, value] : more.items()) section[key] = value;
    return section;
  };
  EXPECT_EQ(batches(buckets({{"batch_size", 2}})), (Batches{"ab", "cd", "ef", "gh"}));
  EXPECT_EQ(batches(buckets({{"bucketing_batch_size", 2}})), (Batches{"abc", "de", "fg", "h"})) << "4 and 2";
  EXPECT_EQ(batches(buckets({{"bucketing_batch_size", {2, 5}}})), (Batches{"ab", "c", "defgh"}));
  EXPECT_EQ(batches(buckets({{"batch_size", 4}, {"bucketing_weights", {2, 1}}})), (Batches{"abca", "bcde", "fgh"}));
  for (const char* strategy : {"synced_randomized", "fully_randomized"}) {
    std::set<Batches> orders;
    for (int64_t epoch = 0; epoch < 8; ++epoch) {
      const Batches one = batches(buckets({{"bucketing_batch_size", 5}, {"bucketing_strategy", strategy}}), epoch);
      EXPECT_EQ(sorted(one), "abcdefgh");
      orders.insert(one);
    }
    EXPECT_EQ(orders.size(), 2u) << strategy;
  }
  EXPECT_TRUE(says(refusal(buckets({{"manifest_filepath", {{file("bucket0.json")}}}})),
                   {"tarred_audio_filepaths", "2 sets of tar files, 1 manifests"}));
}

TEST_F(SpeechSet, MixedSetsAreDrawnFromByTheTechnique) {
  folder_.write("other.json", lines("xyz"));
  const auto mixed = [&](const Json& more) {
    Json section = {{"is_concat", true},
                    {"batch_size", 11},
                    {"manifest_filepath", {file("plain.json"), file("other.json")}},
                    {"concat_shuffle", false}};
    for (const auto& [key, value] : more.items()) section[key] = value;
    return section;
  };
  EXPECT_EQ(batches(mixed({{"concat_sampling_technique", "round-robin"}})), (Batches{"axbyczdexfy"}));
  const Json by_chance = {{"concat_sampling_technique", "random"},
                          {"concat_sampling_probabilities", {0.0, 1.0}},
                          {"concat_sampling_seed", 1}};
  EXPECT_EQ(batches(mixed(by_chance)), (Batches{"xyzxyzxyzxy"}));
  EXPECT_EQ(batches(mixed({{"concat_sampling_technique", "round-robin"}, {"concat_sampling_scale", 0.5}})),
            (Batches{"axbyc"}));
  const Json shuffled = mixed({{"concat_shuffle", true}, {"batch_size", 3}});
  const Batches second = batches(shuffled, 1);
  EXPECT_NE(batches(shuffled), second);
  EXPECT_EQ(batches(shuffled, 1, 1), Batches(second.begin() + 1, second.end()));
  // Of tar files too, whose order is theirs.
  write_shard(file("xyz.tar"), {path_of('z'), path_of('x'), path_of('y')});
  EXPECT_EQ(batches(mixed({{"is_tarred", true},
                           {"manifest_filepath", {file("tarred.json"), file("other.json")}},
                           {"tarred_audio_filepaths", {file("audio_{0..2}.tar"), file("xyz.tar")}},
                           {"concat_sampling_technique", "round-robin"}})),
            (Batches{"czaxbyfezdx"}));
}

TEST_F(SpeechSet, ShardsThatDoNotMatchTheirManifestAreToldOf) {
  // Nothing in common, another clip than the manifest says, a shard that was not copied completely.
  folder_.write("other.json", lines("xyz"));
  EXPECT_TRUE(says(refusal(tarred({{"manifest_filepath", file("other.json")}})),
                   {"65 ", "no clip in common", "8 files in 3 shards", "c.wav", "other.json:1 (x.wav)"}));
  shard("1", "fe");
  EXPECT_TRUE(says(refusal(tarred()), {"65 ", "tarred.json:4", "d.wav with shard_id 1", "audio_1.tar does not hold"}));
  shard("1", "fed");
  const std::string whole = read_file(file("audio_1.tar"));
  folder_.write("audio_1.tar", whole.substr(0, 2500));
  EXPECT_TRUE(says(refusal(tarred()), {"65 ", "audio_1.tar", "ends before a member does", "f.wav"}));
  folder_.write("audio_1.tar", whole);
  EXPECT_TRUE(says(refusal(tarred({{"tarred_audio_filepaths", file("audio_{0..3}.tar")}})), {"66 ", "audio_3.tar"}));
  // Lines without a shard_id are passed over with a word in the log, as NeMo does without one.
  EXPECT_EQ(batches({{"is_tarred", true},
                     {"batch_size", 9},
                     {"manifest_filepath", file("plain.json")},
                     {"tarred_audio_filepaths", file("audio_0.tar")}}),
            (Batches{"cab"}));
}

TEST_F(SpeechSet, SectionsThatContradictThemselvesAreToldOf) {
  EXPECT_TRUE(says(refusal(tarred({{"tarred_audio_filepaths", nullptr}})),
                   {"model.train_ds.tarred_audio_filepaths", "no tar files are named"}));
  EXPECT_TRUE(says(refusal(tarred({{"is_tarred", false}})), {"is_tarred is not set"}));
  EXPECT_TRUE(says(refusal(tarred({{"max_utts", 3}})), {"max_utts"}));
  EXPECT_TRUE(says(refusal(tarred({{"tarred_shard_strategy", "replicte"}})), {"did you mean: replicate"}));
  EXPECT_TRUE(says(refusal(tarred({{"shuffle_n", -1}})), {"model.train_ds.shuffle_n", "at least 0"}));
  EXPECT_TRUE(says(refusal(tarred({{"min_duration", 9}})), {"no clip is left"}));
  EXPECT_TRUE(says(refusal({{"is_concat", true}, {"manifest_filepath", file("plain.json")}}),
                   {"model.train_ds.manifest_filepath", "a list with an entry for every set"}));
  EXPECT_TRUE(says(refusal({{"is_concat", true},
                            {"manifest_filepath", {file("plain.json"), file("plain.json")}},
                            {"concat_sampling_technique", "random"},
                            {"concat_sampling_probabilities", {0.5, 0.6}}}),
                   {"model.train_ds.concat_sampling_probabilities", "1.1"}));
  EXPECT_TRUE(says(
      refusal(
          {{"is_concat", true}, {"manifest_filepath", {file("plain.json"), file("plain.json")}}, {"max_seconds", 1}}),
      {"max_seconds", "plans its batches itself"}));
}

}  // namespace
}  // namespace fathom::asr
