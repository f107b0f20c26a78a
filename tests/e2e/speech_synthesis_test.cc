// Speech synthesis from configs/tts to sound: vocoders that train against critics, and what is heard of copies.
#include "tests/e2e/speech_synthesis.h"

#include <gmock/gmock.h>

namespace fathom::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(SpeechSynthesis, ModelsThatWereKilledGoOnToTheBit) {
  for (const char* recipe : {"ljspeech_mini_hifigan", "ljspeech_mini_fastpitch"}) expect_exact_resume(recipe);
}

TEST_F(SpeechSynthesis, AnAcousticModelIsRestoredAndSpeaks) {
  // The clips as those of two voices.
  std::istringstream lines(read_file(kSpeech + "/validation.json"));
  std::string voices;
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    Json item = parse_text(line);
    item["audio_filepath"] = kSpeech + "/" + item["audio_filepath"].get<std::string>();
    item["speaker"] = number++ % 2;
    voices += json_text(item) + "\n";
  }
  write_file_atomically(folder_ + "/voices.json", voices);
  write_file_atomically(folder_ + "/whitelist.tsv", "Co.\tCo\n");
  const Result trained = run(words_of(
      "run", "ljspeech_mini_fastpitch",
      {"trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "++model.min_token_duration=3",
       "++model.n_speakers=2", "model.train_ds.dataset.sup_data_types=[align_prior_matrix,pitch,speaker_id]",
       "model.validation_ds.dataset.sup_data_types=[align_prior_matrix,pitch,speaker_id]", "++model.log_audio=true",
       "++model.check_speech=2", "++model.text_normalizer.whitelist=" + folder_ + "/whitelist.tsv",
       "model.train_ds.dataset.manifest_filepath=" + folder_ + "/voices.json",
       "model.validation_ds.dataset.manifest_filepath=" + folder_ + "/voices.json"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  // What it would sound like, beside the recordings.
  ASSERT_EQ(metric("run", "val_mcd").size(), 1u);
  EXPECT_GT(metric("run", "val_mcd")[0], 0);
  EXPECT_EQ(metric("run", "val_voicing_error").size(), 1u);
  const std::string nemo = folder_ + "/run/checkpoints/ljspeech_mini_fastpitch.nemo";
  const auto speak = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> words = {
        fathom_program(), "synthesize", nemo, "--text", "one two", "--output", folder_ + "/" + name + ".wav",
        "--threads",      "1"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const auto size = [&](const char* name) {
    return static_cast<double>(fs::file_size(folder_ + "/" + name + std::string(".wav"))) - 44;
  };
  ASSERT_EQ(speak("plain", {"--speaker", "1"}).status, 0);
  EXPECT_GE(size("plain"), 9 * 3 * 256 * 2 - 2 * 1024);  // nine tokens
  const Result slow = speak("slow", {"--speaker", "1", "--pace", "0.5", "--pitch", "2", "--option", "volume=0.5"});
  ASSERT_EQ(slow.status, 0) << slow.err;
  EXPECT_NEAR(size("slow") / size("plain"), 2, 0.3);
  const Result none = speak("none", {});
  EXPECT_EQ(none.status, 65);
  EXPECT_THAT(none.err, HasSubstr("a speaker from 0 to 1"));
  const Result third = speak("none", {"--speaker", "2"});
  EXPECT_EQ(third.status, 65);
  EXPECT_THAT(third.err, HasSubstr("0 to 1"));
  const Result odd = speak("none", {"--speaker", "1", "--option", "pitch_rnge=2"});
  EXPECT_EQ(odd.status, 2);
  EXPECT_THAT(odd.err, HasSubstr("did you mean: pitch_range"));
  const Result many = speak("none", {"--speaker", "1", "--option", "pace=[1,2]"});
  EXPECT_EQ(many.status, 2);
  EXPECT_THAT(many.err, HasSubstr("one a token"));
  // Figures are said in words; the whitelist has gone into the file.
  fs::remove(folder_ + "/whitelist.tsv");
  const auto sound = [&](const std::string& name, const std::string& text, const std::vector<std::string>& more) {
    std::vector<std::string> words = {
        fathom_program(), "synthesize", nemo,        "--text", text, "--output", folder_ + "/" + name + ".wav",
        "--threads",      "1",          "--speaker", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const Result said = run(words);
    EXPECT_EQ(said.status, 0) << said.err;
    EXPECT_THAT(said.err, Not(HasSubstr("numbers are not turned into words")));
    return read_file(folder_ + "/" + name + ".wav");
  };
  const std::string in_words = sound("words", "room one hundred and one at Co", {});
  EXPECT_EQ(sound("digits", "room 101 at Co.", {}), in_words);
  EXPECT_NE(sound("raw", "room 101 at Co.", {"--no-normalize"}), in_words);
}

TEST_F(SpeechSynthesis, AnAcousticModelSaysWhatItMisses) {
  const auto refused = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"trainer.max_epochs=1"};
    words.insert(words.end(), more.begin(), more.end());
    const Result result = run(words_of("refused", "ljspeech_mini_fastpitch", words));
    EXPECT_NE(result.status, 0);
    return result.err;
  };
  EXPECT_THAT(refused({"++model.n_speakers=2"}), HasSubstr("speaker_id among sup_data_types"));
  EXPECT_THAT(refused({"model.n_mel_channels=40", "model.alignment_module.n_mel_channels=80"}),
              HasSubstr("40, the model's n_mel_channels"));
  EXPECT_THAT(refused({"model.train_ds.dataset.sup_data_types=[align_prior_matrix]"}), HasSubstr("no pitch"));
  EXPECT_THAT(refused({"model.input_fft.n_layer=-1"}), HasSubstr("n_layer"));
  // Its first clip says as much as fits into a minute.
  std::string text;
  for (int i = 0; i < 200; ++i) text += "many words ";
  write_file_atomically(folder_ + "/long.json", "{\"audio_filepath\": \"" + kSpeech +
                                                    "/wavs/LJ001-0002.flac\", \"duration\": 1.9, \"text\": \"" + text +
                                                    "\"}\n");
  EXPECT_THAT(refused({"model.train_ds.dataset.manifest_filepath=" + folder_ + "/long.json"}), HasSubstr("frames"));
}

TEST_F(SpeechSynthesis, Tacotron2SaysWhereItGoesOnTooLong) {
  const Result trained =
      run(words_of("run", "ljspeech_mini_tacotron2",
                   {"trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "model.decoder.max_decoder_steps=20",
                    "model.decoder.gate_threshold=1.0", "~model.text_normalizer", "++model.check_speech=1"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_EQ(metric("run", "val_mcd").size(), 1u);
  const std::string nemo = folder_ + "/run/checkpoints/ljspeech_mini_tacotron2.nemo", wav = folder_ + "/said.wav";
  const Result said = run({fathom_program(), "synthesize", nemo, "--text", "Hello, world.", "--output", wav});
  ASSERT_EQ(said.status, 0) << said.err;
  EXPECT_THAT(said.err, HasSubstr("max_decoder_steps (20)"));
  EXPECT_GT(fs::file_size(wav), 20 * 256 * 2 - 1);
  // A model that is not told to turn figures into words says that it does not.
  std::vector<std::string> digits = {fathom_program(), "synthesize", nemo, "--text", "room 101", "--output", wav};
  EXPECT_THAT(run(digits).err, HasSubstr("numbers are not turned into words"));
  digits.emplace_back("--no-normalize");
  EXPECT_THAT(run(digits).err, Not(HasSubstr("numbers are not turned into words")));
}

TEST_F(SpeechSynthesis, AVocoderIsRestoredAndHeard) {
  const Result trained =
      run(words_of("run", "ljspeech_mini_hifigan",
                   {"trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "++model.check_speech=1"}));
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_EQ(metric("run", "val_mcd").size(), 1u);
  const std::string nemo = folder_ + "/run/checkpoints/ljspeech_mini_hifigan.nemo";
  const std::string clip = kSpeech + "/wavs/LJ001-0002.flac";
  const Result copied =
      run({fathom_program(), "tts", "vocode", clip, "--vocoder", nemo, "--output-dir", folder_ + "/copies"});
  ASSERT_EQ(copied.status, 0) << copied.err;
  EXPECT_GT(fs::file_size(folder_ + "/copies/LJ001-0002.wav"), 1.8 * 16000 * 2);
  const Result none = run({fathom_program(), "tts", "vocode", folder_ + "/none.wav", "--vocoder", nemo, "--output-dir",
                           folder_ + "/copies"});
  EXPECT_EQ(none.status, 66);
  EXPECT_THAT(none.err, HasSubstr("none.wav"));
  // A GAN's audio must be as long as what it is compared with.
  const Result odd =
      run(words_of("odd", "ljspeech_mini_hifigan", {"trainer.max_epochs=1", "model.train_ds.dataset.n_segments=8000"}));
  EXPECT_EQ(odd.status, 65);
  EXPECT_THAT(odd.err, HasSubstr("multiple of n_window_stride"));
  const Result hop = run(words_of("hop", "ljspeech_mini_hifigan", {"model.preprocessor.n_window_stride=200"}));
  EXPECT_EQ(hop.status, 1);
  EXPECT_THAT(hop.err, HasSubstr("256, the product of generator.upsample_rates"));
}

TEST_F(SpeechSynthesis, TextsAndWordsAreSaid) {
  const Result said = fathom({"tts", "normalize", "--text", "On May 3, 1999, $5", "--style", "nemo"});
  EXPECT_EQ(said.out, "On may third, nineteen ninety nine, five dollars\n") << said.err;
  write_file_atomically(folder_ + "/texts.txt", "Dr. No, p. 12\n\n5 km\n");
  write_file_atomically(folder_ + "/list.tsv", "Dr.\tdoctor\n");
  EXPECT_EQ(fathom({"tts", "normalize", folder_ + "/texts.txt", "--whitelist", folder_ + "/list.tsv"}).out,
            "doctor No, p. twelve\n\nfive kilometers\n");
  EXPECT_EQ(fathom({"tts", "normalize", folder_ + "/none.txt"}).status, 66);
  EXPECT_THAT(fathom({"tts", "normalize", "--text", "a", "--style", "nmo"}).err, HasSubstr("did you mean: nemo"));

  // The model that comes along lies beside the plugin.
  EXPECT_EQ(fathom({"tts", "g2p", "cat", "blorping"}).out, "cat\tK AE1 T\nblorping\tB L AO1 R P IH0 NG\n");
  std::string dictionary;
  for (const char* word : {"cab", "bin", "nib", "cain", "can", "ban", "nab", "bib", "cabin", "inn", "abba", "baba"}) {
    dictionary += std::string(word) + "\t";
    for (const char* c = word; *c != '\0'; ++c) dictionary += std::string(1, static_cast<char>(*c - 'a' + 'A')) + " ";
    dictionary += "\n";
  }
  write_file_atomically(folder_ + "/words.tsv", dictionary);
  const std::string model = folder_ + "/words.g2p";
  const Result trained = fathom(
      {"tts", "train-g2p", folder_ + "/words.tsv", model, "--order", "3", "--validation", folder_ + "/words.tsv"});
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("12 words, 5 phonemes"));
  EXPECT_THAT(trained.out, HasSubstr("phoneme error 0.00 %"));
  EXPECT_EQ(fathom({"tts", "g2p", "nabbin", "--model", model}).out, "nabbin\tN A B B I N\n");
  EXPECT_EQ(fathom({"tts", "g2p", "dog", "--model", model}).status, 65);
}

TEST_F(SpeechSynthesis, ASetIsPrepared) {
  const std::string manifest = folder_ + "/set.json", stats = folder_ + "/out/pitch.json";
  std::string lines;
  for (const auto& [clip, speaker] : {std::pair{"LJ001-0002", "zoe"}, {"LJ001-0004", "ann"}, {"LJ001-0006", "zoe"}}) {
    fs::copy_file(kSpeech + "/wavs/" + clip + ".flac", folder_ + "/" + clip + ".flac");
    lines +=
        json_text(Json{{"audio_filepath", clip + std::string(".flac")}, {"text", "x"}, {"speaker", speaker}}) + "\n";
  }
  write_file_atomically(manifest, lines);
  const std::vector<std::string> words = {fathom_program(),
                                          "tts",
                                          "prepare",
                                          manifest,
                                          "--sample-rate",
                                          "16000",
                                          "--sup-data-path",
                                          folder_ + "/sup",
                                          "--types",
                                          "pitch,energy",
                                          "--pitch-stats-path",
                                          stats,
                                          "--numbered-manifest",
                                          folder_ + "/out/numbered.json"};
  const Result first = run(words);
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(first.out, "0\tann\n1\tzoe\n");
  EXPECT_TRUE(fs::exists(folder_ + "/sup/energy/LJ001-0004.safetensors"));
  const Json found = parse_text(read_file(stats));
  // A woman's voice, which is all speakers here.
  for (const char* speaker : {"default", "0", "1"}) {
    EXPECT_NEAR(found.at(speaker).at("pitch_mean").get<double>(), 220, 60) << speaker;
    EXPECT_GT(found.at(speaker).at("pitch_std").get<double>(), 10) << speaker;
  }
  EXPECT_EQ(found.size(), 3);
  // What is there is kept, and the numbered manifest is one that a model can train on.
  const std::string kept = read_file(stats);
  std::vector<std::string> again = words;
  again[3] = folder_ + "/out/numbered.json";
  again.back() = folder_ + "/out/twice.json";
  const Result second = run(again);
  ASSERT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(second.out, "0\t0\n1\t1\n");
  EXPECT_EQ(read_file(stats), kept);
  EXPECT_EQ(read_file(folder_ + "/out/twice.json"), read_file(folder_ + "/out/numbered.json"));
  // With other settings the folder is not this set's.
  again.insert(again.end(), {"--n-fft", "512"});
  const Result other = run(again);
  EXPECT_EQ(other.status, 65) << other.err;
  EXPECT_THAT(other.err, HasSubstr("other settings"));
  const Result nothing = run({fathom_program(), "tts", "prepare", manifest, "--sample-rate", "16000"});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_THAT(nothing.err, HasSubstr("--pitch-stats-path"));
}

}  // namespace
}  // namespace fathom::e2e
