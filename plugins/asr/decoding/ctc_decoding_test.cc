#include "plugins/asr/decoding/ctc_decoding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "plugins/lib/recorded_test_data.h"

namespace fathom::asr {
namespace {

// Log-probabilities whose best class per frame is `path`.
at::Tensor peaked(const std::vector<int64_t>& path, int64_t classes) {
  at::Tensor logits = at::zeros({1, static_cast<int64_t>(path.size()), classes});
  for (size_t t = 0; t < path.size(); ++t) logits[0][static_cast<int64_t>(t)][path[t]] = 5.0;
  return at::log_softmax(logits, -1);
}
at::Tensor length(int64_t n) { return at::full({1}, n, at::kLong); }

CtcDecoding characters(const std::vector<std::string>& labels, CtcDecodingConfig config = {}) {
  return CtcDecoding(config, text::Vocabulary(labels, text::Vocabulary::Kind::kCharacters));
}

TEST(CtcDecoding, JoinsRepeatsAndDropsBlanks) {
  const auto decoding = characters({" ", "a", "b"});
  const auto got = decoding.decode(peaked({3, 1, 1, 3, 1, 0, 2, 2, 1}, 4), length(8))[0];
  EXPECT_EQ(got.text, "aa b");
  EXPECT_EQ(got.y_sequence, (std::vector<int64_t>{3, 1, 1, 3, 1, 0, 2, 2})) << "frames beyond the length do not count";
  EXPECT_EQ(got.timestep, (std::vector<int64_t>{1, 2, 4, 5, 6, 7}));
  EXPECT_NEAR(got.score, 6 * peaked({1}, 4).max().item<double>(), 1e-5);
  EXPECT_FALSE(got.has_timestamps);
  EXPECT_EQ(decoding.decode(peaked({3, 3}, 4), length(2))[0].text, "");
  EXPECT_EQ(decoding.decode(peaked({1}, 4), length(0))[0].text, "");
}

TEST(CtcDecoding, GivesWordTimes) {
  const auto got =
      characters({" ", "a", "b", "."}).decode(peaked({4, 4, 1, 2, 0, 0, 4, 2, 4, 3}, 5), length(10), true)[0];
  ASSERT_EQ(got.words.size(), 2u);
  EXPECT_EQ(got.words[0].text, "ab");
  EXPECT_EQ(got.words[0].start, 1);
  EXPECT_EQ(got.words[0].end, 3);
  EXPECT_EQ(got.words[1].text, "b.");
  EXPECT_EQ(got.words[1].start, 4);
  EXPECT_EQ(got.words[1].end, 7) << "punctuation takes no time";
  ASSERT_EQ(got.segments.size(), 1u);
  const Json json = timestamps_json(got, 0.02);
  EXPECT_DOUBLE_EQ(json["word"][0]["end"].get<double>(), 0.06);
  EXPECT_EQ(json["char"].size(), 5u);
  EXPECT_TRUE(characters({"a"}).decode(peaked({1, 1}, 2), length(2), true)[0].words.empty());
}

TEST(CtcDecoding, SplitsSegmentsAtMarksAndPauses) {
  CtcDecodingConfig config;
  const std::vector<int64_t> path = {1, 3, 0, 2, 4, 4, 4, 4, 0, 1};
  EXPECT_EQ(characters({" ", "a", "b", "."}, config).decode(peaked(path, 5), length(10), true)[0].segments.size(), 2u);
  config.segment_seperators = {};
  EXPECT_EQ(characters({" ", "a", "b", "."}, config).decode(peaked(path, 5), length(10), true)[0].segments.size(), 1u);
  config.segment_gap_threshold = 4;
  EXPECT_EQ(characters({" ", "a", "b", "."}, config).decode(peaked(path, 5), length(10), true)[0].segments.size(), 2u);
}

// The logits' temperature is the log-probabilities': what is constant over the classes does not count.
TEST(CtcDecoding, ATemperatureChangesScoresAndConfidencesAndBeams) {
  at::manual_seed(3);
  const at::Tensor logits = at::randn({1, 30, 4}) * 4;
  const auto log_probs = [&](double temperature) { return at::log_softmax(logits / temperature, -1); };
  const auto at_temperature = [](double temperature) {
    CtcDecodingConfig config;
    config.temperature = temperature;
    config.confidence_cfg.preserve_token_confidence = true;
    return config;
  };
  const auto decode = [&](CtcDecodingConfig config, const at::Tensor& x) {
    return characters({" ", "a", "b"}, std::move(config)).decode(x, length(30))[0];
  };
  const Hypothesis plain = decode(at_temperature(1.0), log_probs(1)), soft = decode(at_temperature(2.0), log_probs(1)),
                   by_hand = decode(at_temperature(1.0), log_probs(2));
  EXPECT_EQ(soft.text, plain.text);
  EXPECT_NEAR(soft.score, by_hand.score, 1e-4);
  EXPECT_LT(soft.score, plain.score - 1);
  ASSERT_EQ(soft.token_confidence.size(), by_hand.token_confidence.size());
  for (size_t i = 0; i < soft.token_confidence.size(); ++i)
    EXPECT_NEAR(soft.token_confidence[i], by_hand.token_confidence[i], 1e-5);

  CtcDecodingConfig beam = at_temperature(2.0);
  beam.strategy = "beam_batch";
  const double softened = decode(beam, log_probs(1)).score;
  beam.temperature = 1.0;
  EXPECT_NEAR(softened, decode(beam, log_probs(2)).score, 1e-3);
  EXPECT_LT(softened, decode(beam, log_probs(1)).score - 1);

  for (const double wrong : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(characters({"a"}, at_temperature(wrong)), Error) << wrong;
  }
  EXPECT_EQ(parse_options<CtcDecodingConfig>(Json{{"temperature", 3}}, "decoding").temperature, 3.0);
}

std::string spans(const std::vector<Offset>& offsets) {
  std::string out;
  for (const auto& offset : offsets)
    out += offset.text + " " + std::to_string(offset.start) + "-" + std::to_string(offset.end) + "|";
  return out;
}

// Recorded from NeMo 3.0.0.
TEST(CtcDecoding, PunctuationHasItsOwnStartAndJoinsTheWordBefore) {
  const auto marks =
      characters({" ", "a", "b", "!", ","}).decode(peaked({1, 5, 3, 5, 5, 4, 5, 2}, 6), length(8), true)[0];
  EXPECT_EQ(spans(marks.chars), "a 0-0|! 0-0|, 2-2|b 5-7|");
  EXPECT_EQ(spans(marks.words), "a!,b 0-7|");
  const auto joined = characters({" ", "a", "b", "."}).decode(peaked({1, 4, 0, 3, 2}, 5), length(5), true)[0];
  EXPECT_EQ(joined.text, "a.b");
  EXPECT_EQ(spans(joined.words), "a.b 0-4|");
}

TEST(CtcDecoding, TheFirstWordBeginsWithTheFirstToken) {
  const auto got = characters({" ", "a", "b"}).decode(peaked({3, 0, 3, 3, 1, 0, 2, 0}, 4), length(8), true)[0];
  EXPECT_EQ(got.text, " a b ");
  EXPECT_EQ(spans(got.words), "a 0-4|b 5-6|");
  CtcDecodingConfig bars;
  bars.word_seperator = "|";
  const auto other = characters({"|", "a", "."}, bars).decode(peaked({1, 0, 2, 1, 0, 1}, 4), length(6), true)[0];
  EXPECT_EQ(spans(other.words), "a. 0-1|a 2-3|a 4-5|") << "a mark behind a separator joins the word that is complete";
}

TEST(CtcDecoding, PausesReplaceMostMarks) {
  CtcDecodingConfig config;
  config.segment_gap_threshold = 0;
  const std::vector<int64_t> path = {1, 0, 2, 0, 1, 0, 2};
  EXPECT_EQ(spans(characters({" ", "a", "b"}, config).decode(peaked(path, 4), length(7), true)[0].segments),
            "a b a b 0-6|");
  config.segment_gap_threshold = 1;
  EXPECT_EQ(characters({" ", "a", "b"}, config).decode(peaked(path, 4), length(7), true)[0].segments.size(), 4u);
  // "b." ends no segment that it did not begin.
  config.segment_gap_threshold = 50;
  const std::vector<int64_t> marked = {1, 0, 2, 3, 0, 1};
  EXPECT_EQ(characters({" ", "a", "b", "."}, config).decode(peaked(marked, 5), length(6), true)[0].segments.size(), 1u);
  config.segment_gap_threshold.reset();
  EXPECT_EQ(characters({" ", "a", "b", "."}, config).decode(peaked(marked, 5), length(6), true)[0].segments.size(), 2u);
}

TEST(CtcDecoding, BeamSearchDoesNotDependOnPadding) {
  CtcDecodingConfig config;
  config.strategy = "beam_batch";
  config.beam.return_best_hypothesis = false;
  at::manual_seed(3);
  const at::Tensor short_one = at::log_softmax(at::randn({1, 20, 4}) * 2, -1);
  const at::Tensor padded = at::cat({short_one, at::log_softmax(at::randn({1, 7, 4}) * 2, -1)}, 1);
  const auto decoding = characters({" ", "a", "b"}, config);
  const auto alone = decoding.decode_nbest(short_one, length(20))[0],
             batched = decoding.decode_nbest(padded, length(20))[0];
  ASSERT_EQ(alone.size(), batched.size());
  for (size_t i = 0; i < alone.size(); ++i) {
    EXPECT_EQ(alone[i].text, batched[i].text);
    EXPECT_EQ(alone[i].score, batched[i].score);
  }
  EXPECT_EQ(decoding.decode(short_one, length(20))[0].text, alone[0].text);
}

// Every other letter is as likely as the next one: which of them comes second is NeMo's choice, recorded from it.
TEST(CtcDecoding, TiesInABeamFallAsInNemo) {
  std::vector<std::string> labels = {" "};
  for (char c = 'a'; c <= 'z'; ++c) labels.emplace_back(1, c);
  labels.emplace_back("'");
  CtcDecodingConfig config;
  config.strategy = "beam_batch";
  config.beam.beam_size = 2;
  config.beam.return_best_hypothesis = false;
  at::Tensor logits = at::zeros({1, 6, 29});
  const std::vector<int64_t> path = {19, 15, 0, 27, 5, 13};
  for (int64_t t = 0; t < 6; ++t) logits[0][t][path[t]] = 9.0;
  const auto got = characters(labels, config).decode_nbest(at::log_softmax(logits, -1), length(6))[0];
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].text, "so'em");
  EXPECT_EQ(got[1].text, "so rem");
}

