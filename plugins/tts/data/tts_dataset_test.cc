#include "plugins/tts/data/tts_dataset.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numbers>

#include "core/base/file.h"
#include "core/base/temporary_folder.h"
#include "core/data/data_loader.h"
#include "core/engine/engine.h"
#include "core/planning/data_section.h"
#include "core/planning/loader_options.h"
#include "core/plugins/host_table.h"
#include "core/plugins/registry.h"
#include "core/plugins/tables.h"
#include "fathom/model_files.h"
#include "plugins/lib/recorded_test_data.h"
#include "plugins/tts/data/length_buckets.h"

extern "C" const fathom_plugin_entry fathom_plugin_entry_v1;

namespace fathom::tts {
namespace {

std::string data(const std::string& name) {
  return std::string(FATHOM_SOURCE_DIR) + "/tests/data/ljspeech_mini/" + name;
}

// A token a letter; what is none has no token.
TextSide letters() {
  TextSide text;
  text.encode = [](std::string_view words, uint64_t) {
    std::vector<int64_t> ids;
    for (const char c : words) {
      if (c >= 'a' && c <= 'z') ids.push_back(c - 'a');
    }
    return ids;
  };
  text.pad = 26;
  return text;
}

class TtsData : public ::testing::Test {
 protected:
  void SetUp() override {
    host_slot() = plugins::host_table();
    static Engine* const engine = fathom_make_engine();  // once a process
    ASSERT_NE(engine, nullptr);
  }
  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
  // The first clips of the bundled set, with `more` put into each line.
  std::string manifest(int64_t clips, const Json& more = Json::object()) {
    std::string text;
    std::istringstream lines(read_file(data("train.json")));
    std::string line;
    for (int64_t i = 0; i < clips && std::getline(lines, line); ++i) {
      Json entry = parse_text(line);
      entry["audio_filepath"] = data(entry["audio_filepath"].get<std::string>());
      entry["speaker"] = i % 2;
      entry.update(more);
      text += json_text(entry) + "\n";
    }
    return folder_.write("train.json", text);
  }
  Json section(int64_t clips, const std::vector<std::string>& types) {
    Json types_json = Json::array();
    for (const auto& type : types) types_json.push_back(type);
    return {{"manifest_filepath", manifest(clips)},
            {"sample_rate", 16000},
            {"sup_data_types", types_json},
            {"sup_data_path", file("sup")}};
  }
  static std::shared_ptr<TTSDataset> make(const Json& section, TextSide text = letters()) {
    return std::make_shared<TTSDataset>(parse_options<TtsOptions>(section, "train_ds"), std::move(text));
  }
  template <typename Body>
  static std::string error_of(Body&& body) {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  static Values batch_of(const TTSDataset& set, uint64_t seed = 1) {
    std::vector<TtsItem> items;
    for (int64_t i = 0; i < set.size(); ++i) items.push_back(set.get(i, seed));
    std::vector<const TtsItem*> pointers;
    for (const auto& item : items) pointers.push_back(&item);
    return set.collate(pointers);
  }
  TemporaryFolder folder_;
};

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(TtsData, BatchesHoldWhatIsAskedForInItsOrder) {
  const auto set =
      make(section(3, {"pitch", "align_prior_matrix", "energy", "log_mel", "speaker_id", "voiced_mask", "p_voiced"}));
  const Values batch = batch_of(*set);
  std::vector<std::string> names, ports;
  for (const auto& [name, value] : batch) names.push_back(name);
  for (const auto& port : set->outputs()) ports.push_back(port.name);
  EXPECT_EQ(names, (std::vector<std::string>{"audio", "audio_len", "text", "text_len", "pitch", "pitch_len",
                                             "align_prior_matrix", "energy", "energy_len", "log_mel", "log_mel_len",
                                             "speaker_id", "voiced_mask", "p_voiced"}));
  EXPECT_EQ(names, ports);
  const at::Tensor samples = batch.tensor("audio_len"), frames = batch.tensor("pitch_len");
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t expected = 1 + samples[i].item<int64_t>() / 256, tokens = batch.tensor("text_len")[i].item<int64_t>();
    EXPECT_EQ(frames[i].item<int64_t>(), expected);
    EXPECT_EQ(batch.tensor("energy_len")[i].item<int64_t>(), expected);
    EXPECT_EQ(batch.tensor("log_mel_len")[i].item<int64_t>(), expected);
    const at::Tensor prior = batch.tensor("align_prior_matrix")[i];
    EXPECT_NEAR(prior.narrow(0, 0, expected).sum().item<double>(), static_cast<double>(expected), 0.05);
    EXPECT_EQ(prior.narrow(1, tokens, prior.size(1) - tokens).count_nonzero().item<int64_t>(), 0);
  }
  EXPECT_EQ(batch.tensor("text")[0][-1].item<int64_t>(), 26);
  EXPECT_TRUE(at::equal(batch.tensor("speaker_id"), at::tensor({0, 1, 0}, at::kLong)));
  // The smallest mean pitch a reader of this kind has, and the greatest.
  const at::Tensor pitch = batch.tensor("pitch"), voiced = pitch.masked_select(pitch.ne(0));
  EXPECT_GT(voiced.mean().item<double>(), 150);
  EXPECT_LT(voiced.mean().item<double>(), 280);
  EXPECT_TRUE(at::equal(pitch.ne(0).to(at::kFloat), batch.tensor("voiced_mask")));
}

TEST_F(TtsData, WhatIsKeptIsReadAgain) {
  const Json given = section(2, {"pitch", "energy", "log_mel", "voiced_mask"});
  const Values first = batch_of(*make(given));
  for (const std::string type : {"pitch", "energy", "log_mel", "voiced_mask"})
    EXPECT_TRUE(std::filesystem::exists(file("sup/" + type + "/LJ001-0002.safetensors"))) << type;
  const Values second = batch_of(*make(given));
  for (const auto& [name, value] : first) EXPECT_TRUE(at::equal(value.tensor(), second.tensor(name))) << name;
  // It is the file that is read, not the audio.
  save_tensors(file("sup/pitch/LJ001-0002.safetensors"), {{"values", at::full({119}, 123.0F)}});
  EXPECT_EQ(make(given)->get(0, 1).pitch.min().item<float>(), 123);
  std::filesystem::remove(file("sup/pitch/LJ001-0002.safetensors"));
  const std::vector<float> numbers(119, 77.0F);
  std::string npy("\x93NUMPY\x01\0", 8);
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (119,), }";
  header.resize(117, ' ');
  header += '\n';
  npy += std::string{static_cast<char>(header.size()), 0} + header;
  npy.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float));
  folder_.write("sup/pitch/LJ001-0002.npy", npy);
  EXPECT_EQ(make(given)->get(0, 1).pitch.max().item<float>(), 77);
}

