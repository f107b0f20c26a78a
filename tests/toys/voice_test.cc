// Commands that a plugin adds and models that speak, by the program: what `fathom synthesize` writes is what the models
// give, whichever way it is cut.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/checkpoint/torch_file.h"
#include "core/engine/engine.h"
#include "core/models/nemo_file.h"
#include "core/plugins/registry.h"
#include "tests/e2e/process.h"

namespace fathom::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kPlugins = FATHOM_BINARY_DIR "/tests/toys/plugins";

class Voice : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    fathom_make_engine();
    plugins::registry().use_search_path({});
    plugins::registry().add_plugin_dir(kPlugins);
    folder_ = ::testing::TempDir() + "fathom_voice/";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    save("toy.Voice", "voice.nemo");
    save("toy.Held", "held.nemo");
    save("toy.Held", "other.nemo", {{"features", 20}});
  }
  static void save(const char* target, const std::string& file, Json section = Json::object()) {
    section["_target_"] = target;
    save_nemo(ModelHandle(create_object(1u << FATHOM_KIND_MODEL, section, "model")), folder_ + file);
  }
  static Result fathom(std::vector<std::string> words) {
    words.insert(words.begin(), fathom_program());
    words.insert(words.end(), {"--plugin-dir", kPlugins});
    return run(words);
  }
  static Result speak(const std::vector<std::string>& more) {
    std::vector<std::string> words = {"synthesize", folder_ + "voice.nemo", "--vocoder", folder_ + "held.nemo"};
    words.insert(words.end(), more.begin(), more.end());
    return fathom(words);
  }
  // The samples of a file, after a look at its header.
  static std::vector<int16_t> samples(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    EXPECT_GE(bytes.size(), 44u);
    if (bytes.size() < 44) return {};
    uint32_t length = 0, rate = 0;
    std::memcpy(&length, bytes.data() + 40, 4);
    std::memcpy(&rate, bytes.data() + 24, 4);
    EXPECT_EQ(rate, 8000u);
    EXPECT_EQ(length, bytes.size() - 44);
    std::vector<int16_t> out((bytes.size() - 44) / 2);
    std::memcpy(out.data(), bytes.data() + 44, out.size() * 2);
    return out;
  }
  static inline std::string folder_;
};