TEST(CtcDecoding, RefusesWhatItCannotDo) {
  CtcDecodingConfig config;
  config.strategy = "flashlight";
  EXPECT_THROW(characters({"a"}, config), Error);
  config = {};
  config.confidence_cfg.aggregation = "median";
  EXPECT_THROW(characters({"a"}, config), Error);
  EXPECT_THROW(characters({"a"}).decode(at::zeros({1, 2, 3}), length(2)), Error);
}

TEST(CtcDecoding, EveryConfidenceIsOneForSureFramesAndZeroForUniformOnes) {
  for (const std::string name : {"max_prob", "entropy"}) {
    for (const std::string type : {"gibbs", "tsallis", "renyi"}) {
      for (const std::string norm : {"lin", "exp"}) {
        for (const double alpha : {0.33, 1.0, 2.0}) {
          CtcDecodingConfig config;
          config.confidence_cfg.preserve_frame_confidence = true;
          config.confidence_cfg.method_cfg = {name, type, alpha, norm};
          at::Tensor log_probs = at::full({1, 2, 8}, -1e30);
          log_probs[0][0][3] = 0.0;
          log_probs[0][1].fill_(-std::log(8.0));
          const auto got =
              characters({"a", "b", "c", "d", "e", "f", "g"}, config).decode(log_probs, length(2))[0].frame_confidence;
          EXPECT_NEAR(got.at(0), 1, 1e-6) << name << type << norm << alpha;
          EXPECT_NEAR(got.at(1), 0, 1e-6) << name << type << norm << alpha;
        }
      }
    }
  }
}