TEST_F(TtsData, ForeignDataIsRefused) {
  Json given = section(2, {"pitch", "energy"});
  batch_of(*make(given));
  save_tensors(file("sup/pitch/LJ001-0002.safetensors"), {{"values", at::full({60}, 123.0F)}});
  std::string error = error_of([&] { make(given)->get(0, 1); });
  expect_contains(error, "the pitch is not of this clip");
  expect_contains(error, "train.json:1");
  expect_contains(error, "60 frames");
  expect_contains(error, "about 119 frames");
  folder_.write("sup/pitch/LJ001-0002.safetensors", "no tensors");
  expect_contains(error_of([&] { make(given)->get(0, 1); }), "LJ001-0002.safetensors");
  // Other settings are noticed before anything is read.
  given["pitch_fmax"] = 600.0;
  error = error_of([&] { make(given); });
  expect_contains(error, "computed with other settings");
  expect_contains(error, "pitch_fmax: 600.0");
  given.erase("pitch_fmax");
  given["sample_rate"] = 22050;
  expect_contains(error_of([&] { make(given); }), "sample_rate: 16000");
}

TEST_F(TtsData, BadItemsAreToldByName) {
  Json given = section(1, {"speaker_id"});
  given["manifest_filepath"] = manifest(1, {{"normalized_text", "..."}});
  std::string error = error_of([&] { make(given)->get(0, 1); });
  expect_contains(error, "the text has no tokens");
  expect_contains(error, "train.json:1");
  given["manifest_filepath"] = manifest(1, {{"normalized_text", ""}});
  expect_contains(error_of([&] { make(given)->get(0, 1); }), "an empty text");
  given["manifest_filepath"] = manifest(1, {{"normalized_text", std::string(500, 'a')}});
  error = error_of([&] { make(given)->get(0, 1); });
  expect_contains(error, "fewer frames than the text has tokens");
  expect_contains(error, "119 frames");
  expect_contains(error, "500 tokens");
  given["manifest_filepath"] = manifest(1, {{"speaker", "linda"}});
  error = error_of([&] { make(given)->get(0, 1); });
  expect_contains(error, "the line's speaker is no number");
  expect_contains(error, "linda");
  given["manifest_filepath"] = folder_.write("none.json", R"({"audio_filepath": "a.wav", "duration": 1})");
  expect_contains(error_of([&] { make(given); }), "manifest line has no text");
}