TEST_F(Voice, ATextIsWhatItsLettersAre) {
  const Result result = speak({"--text", "b z", "--output", folder_ + "a.wav", "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto audio = samples(folder_ + "a.wav");
  ASSERT_EQ(audio.size(), 2u * 6 * 4);
  EXPECT_EQ(audio[5], std::lrintf(32767.0f * (1 / 26.0f)));  // within the first letter
  EXPECT_EQ(audio[40], std::lrintf(32767.0f * (25 / 26.0f)));
  const Json report = Json::parse(result.out);
  EXPECT_EQ(report["tokens"], 2);
  EXPECT_EQ(report["frames"], 12);
  EXPECT_EQ(report["skipped"], (Json{{" ", 1}}));
  EXPECT_THAT(result.err, HasSubstr("left out, as the model has no token for them: ' ' (1)"));
}

TEST_F(Voice, ChunksSoundLikeTheWhole) {
  ASSERT_EQ(speak({"--text", "thequickbrownfox", "-o", folder_ + "whole.wav", "--chunk-frames", "0"}).status, 0);
  for (const char* frames : {"1", "7", "95", "1000"}) {
    ASSERT_EQ(speak({"--text", "thequickbrownfox", "-o", folder_ + "cut.wav", "--chunk-frames", frames}).status, 0);
    EXPECT_EQ(samples(folder_ + "cut.wav"), samples(folder_ + "whole.wav")) << frames;
  }
}

TEST_F(Voice, ManyTextsEachItsFileOrAllInOne) {
  std::ofstream(folder_ + "lines.jsonl") << "ab\n\n{\"text\": \"ab\", \"pace\": 2, \"output\": \"fast.wav\"}\n";
  const Result each = speak({"--input", folder_ + "lines.jsonl", "--output-dir", folder_ + "out"});
  ASSERT_EQ(each.status, 0) << each.err;
  EXPECT_EQ(samples(folder_ + "out/00001.wav").size(), 48u);
  EXPECT_EQ(samples(folder_ + "out/fast.wav").size(), 24u);
  std::ofstream(folder_ + "two.txt") << "a. b.\nc\n";
  ASSERT_EQ(speak({"--input", folder_ + "two.txt", "-o", folder_ + "one.wav"}).status, 0);
  EXPECT_EQ(samples(folder_ + "one.wav").size(), 3u * 24);
}

TEST_F(Voice, WhatCannotBeSpokenIsToldAndWritesNothing) {
  const auto refused = [](const std::vector<std::string>& words, int status, const std::string& part) {
    const Result result = speak(words);
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_FALSE(std::filesystem::exists(folder_ + "none.wav"));
  };
  const std::string none = folder_ + "none.wav";
  refused({"--text", " ", "-o", none}, 65, "nothing to speak");
  refused({"--text", "...", "-o", none}, 65, "nothing to speak");
  refused({"--text", "a", "-o", none, "--option", "colour=red"}, 2, "no such option");
  refused({"-o", none}, 2, "--text or --input");
  refused({"--text", "a"}, 2, "--output, --output-dir or --play");
  refused({"--text", "a", "-o", folder_ + "no/such/none.wav"}, 73, "cannot be written");
  const Result other =
      fathom({"synthesize", folder_ + "voice.nemo", "--vocoder", folder_ + "other.nemo", "--text", "a", "-o", none});
  EXPECT_EQ(other.status, 65);
  EXPECT_THAT(other.err, HasSubstr("they differ in features"));
  EXPECT_THAT(other.err, HasSubstr("features: 26 | 20   <- differs"));
  const Result mute = fathom({"synthesize", folder_ + "held.nemo", "--text", "a", "-o", none});
  EXPECT_EQ(mute.status, 69);
  EXPECT_THAT(mute.err, HasSubstr("does not speak"));
}

TEST_F(Voice, APlayerHearsWhatAFileWouldHold) {
  const std::string programs = folder_ + "programs/", heard = folder_ + "heard.wav";
  const auto player = [&](const std::string& name, const std::string& script) {
    std::filesystem::remove_all(programs);
    std::filesystem::create_directories(programs);
    std::ofstream(programs + name) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(programs + name, std::filesystem::perms::owner_all);
  };
  const auto play = [&](const std::string& text) {
    return run({fathom_program(), "synthesize", folder_ + "voice.nemo", "--vocoder", folder_ + "held.nemo", "--text",
                text, "--play", "--plugin-dir", kPlugins},
               {"PATH=" + programs});
  };
  const auto bytes = [](const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  };
  ASSERT_EQ(speak({"--text", "hello", "-o", folder_ + "hello.wav"}).status, 0);
  const std::string sound = bytes(folder_ + "hello.wav").substr(44);
  for (const auto& [name, arguments] : {std::pair{"paplay", "/dev/stdin"},
                                        {"aplay", "-q -"},
                                        {"ffplay", "-nodisp -autoexit -loglevel error -i -"},
                                        {"play", "-q -t wav -"}}) {
    player(name, "echo \"$@\" > " + folder_ + "arguments; exec /bin/cat > " + heard);
    std::filesystem::remove(heard);
    const Result result = play("hello");
    ASSERT_EQ(result.status, 0) << name << ": " << result.err;
    EXPECT_EQ(bytes(folder_ + "arguments"), arguments + std::string("\n"));
    const std::string got = bytes(heard);
    ASSERT_GT(got.size(), 44u) << name;
    EXPECT_EQ(got.substr(0, 4), "RIFF");
    EXPECT_EQ(got.substr(44), sound) << name;
  }
  // One that fails after all was written, and one that goes away while more comes than a pipe holds.
  player("aplay", "/bin/cat > /dev/null; exit 3");
  const Result failed = play("hello");
  EXPECT_EQ(failed.status, 69) << failed.err;
  EXPECT_THAT(failed.err, ::testing::AllOf(HasSubstr("the player failed"), HasSubstr("aplay"),
                                           HasSubstr("exit status 3"), HasSubstr("--output")));
  player("aplay", "exit 4");
  const Result gone = play(std::string(8000, 'a'));
  EXPECT_EQ(gone.status, 69) << gone.err;
  EXPECT_THAT(gone.err, HasSubstr("exit status 4"));
  std::filesystem::remove_all(programs);
  const Result none = play("hello");
  EXPECT_EQ(none.status, 69);
  EXPECT_THAT(none.err, ::testing::AllOf(HasSubstr("no player on this machine"),
                                         HasSubstr("paplay, aplay, ffplay, play"), HasSubstr("--output")));
}

TEST_F(Voice, CommandsOfAPluginTakeTheirOptionsAsFlags) {
  EXPECT_EQ(fathom({"toy", "shout", "hello", "there"}).out, "HELLO THERE!\n");
  EXPECT_EQ(fathom({"toy", "shout", "a", "--times=2", "--no-loud", "--mark", "?", "--volume", "0.5"}).out,
            "a at 0.500000?\na at 0.500000?\n");
  const Result wrong = fathom({"toy", "shout", "a", "--times", "many"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--times"));
  EXPECT_EQ(fathom({"toy", "shout"}).status, 2);
  EXPECT_THAT(fathom({"toy", "shuot"}).err, HasSubstr("shout"));
  EXPECT_THAT(fathom({"toy", "--help"}).out, HasSubstr("words, louder"));
  EXPECT_THAT(fathom({"toy", "shout", "--help"}).out, HasSubstr("--no-loud"));
  EXPECT_THAT(fathom({"--help"}).out, HasSubstr("toy: look, shout"));
}

TEST_F(Voice, VoicesAreCompared) {
  save("toy.Ear", "ear.nemo");
  save("toy.Ear", "deaf.nemo", {{"gives", false}});
  std::string text, other;
  for (int i = 0; i < 60; ++i) text += static_cast<char>('a' + i % 5);
  for (int i = 0; i < 60; ++i) other += static_cast<char>('e' + i % 20);
  std::filesystem::create_directories(folder_ + "said");
  for (const auto& [letters, file] : {std::pair{text, "clip.wav"}, {text, "said/clip.wav"}, {other, "said/other.wav"}})
    ASSERT_EQ(speak({"--text", letters, "-o", folder_ + file}).status, 0);
  std::filesystem::copy_file(folder_ + "clip.wav", folder_ + "other.wav");
  std::ofstream(folder_ + "clips.json") << R"({"audio_filepath": "clip.wav", "text": "a"})" << "\n"
                                        << R"({"audio_filepath": "other.wav", "text": "b"})" << "\n";
  const auto evaluate = [&](const char* model) {
    return fathom({"tts", "evaluate", folder_ + "clips.json", "--synthesis-dir", folder_ + "said", "--speaker-model",
                   folder_ + model});
  };
  const Result judged = evaluate("ear.nemo");
  ASSERT_EQ(judged.status, 0) << judged.err;
  std::istringstream lines(judged.out);
  std::vector<Json> items;
  for (std::string line; std::getline(lines, line);) items.push_back(Json::parse(line));
  ASSERT_EQ(items.size(), 3u);
  EXPECT_NEAR(items[0]["speaker_similarity"].get<double>(), 1, 1e-9);
  EXPECT_LT(items[1]["speaker_similarity"].get<double>(), 1);
  EXPECT_NEAR(items[2]["summary"]["speaker_similarity"].get<double>(),
              (items[0]["speaker_similarity"].get<double>() + items[1]["speaker_similarity"].get<double>()) / 2, 1e-9);
  const Result deaf = evaluate("deaf.nemo");
  EXPECT_NE(deaf.status, 0);
  EXPECT_THAT(deaf.err, HasSubstr("no speaker model"));
}

TEST_F(Voice, PluginsReadModelsAndTensors) {
  const Result model = fathom({"toy", "look", "--model", folder_ + "voice.nemo"});
  ASSERT_EQ(model.status, 0) << model.err;
  EXPECT_EQ(Json::parse(model.out)["sample_rate"], 8000);

  checkpoint::save_safetensors(folder_ + "t.safetensors", {{"a", at::ones({3})}});
  EXPECT_EQ(fathom({"toy", "look", "--tensors", folder_ + "t.safetensors"}).out, "'a' 3.000000\n");
  checkpoint::save_torch_file(folder_ + "t.pt", checkpoint::from_tensor(at::full({2, 2}, 2.0)));
  EXPECT_EQ(fathom({"toy", "look", "--tensors", folder_ + "t.pt"}).out, "'' 8.000000\n");
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  header += std::string(128 - 10 - header.size() - 1, ' ') + "\n";
  const float values[] = {1.5f, 2.0f};
  std::ofstream(folder_ + "t.npy", std::ios::binary)
      << "\x93NUMPY" << '\x01' << '\x00' << static_cast<char>(header.size()) << '\x00' << header
      << std::string(reinterpret_cast<const char*>(values), sizeof(values));
  EXPECT_EQ(fathom({"toy", "look", "--tensors", folder_ + "t.npy"}).out, "'' 3.500000\n");
  std::ofstream(folder_ + "cut.npy", std::ios::binary) << "\x93NUMPY" << '\x01' << '\x00' << "\xFF\xFF" << "{'descr'";
  EXPECT_EQ(fathom({"toy", "look", "--tensors", folder_ + "cut.npy"}).status, 65);
  EXPECT_EQ(fathom({"toy", "look", "--tensors", folder_ + "none.npy"}).status, 66);
  EXPECT_EQ(fathom({"toy", "look", "--model", folder_ + "none.nemo"}).status, 66);
}

}  // namespace
}  // namespace fathom::e2e