void expect_offsets(const std::vector<Offset>& got, const nlohmann::json& want, const char* key,
                    const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what << " " << key;
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].text, want[i][key].get<std::string>()) << what;
    EXPECT_EQ(got[i].start, want[i]["start_offset"].get<int64_t>()) << what << " " << got[i].text;
    EXPECT_EQ(got[i].end, want[i]["end_offset"].get<int64_t>()) << what << " " << got[i].text;
  }
}

TEST(CtcDecoding, AgreesWithNemosRecordings) {
  for (const std::string name : {"ctc_quartznet_digits", "ctc_random_char", "ctc_random_flat", "ctc_random_bpe"}) {
    const std::string folder = test_data::shared_path("golden/nemo_models/decoding/" + name);
    NEEDS_RECORDING(folder + "/meta.json");
    const auto meta = test_data::read_recording(folder + "/meta.json");
    const auto tensors = test_data::read_tensors(folder + "/io.safetensors");
    const auto& recorded = tensors.at("log_probs");
    const at::Tensor log_probs = at::from_blob(const_cast<float*>(recorded.real.data()), recorded.shape, at::kFloat);
    const at::Tensor lengths = at::tensor(tensors.at("lengths").integer, at::kLong);
    const text::Vocabulary vocabulary(meta["vocabulary"], meta["tokenizer"].is_null()
                                                              ? text::Vocabulary::Kind::kCharacters
                                                              : text::Vocabulary::Kind::kSentencePiece);
    for (const auto& [case_name, one] : meta["cases"].items()) {
      const std::string strategy = one["config"]["strategy"];
      auto config = parse_options<CtcDecodingConfig>(Json::parse(json_text(one["config"])), "decoding");
      if (one.contains("error")) {  // NeMo failed too: no language model
        EXPECT_THROW(CtcDecoding(config, vocabulary), Error) << case_name;
        continue;
      }
      if (!strategy.starts_with("greedy")) {
        config.beam.padding_counts = true;
        const auto nbest = CtcDecoding(config, vocabulary).decode_nbest(log_probs, lengths);
        for (size_t i = 0; i < nbest.size(); ++i) {
          ASSERT_EQ(nbest[i].size(), one["hypotheses"][i].size()) << name << "/" << case_name;
          for (size_t k = 0; k < nbest[i].size(); ++k) {
            const auto& want = one["hypotheses"][i][k];
            EXPECT_EQ(nbest[i][k].text, want["text"].get<std::string>()) << name << "/" << case_name;
            EXPECT_NEAR(nbest[i][k].score, want["score"].get<double>(), 1e-3) << name << "/" << case_name;
            EXPECT_EQ(nbest[i][k].y_sequence, want["y_sequence"].get<std::vector<int64_t>>())
                << name << "/" << case_name;
            EXPECT_EQ(nbest[i][k].timestep, want["timestamp"].get<std::vector<int64_t>>()) << name << "/" << case_name;
          }
        }
        continue;
      }
      const auto got = CtcDecoding(config, vocabulary).decode(log_probs, lengths);
      for (size_t i = 0; i < got.size(); ++i) {
        const auto& want = one["hypotheses"][i];
        const std::string what = name + "/" + case_name + " " + std::to_string(i);
        EXPECT_EQ(got[i].text, want["text"].get<std::string>()) << what;
        EXPECT_NEAR(got[i].score, want["score"].get<double>(), 1e-3) << what;
        EXPECT_EQ(got[i].y_sequence, want["y_sequence"].get<std::vector<int64_t>>()) << what;
        if (want.contains("timestamp")) {
          EXPECT_EQ(got[i].timestep, want["timestamp"]["timestep"].get<std::vector<int64_t>>()) << what;
          expect_offsets(got[i].chars, want["timestamp"]["char"], "char", what);
          expect_offsets(got[i].words, want["timestamp"]["word"], "word", what);
          expect_offsets(got[i].segments, want["timestamp"]["segment"], "segment", what);
        }
        if (want.contains("token_confidence")) {
          ASSERT_EQ(got[i].token_confidence.size(), want["token_confidence"].size()) << what;
          for (size_t t = 0; t < got[i].token_confidence.size(); ++t) {
            EXPECT_NEAR(got[i].token_confidence[t], want["token_confidence"][t].get<double>(), 1e-5) << what;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace fathom::asr