TEST_F(TtsData, OneTokenIsEnough) {
  for (const bool stretched : {false, true}) {
    Json given = section(1, {"align_prior_matrix"});
    given["manifest_filepath"] = manifest(1, {{"normalized_text", "a"}});
    given["use_beta_binomial_interpolator"] = stretched;
    const at::Tensor prior = make(given)->get(0, 1).align_prior_matrix;
    ASSERT_EQ(prior.sizes(), (at::IntArrayRef{119, 1}));
    EXPECT_TRUE(prior.isfinite().all().item<bool>());
    if (!stretched) {
      EXPECT_NEAR(prior.min().item<double>(), 1, 1e-4);
    }
  }
}

TEST_F(TtsData, SilenceHasNoPitch) {
  audio::AudioSegment clip;
  clip.sample_rate = 16000;
  clip.samples.assign(16000, 0.0F);
  audio::save_audio(file("silence.wav"), clip);
  Json given = section(1, {"pitch", "energy"});
  given["manifest_filepath"] =
      folder_.write("silence.json", R"({"audio_filepath": "silence.wav", "duration": 1, "text": "hush"})");
  given["pitch_norm"] = true;
  given["pitch_mean"] = 200;
  given["pitch_std"] = 50;
  const TtsItem item = make(given)->get(0, 1);
  EXPECT_EQ(item.pitch.count_nonzero().item<int64_t>(), 0);
  EXPECT_LT(item.energy.max().item<double>(), 1e-2);
}

TEST_F(TtsData, PitchIsNormalised) {
  Json given = section(2, {"pitch"});
  const at::Tensor hz = make(given)->get(1, 1).pitch;
  given["pitch_norm"] = true;
  expect_contains(error_of([&] { make(given); }), "from one source");
  given["pitch_mean"] = 210.0;
  expect_contains(error_of([&] { make(given); }), "belong together");
  given["pitch_std"] = 40.0;
  const at::Tensor scaled = make(given)->get(1, 1).pitch;
  EXPECT_TRUE(at::allclose(scaled, (hz - 210).div(40).mul(hz.ne(0)), 1e-6, 1e-6));
  given["pitch_stats_path"] = folder_.write("stats.json", R"({"1": {"pitch_mean": 100, "pitch_std": 10}})");
  expect_contains(error_of([&] { make(given); }), "from one source");
  given.erase("pitch_mean");
  given.erase("pitch_std");
  EXPECT_TRUE(at::allclose(make(given)->get(1, 1).pitch, (hz - 100).div(10).mul(hz.ne(0)), 1e-6, 1e-6));
  expect_contains(error_of([&] { make(given)->get(0, 1); }), "know no such speaker");
  folder_.write("stats.json", R"({"default": {"pitch_mean": 100, "pitch_std": 0}})");
  expect_contains(error_of([&] { make(given); }), "no file of pitch statistics");
  given["sup_data_types"] = {"voiced_mask"};
  expect_contains(error_of([&] { make(given); }), "come with the pitch");
}

