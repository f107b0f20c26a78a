// Files made to do harm, given to the program under a limit of memory and time: each is refused for what is wrong with
// it, and nothing is written or run.
#include "tests/support/hostile_files.h"

#include <gmock/gmock.h>

#include "tests/e2e/training.h"
#include "tests/support/sanitized.h"

namespace fathom::e2e {
namespace {

using namespace hostile;  // NOLINT
using testing::HasSubstr;

constexpr rlim_t kMemory = 256 << 20, kSeconds = 5;

class HostileFiles : public TrainingTest {
 protected:
  std::string file(const std::string& name, const std::string& bytes) const {
    write_file_atomically(folder_ + "/" + name, bytes);
    return folder_ + "/" + name;
  }
  // Without libtorch, so that all the memory of the process can be limited.
  static Result inspect(const std::string& path, rlim_t memory = kMemory) {
    return run({fathom_program(), "inspect", path, "--json"}, {}, [memory] {
      const rlimit most{memory, memory}, seconds{kSeconds, kSeconds};
      // A sanitizer reserves terabytes of addresses: there only the answers count.
      if (!kSanitized) ::setrlimit(RLIMIT_AS, &most);
      ::setrlimit(RLIMIT_CPU, &seconds);
    });
  }
  void refused(const std::string& name, const std::string& bytes, const std::string& why) const {
    const Result result = inspect(file(name, bytes));
    EXPECT_EQ(result.status, 65) << name << ": " << why << "\n" << result.err;
    EXPECT_THAT(result.err, HasSubstr(why)) << name;
    EXPECT_THAT(result.err, HasSubstr(name)) << "which file it is";
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << name << " wrote something";
    fs::remove(folder_ + "/" + name);
  }
};

TEST_F(HostileFiles, Pickles) {
  const auto ckpt = [&](const std::string& body, const std::string& why) {
    refused("a.ckpt", checkpoint_of(pickle(body)), why);
  };
  ckpt("cposix\nsystem\n" + text_op("true") + "\x85R", "not allowed");
  ckpt("c__builtin__\neval\n" + text_op("1") + "\x85R", "not allowed");
  ckpt("c__builtin__\ngetattr\n", "not allowed");
  ckpt(times("]", 100'000) + times("a", 99'999), "nested");
  ckpt(times("(", 1'000'000), "empty stack");
  ckpt(doubling(24), "written out");
  ckpt("}" + text_op("hyper_parameters") + doubling(24) + "s", "written out");
  ckpt("]q" + raw(uint8_t{0}) + "h" + raw(uint8_t{0}) + "a", "contains itself");
  ckpt("r" + raw(int32_t{-2}), "memo");
  ckpt("Nr" + raw(int32_t{0x7fffffff}), "memo");
  ckpt("\x8b" + raw(int32_t{0x7fffffff}), "too long");
  ckpt("\x8d" + raw(int64_t{INT64_MAX}), "middle of a value");
  ckpt("B" + raw(int32_t{-1}), "middle of a value");
  ckpt("a", "empty stack");
  ckpt("\xff", "opcode");
  refused("a.ckpt", checkpoint_of("\x80\x02N"), "middle of a value");
  // One long text named again and again: as keys, as bytes, in lists that are copied, as part of paths.
  const std::string text = text_op(std::string(60'000, 'k')) + "q" + raw(uint8_t{0}) + "0",
                    again = "h" + raw(uint8_t{0});
  ckpt(text + "]" + times("}" + again + "Ns0", 10'000), "again and again");
  ckpt(text + "c_codecs\nencode\nq" + raw(uint8_t{1}) + "0" + times("h" + raw(uint8_t{1}) + again + "\x85R0", 10'000) +
           "N",
       "again and again");
  ckpt(text + "cpathlib\nPosixPath\n(" + times(again, 20'000) + "tR", "again and again");
  ckpt("](" + times("N", 50'000) + "eq" + raw(uint8_t{0}) + "0ccollections\ndeque\nq" + raw(uint8_t{1}) + "0" +
           times("h" + raw(uint8_t{1}) + again + "\x85R0", 10'000) + "N",
       "again and again");
  ckpt(text + "](" + times(again, 50'000) + "e", "written out");
  // An object whose content is itself.
  const std::string node = "comegaconf.nodes\nAnyNode\n)\x81q" + raw(uint8_t{0}) + "}" + text_op("_val") + again + "sb";
  ckpt(node, "contains itself");
  ckpt(node + "0comegaconf.nodes\nAnyNode\n)\x81}" + text_op("_val") + again + "sb", "contains itself");
}

TEST_F(HostileFiles, Tensors) {
  const Members storage = {{"0", std::string(24, 'x')}};
  const auto tensor = [&](const std::string& pickle, const std::string& why) {
    refused("t.ckpt", checkpoint_of(pickle, storage), why);
  };
  tensor(tensor_pickle(6, 4, {3}, {1}), "beyond its storage");
  tensor(tensor_pickle(6, -1, {3}, {1}), "negative");
  tensor(tensor_pickle(6, int64_t{1} << 62, {1}, {1}), "beyond its storage");
  tensor(tensor_pickle(6, 0, {-2}, {1}), "negative");
  tensor(tensor_pickle(6, 0, {2, 3}, {1}), "dimensions");
  tensor(tensor_pickle(6, 0, std::vector<int32_t>(100, 1), std::vector<int32_t>(100, 1)), "too many dimensions");
  tensor(tensor_pickle(6, 0, {0x7fffffff, 0x7fffffff, 0x7fffffff}, {0, 0, 0}), "impossible size");
  tensor(tensor_pickle(0x7fffffff, 0, {0x7fffffff}, {1}), "another size");
  tensor(tensor_pickle(-6, 0, {1}, {1}), "impossible size");
  tensor(tensor_pickle(6, 0, {6}, {1}, "../../etc/passwd"), "missing");
  // A view that repeats six numbers is legal, however large it looks: it is shown, not made.
  const Result view =
      inspect(file("view.ckpt", checkpoint_of(tensor_pickle(6, 0, {0x7fffffff, 0x7fffffff}, {0, 0}), storage)));
  EXPECT_EQ(view.status, 0) << view.err;
  EXPECT_THAT(view.out, HasSubstr("2147483647"));
}

TEST_F(HostileFiles, ZipArchives) {
  const std::string good = checkpoint_of(pickle("}"));
  refused("z.ckpt", zip_of({{"archive/data.pkl", pickle("}")}, {"archive/../../evil", "x"}}), "outside");
  refused("z.ckpt", zip_of({{"archive/data.pkl", pickle("}")}, {"/etc/evil", "x"}}), "outside");
  refused("z.ckpt", zip_of({{"archive/data.pkl", pickle("}")}, {"archive/data.pkl", pickle("N")}}), "one name");
  refused("z.ckpt", zip_of({{"a/data.pkl", pickle("}")}, {"b/data.pkl", pickle("N")}}), "two checkpoints");
  refused("z.ckpt", zip_of({{"archive/version", "3"}}), "no data.pkl");
  refused("z.ckpt", zip_of({{"archive/data.pkl", pickle("}")}, {"archive/version", "99"}}), "newer");
  refused("z.ckpt", zip_of({{"archive/data.pkl", pickle("}")}, {"archive/byteorder", "middle"}}), "byte order");
  for (const size_t size : {good.size() - 1, good.size() / 2, size_t{40}, size_t{5}})
    refused("z.ckpt", good.substr(0, size), "z.ckpt");
  std::string counts = good;
  std::memset(counts.data() + counts.size() - 12, 0xff, 2);  // 65535 members
  refused("z.ckpt", counts, "directory");
  std::string flipped = checkpoint_of(tensor_pickle(6, 0, {6}, {1}), {{"0", "xxxxxxxxxxxxxxxxxxxxxxxx"}});
  flipped[flipped.find("xxxxxxxxxxxxxxxxxxxxxxxx") + 7] ^= 1;
  refused("z.ckpt", flipped, "checksum");
}

TEST_F(HostileFiles, NemoArchives) {
  const TarMember config{"./model_config.yaml", "target: a.B\n"};
  const auto nemo = [&](const std::vector<TarMember>& members, const std::string& why) {
    refused("m.nemo", tar_of(members), why);
  };
  for (const char* name : {"../evil", "/etc/evil", "a/../../evil", "./../evil", "a\\..\\evil"})
    nemo({config, {name, "x"}}, "outside");
  nemo({config, {"../evil/", "", '5'}}, "outside");
  nemo({config, {"link", "", '2', "/etc/passwd"}}, "link");
  nemo({config, {"link", "", '1', "model_config.yaml"}}, "link");
  nemo({config, {"pipe", "", '6'}}, "neither file nor folder");
  nemo({config, {"zero", "", '3'}}, "neither file nor folder");
  nemo({config, config}, "one name");
  nemo({config, {"a", "x"}, {"a/b", "y"}}, "file and a folder");
  nemo({config, {"model_weights.ckpt", "x", '0', {}, int64_t{1} << 32}}, "absurd");
  nemo({{"a.txt", "x"}}, "no model_config.yaml");
  refused("m.nemo", tar_of({config, {"a", std::string(5000, 'x')}}).substr(0, 3000), "not a readable .nemo");
  refused("m.nemo", tar_of(std::vector<TarMember>(1, config)).substr(0, 512), "m.nemo");
  std::vector<TarMember> many = {config};
  for (int i = 0; i < 21'000; ++i) many.push_back({std::to_string(i), ""});
  nemo(many, "too many members");
}

TEST_F(HostileFiles, Configs) {
  const auto config = [&](const std::string& yaml, const std::string& why) {
    refused("c.nemo", tar_of({{"model_config.yaml", yaml}, {"model_weights.ckpt", checkpoint_of(pickle("}"))}}), why);
  };
  std::string laughs = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string known = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + known + ", " + known + "]\n";
  }
  config(laughs, "aliases expand");
  config("a: " + times("[", 100'000), "nested deeper");
  config("a: &a [*a]\n", "inside what it names");
  config("a: !!python/object/apply:os.system [true]\n", "tag");
  config("a: \x01\n", "c.nemo");
  config(std::string("a: b\0c\n", 7), "c.nemo");
  // Large and flat is no crime, but must not take the square of its size.
  std::string flat, numbers;
  for (int i = 0; i < 40'000; ++i) {
    flat += "key" + std::to_string(i) + ": 1\n";
    numbers += std::to_string(i) + ": 1\n";
  }
  for (const std::string& yaml : {flat, numbers}) {
    const Result result = inspect(
        file("flat.nemo", tar_of({{"model_config.yaml", yaml}, {"model_weights.ckpt", checkpoint_of(pickle("}"))}})));
    EXPECT_EQ(result.status, 0) << result.err.substr(0, 500);
  }
}

TEST_F(HostileFiles, Safetensors) {
  const auto tensors = [&](const std::string& header, const std::string& data, const std::string& why) {
    refused("s.safetensors", safetensors_of(header, data), why);
  };
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"a": {"dtype": ")" + dtype + R"(", "shape": )" + shape + R"(, "data_offsets": )" + offsets + "}}";
  };
  tensors(one("F32", "[2]", "[0, 8]"), "1234", "outside the file");
  tensors(one("F32", "[2]", "[0, 4]"), "1234", "disagree");
  tensors(one("F32", "[9223372036854775807, 9223372036854775807]", "[0, 4]"), "1234", "larger than the file");
  tensors(one("F32", "[-1]", "[0, 4]"), "1234", "number");
  tensors(one("F32", "[1]", "[4, 0]"), "1234", "outside the file");
  tensors(one("F31", "[1]", "[0, 4]"), "1234", "unknown dtype");
  tensors(one("U8", "[3]", "[1, 4]"), "1234", "gaps");
  tensors(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}, "b": {"dtype": "U8", "shape": [3], )"
          R"("data_offsets": [1, 4]}})",
          "1234", "overlap");
  tensors(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}, "a": {"dtype": "U8", "shape": [4], )"
          R"("data_offsets": [0, 4]}})",
          "1234", "one name");
  tensors("{\"a\": " + times("[", 200'000) + "}", "", "JSON");
  tensors("{\"a\"", "", "JSON");
  const std::string header = "{}";
  refused("s.safetensors", raw(uint64_t{200 << 20}).substr(0, 6) + std::string(2, '\0') + header, "s.safetensors");
}

// The program has to say so even when there is no memory for what an honest file would need.
TEST_F(HostileFiles, MemoryThatEndsIsAnError) {
  std::string body = "}" + text_op("hyper_parameters") + "(";
  for (int i = 0; i < 400'000; ++i) body += "]";
  const std::string path = file("large.ckpt", checkpoint_of(pickle(body + "ls")));
  ASSERT_EQ(inspect(path, rlim_t{2} << 30).status, 0);
  for (const rlim_t megabytes : {64, 72, 80, 90, 100, 120}) {
    const Result result = inspect(path, megabytes << 20);
    EXPECT_TRUE(result.status == 65 || result.status == 0) << megabytes << " MB: " << result.status << "\n"
                                                           << result.err;
  }
}

// --- with libtorch: what it maps cannot be limited, what is used is measured -----------------------------------------

class HostileModels : public HostileFiles {
 protected:
  void SetUp() override {
    HostileFiles::SetUp();
    const Result trained = run(words("run", {"trainer.max_epochs=1", "++trainer.limit_train_batches=1"}));
    ASSERT_EQ(trained.status, 0) << trained.err;
    nemo_ = file_of("run", "quartznet.nemo");
    usual_ = transcribe(nemo_);
    ASSERT_EQ(usual_.status, 0) << usual_.err;
  }
  Result transcribe(const std::string& nemo) const {
    return run({fathom_program(), "transcribe", nemo, any_clip(), "--threads", "1"}, {}, [] {
      const rlimit seconds{2 * kSeconds, 2 * kSeconds};
      ::setrlimit(RLIMIT_CPU, &seconds);
    });
  }
  // The model with the first `from` in its config replaced, and `before` in front of it.
  std::string changed(const std::string& from, const std::string& to, const std::string& before = {}) const {
    const auto archive = checkpoint::NemoArchive::open(nemo_);
    std::vector<checkpoint::NemoMember> members;
    for (const auto& member : archive.members()) {
      std::string bytes(member.bytes);
      if (member.name == checkpoint::kNemoConfig) {
        const size_t at = bytes.find(from);
        EXPECT_NE(at, std::string::npos) << from << " is not in\n" << bytes;
        if (at != std::string::npos) bytes.replace(at, from.size(), to);
        bytes = before + bytes;
      }
      members.push_back(checkpoint::NemoMember::of_text(member.name, bytes));
    }
    const std::string path = folder_ + "/changed.nemo";
    checkpoint::write_nemo_archive(path, members);
    return path;
  }
  void expect_refused(const std::string& path, const std::vector<std::string>& parts) const {
    const Result result = transcribe(path);
    EXPECT_EQ(result.status, 65) << result.err;
    for (const auto& part : parts) EXPECT_THAT(result.err, HasSubstr(part));
    EXPECT_LT(result.peak_bytes, usual_.peak_bytes + (160 << 20)) << parts[0];
  }
  std::string nemo_;
  Result usual_;
};

TEST_F(HostileModels, ConfigsThatAskForTooMuch) {
  expect_refused(changed("repeat: 2\n", "repeat: 1000000000\n"), {"repeat: 1000000000", "model_config.yaml"});
  expect_refused(changed("filters: ", "filters: 1000000000"), {"filters: 1000000000"});
  expect_refused(changed("filters: ", "filters: 9000000000000000000 #"), {"model_config.yaml"});
  expect_refused(changed("stride:\n    - 2", "stride:\n    - 4611686018427387904"), {"stride"});
  expect_refused(changed("features: ", "features: 1000000000 #"), {"preprocessor.features", "1000000000"});
  expect_refused(changed("n_fft: ", "n_fft: 1000000000 #"), {"preprocessor.n_fft", "1000000000"});
  expect_refused(changed("window_size: ", "window_size: 1000000 #"), {"model_config.yaml"});
  expect_refused(changed("pad_to: ", "pad_to: 1000000000 #"), {"pad_to", "1000000000", "model_config.yaml"});
  expect_refused(changed("frame_splicing: ", "frame_splicing: 1000000000 #"), {"frame_splicing", "1000000000"});
  expect_refused(changed("dilation:\n    - 2", "dilation:\n    - 60000"), {"dilation", "60000", "65536"});
  expect_refused(changed("decoder:", "decoding: {temperature: 0.0}\ndecoder:"), {"decoding.temperature"});
  std::string doubling_text = "s0: aaaaaaaaaaaaaaaa\n", doubling_list = "s0: [a, a]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string known = "${s" + std::to_string(i - 1) + "}", name = "s" + std::to_string(i);
    doubling_text += name + ": \"" + times(known, 10) + "\"\n";
    doubling_list += name + ": [\"" + known + "\", \"" + known + "\"]\n";
  }
  expect_refused(changed("", "", doubling_text), {"interpolations expand"});
  expect_refused(changed("", "", doubling_list), {"interpolations expand"});
  expect_refused(changed("", "", "s: \"${multiply:[1],100000000}\"\n"), {"multiply"});
}

TEST_F(HostileModels, ConfigsThatFitNoModel) {
  expect_refused(changed("target: ", "target: os.system #"), {"os.system"});
  const Result unknown = transcribe(changed("target: ", "target: nemo.collections.tts.models.NoSuchModel #"));
  EXPECT_EQ(unknown.status, 69) << unknown.err;
  EXPECT_THAT(unknown.err, HasSubstr("NoSuchModel"));
  EXPECT_THAT(unknown.err, HasSubstr("plugin"));
  const Result other = transcribe(changed("filters: 64", "filters: 32"));
  EXPECT_EQ(other.status, 65) << other.err;
  EXPECT_THAT(other.err, HasSubstr("other shapes"));
  EXPECT_THAT(other.err, HasSubstr("include"));
}

}  // namespace
}  // namespace fathom::e2e