TEST_F(TtsData, DurationsAreThoseOfTheText) {
  Json given = section(2, {"durations"});
  expect_contains(error_of([&] { make(given); }), "durations come from a file");
  given["durs_file"] = file("durs.safetensors");
  given["durs_type"] = "aligner-based";
  const int64_t tokens = make(section(2, {}))->get(0, 1).text.size(0);
  save_tensors(file("durs.safetensors"), {{"LJ001-0002", at::full({tokens}, 3, at::kLong)}});
  EXPECT_EQ(make(given)->get(0, 1).durations.sum().item<int64_t>(), 3 * tokens);
  expect_contains(error_of([&] { make(given)->get(1, 1); }), "knows no such clip");
  save_tensors(file("durs.safetensors"), {{"LJ001-0002", at::full({tokens + 1}, 3, at::kLong)}});
  expect_contains(error_of([&] { make(given)->get(0, 1); }), "those of another text");
}

TEST_F(TtsData, ItemsDependOnTheSeedAlone) {
  TextSide text = letters();
  text.is_random = true;
  const auto plain = text.encode;
  text.encode = [plain](std::string_view words, uint64_t seed) {
    auto ids = plain(words, 0);
    ids.resize(std::min<size_t>(ids.size(), 5 + seed % 7));
    return ids;
  };
  const auto set = make(section(6, {"speaker_id", "reference_audio", "align_prior_matrix"}), text);
  std::set<int64_t> lengths, tokens;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const TtsItem a = set->get(2, seed), b = set->get(2, seed);
    EXPECT_TRUE(at::equal(a.reference_audio, b.reference_audio));
    EXPECT_TRUE(at::equal(a.text, b.text));
    lengths.insert(a.reference_audio.size(0));
    tokens.insert(a.text.size(0));
  }
  EXPECT_EQ(lengths.size(), 3u);  // the clips of the speaker
  EXPECT_EQ(tokens.size(), 7u);
  EXPECT_EQ(set->length_units(), std::vector<std::string>{"seconds"});
}

TEST_F(TtsData, OptionsAreChecked) {
  const auto refused = [&](const std::string& key, const Json& value) {
    Json given = section(1, {"pitch"});
    given[key] = value;
    return error_of([&] { make(given); });
  };
  expect_contains(refused("sup_data_types", {"picth"}), "did you mean: pitch");
  expect_contains(refused("sup_data_types", {"lm_tokens"}), "language model");
  expect_contains(refused("pitch_augment", true), "pitch_augment");
  expect_contains(refused("pitch_method", "yin"), "autocorrelation");
  expect_contains(refused("win_length", 4096), "at: win_length");
  expect_contains(refused("segment_max_duration", 2), "speaker_id and reference_audio alone");
  expect_contains(refused("ignore_file", folder_.write("ignored.pkl", std::string("\x80\x04]"))), "a pickle");
}

TEST_F(TtsData, AConfigNamesItBesideItsModel) {
  plugins::registry().add_builtin(&fathom_plugin_entry_v1);
  const Json tokenizer = {{"_target_", "asr.CharTokenizer"},
                          {"vocab_file", folder_.write("vocab.txt", "'a'\n'b'\n'c'\n'e'\n'i'\n'n'\n'o'\n't'\n")}};
  Json section = {{"dataset",
                   {{"_target_", "nemo.collections.tts.data.dataset.TTSDataset"},
                    {"manifest_filepath", manifest(6)},
                    {"sample_rate", 16000},
                    {"text_tokenizer_pad_id", 0}}},
                  {"dataloader_params", {{"num_workers", 0}}},
                  {"batch_sampler", {{"batch_size", 2}, {"boundaries", {32, 300, 350, 360}}}}};
  const auto make_loader = [&](const Json& context) {
    const DataSection read = read_data_section(section, "model.train_ds");
    return std::make_unique<DataLoader>(
        DatasetHandle(create_object(1u << FATHOM_KIND_DATASET, read.dataset, read.dataset_path, context)),
        LoaderOptions::from_section(read.loader, read.loader_path), 1, "model.train_ds");
  };
  const Json context = {{"stage", "train"}, {"model", {{"text_tokenizer", tokenizer}}}, {"artifacts", Json::object()}};
  EXPECT_EQ(make_loader(context)->size(), 3);  // of 118, 281; 321, 329; 355 and that again; 400 is too long
  expect_contains(error_of([&] { make_loader(Json::object()); }), "model.train_ds.dataset.text_tokenizer");
  section["batch_sampler"]["boundaries"] = {5, 4};
  expect_contains(error_of([&] { make_loader(context); }), "model.train_ds.dataset.batch_sampler.boundaries");
  section["batch_sampler"] = {{"batchsize", 2}};
  expect_contains(error_of([&] { make_loader(context); }), "batchsize");
  section.erase("batch_sampler");
  EXPECT_EQ(make_loader(context)->size(), 6);
  section["sampler"] = 1;
  expect_contains(error_of([&] { make_loader(context); }), "unknown key 'sampler'");
}

TEST(LengthBucketsTest, BatchesAreOfLikeLengthAndFull) {
  const std::vector<int64_t> lengths = {10, 11, 20, 21, 30, 15, 40, 16, 17};
  LengthBuckets buckets({.batch_size = 3, .boundaries = {10, 20, 30}}, lengths);
  EXPECT_EQ(buckets.left_out(), 2);  // 10 is not above 10, 40 is above 30
  BatchRequest request;
  request.seed = 7;
  const auto plan = buckets.plan_batches(request);
  EXPECT_EQ(plan, buckets.plan_batches(request));
  ASSERT_EQ(plan.size(), 3u);
  std::set<int64_t> used;
  for (const auto& batch : plan) {
    ASSERT_EQ(batch.size(), 3u);
    for (const int64_t item : batch) {
      EXPECT_EQ(lengths[item] > 20, lengths[batch[0]] > 20);
      used.insert(item);
    }
  }
  EXPECT_EQ(used.size(), 7u);
  bool other = false;
  for (request.epoch = 1; request.epoch < 5; ++request.epoch) other = other || buckets.plan_batches(request) != plan;
  EXPECT_TRUE(other);
  EXPECT_THROW(LengthBuckets({.batch_size = 3, .boundaries = {50, 60}}, lengths), Error);
}

TEST(SupFilesTest, NamesAreThoseOfNeMo) {
  EXPECT_EQ(common_folder({"/a/b/c/1.wav", "/a/b/2.wav", "/a/b/d/3.wav"}), "/a/b");
  EXPECT_EQ(common_folder({"wavs/1.wav", "other/2.wav"}), "");
  EXPECT_EQ(clip_name("/a/b/c/1.x.wav", "/a/b"), "c_1.x");
  EXPECT_EQ(clip_name("wavs/1.wav", ""), "wavs_1");
  EXPECT_EQ(clip_name("1.wav", ""), "1");
}

TEST(AlignmentPriorTest, IsBetaBinomial) {
  const at::Tensor expected = at::tensor({.666667, .266667, .066667, .4, .4, .2, .2, .4, .4, .066667, .266667, .666667})
                                  .view({4, 3})
                                  .to(at::kFloat);
  EXPECT_TRUE(at::allclose(beta_binomial_prior(3, 4), expected, 1e-4, 1e-5));
  const PriorBank bank;
  const at::Tensor stretched = bank(37, 211);
  ASSERT_EQ(stretched.sizes(), (at::IntArrayRef{211, 37}));
  EXPECT_TRUE(at::equal(stretched, bank(37, 211)));
  EXPECT_EQ(stretched[0].argmax().item<int64_t>(), 0);
  EXPECT_EQ(stretched[210].argmax().item<int64_t>(), 36);
}

}  // namespace
}  // namespace fathom::tts
