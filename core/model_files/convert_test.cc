#include "core/model_files/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/archive/inspect.h"
#include "core/archive/safetensors.h"
#include "core/base/file.h"
#include "core/model_files/compare.h"
#include "core/model_files/test_models.h"
#include "fathom/error.h"
#include "tests/support/python_check.h"

namespace fathom::model_files {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kConfig =
    "target: a.Parent\nnemo_version: 1.23.0\nvocab: nemo:11_vocab.txt\nsize: 4\nchild:\n  target: a.Child\n"
    "  nemo_version: 1.23.0\n  size: ${size}\n  table: nemo:22_table.txt\n";

class ConvertTest : public ModelFilesTest {
 protected:
  ConvertTest() { write_test_nemo(at("m.nemo"), kConfig, state(), {{"11_vocab.txt", "a\n"}, {"22_table.txt", "b\n"}}); }
  static TestState state() {
    return {{"proj.weight", floats({2, 2}, {1, 2, 3, 4})},
            {"proj.bias", floats({2}, {5, 6})},
            {"child.w.weight", floats({1, 2}, {7, 8})}};
  }
  Json differences(const std::string& a, const std::string& b) const { return compare_model_files(at(a), at(b)); }
  template <typename F>
  void expect_error(Code code, const std::string& part, F&& act) {
    try {
      act();
      FAIL() << "no error with " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }
};

TEST_F(ConvertTest, ThereAndBack) {
  for (const char* name : {"x.safetensors", "x.ckpt", "x.pt"}) {
    const Converted there = convert_model_file(at("m.nemo"), at(name));
    EXPECT_EQ(there.tensors, 3u);
    EXPECT_EQ(there.bytes, 32u);
    EXPECT_EQ(differences("m.nemo", name)["equal"], true) << comparison_text(differences("m.nemo", name));
    ConvertOptions like;
    like.like = at("m.nemo");
    like.replace = true;
    const Converted back = convert_model_file(at(name), at("back.nemo"), like);
    EXPECT_THAT(back.artifacts, testing::UnorderedElementsAre("11_vocab.txt", "22_table.txt"));
    const Json whole = differences("m.nemo", "back.nemo");
    // Interpolations are resolved, as NeMo's save_to does.
    ASSERT_EQ(whole["config"]["differences"].size(), 1u) << comparison_text(whole);
    EXPECT_EQ(whole["config"]["differences"][0]["b"], 4);
    EXPECT_TRUE(whole["tensors"]["differences"].empty());
  }
  const auto inspection = checkpoint::inspect_file(at("x.safetensors"));
  EXPECT_EQ(inspection.target, "a.Parent");
  EXPECT_EQ(inspection.metadata.at("format"), "pt");
  ASSERT_EQ(inspection.models.size(), 1u);
  EXPECT_EQ(inspection.models[0].key, "child");
  const auto run = checkpoint::inspect_file(at("x.ckpt"));
  EXPECT_EQ(run.format, "lightning");
  EXPECT_EQ(run.target, "a.Parent");
  EXPECT_EQ(checkpoint::inspect_file(at("x.pt")).format, "torch");
}

TEST_F(ConvertTest, EqualInputGivesEqualBytes) {
  for (const char* suffix : {".nemo", ".ckpt", ".pt", ".safetensors"}) {
    const std::string one = at(std::string("one") + suffix), two = at(std::string("two") + suffix);
    convert_model_file(at("m.nemo"), one);
    convert_model_file(at("m.nemo"), two);
    EXPECT_EQ(read_file(one), read_file(two)) << suffix;
  }
}

TEST_F(ConvertTest, WeightsAloneNeedAConfig) {
  convert_model_file(at("m.nemo"), at("w.pt"));
  expect_error(Code::kUsage, "--like", [&] { convert_model_file(at("w.pt"), at("o.nemo")); });
  ConvertOptions options;
  options.config = at("config.yaml");
  write("config.yaml", "name: x\nsize: 4\nmodel:\n  _target_: some.Model\n  vocab: nemo:v.txt\n  n: ${size}\n");
  expect_error(Code::kBadData, "nemo:v.txt", [&] { convert_model_file(at("w.pt"), at("o.nemo"), options); });
  EXPECT_FALSE(fs::exists(at("o.nemo")));
  write("v.txt", "words\n");
  const Converted done = convert_model_file(at("w.pt"), at("o.nemo"), options);
  EXPECT_THAT(done.artifacts, testing::ElementsAre("v.txt"));
  const auto inspection = checkpoint::inspect_file(at("o.nemo"));
  EXPECT_EQ(inspection.target, "some.Model");
  EXPECT_EQ(inspection.nemo_version, "3.0.0");
  EXPECT_EQ(inspection.config["n"], 4);
  EXPECT_FALSE(inspection.config.contains("_target_"));
  write("config.yaml", "a: 1\n");
  options.replace = true;
  expect_error(Code::kBadData, "`target`", [&] { convert_model_file(at("w.pt"), at("o.nemo"), options); });
}

TEST_F(ConvertTest, WeightsOfAnotherModelAreRefused) {
  write_test_pickle(at("w.pt"), test_state({{"proj.weight", floats({3}, {1, 2, 3})}, {"other", floats({1}, {1})}}));
  ConvertOptions options;
  options.like = at("m.nemo");
  expect_error(Code::kBadData, "proj.weight: [3] is [2, 2] there; only in the input: other; not in the input: ", [&] {
    convert_model_file(at("w.pt"), at("o.nemo"), options);
  });
}

TEST_F(ConvertTest, OneModule) {
  ConvertOptions options;
  options.module = "child";
  convert_model_file(at("m.nemo"), at("child.nemo"), options);
  const auto inspection = checkpoint::inspect_file(at("child.nemo"));
  EXPECT_EQ(inspection.target, "a.Child");
  EXPECT_EQ(inspection.config["size"], 4);
  ASSERT_EQ(inspection.artifacts.size(), 1u);
  EXPECT_EQ(inspection.artifacts[0].key, "table");
  ASSERT_EQ(inspection.tensors.size(), 1u);
  EXPECT_EQ(inspection.tensors[0].name, "w.weight");
  options.module = "proj";
  expect_error(Code::kBadData, "no model of its own", [&] { convert_model_file(at("m.nemo"), at("p.nemo"), options); });
  convert_model_file(at("m.nemo"), at("p.safetensors"), options);
  EXPECT_EQ(checkpoint::read_safetensors(at("p.safetensors")).tensors.size(), 2u);
  options.module = "prj";
  expect_error(Code::kBadData, "did you mean: proj", [&] { convert_model_file(at("m.nemo"), at("q.pt"), options); });
}

TEST_F(ConvertTest, SplitByModule) {
  const auto files = split_by_module(at("m.nemo"), at("parts"));
  EXPECT_THAT(files, testing::ElementsAre(at("parts") + "/child.ckpt", at("parts") + "/proj.ckpt"));
  const auto inspection = checkpoint::inspect_file(files[1]);
  ASSERT_EQ(inspection.tensors.size(), 2u);
  EXPECT_EQ(inspection.tensors[0].name, "weight");
  expect_error(Code::kCantCreate, "already", [&] { split_by_module(at("m.nemo"), at("parts")); });
}

TEST_F(ConvertTest, StridedAndTiedTensors) {
  checkpoint::PickleTensor turned = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  turned.sizes = {2, 3};
  turned.strides = {1, 2};
  checkpoint::PickleTensor slice = turned;  // of the same memory
  slice.sizes = {2};
  slice.strides = {1};
  slice.offset = 4;
  write_test_pickle(at("t.pt"), test_state({{"turned", turned}, {"slice", slice}}));
  convert_model_file(at("t.pt"), at("t.safetensors"));
  EXPECT_EQ(differences("t.pt", "t.safetensors")["equal"], true);
  const auto file = checkpoint::read_safetensors(at("t.safetensors"));
  EXPECT_TRUE(file.find("turned")->is_contiguous());
  convert_model_file(at("t.pt"), at("again.pt"));
  const auto again = checkpoint::read_pickle_file(at("again.pt"));
  EXPECT_EQ(again.storages.size(), 1u) << "tied tensors stay tied";
}

TEST_F(ConvertTest, RefusalsNameTheWay) {
  expect_error(Code::kUsage, "did you mean: .nemo", [&] { convert_model_file(at("m.nemo"), at("x.nem")); });
  expect_error(Code::kNoInput, "none.nemo", [&] { convert_model_file(at("none.nemo"), at("x.pt")); });
  write("x.pt", "");
  expect_error(Code::kCantCreate, "--force", [&] { convert_model_file(at("m.nemo"), at("x.pt")); });
  write("text.nemo", "no archive");
  expect_error(Code::kBadData, "text.nemo", [&] { convert_model_file(at("text.nemo"), at("y.pt")); });
  expect_error(Code::kCantCreate, "nowhere", [&] { convert_model_file(at("m.nemo"), at("nowhere/y.pt")); });
}

TEST_F(ConvertTest, AnUnpackedArchive) {
  convert_model_file(at("m.nemo"), at("folder/"));
  EXPECT_EQ(read_file(at("folder/11_vocab.txt")), "a\n");
  EXPECT_EQ(checkpoint::inspect_file(at("folder")).format, "nemo-folder");
  convert_model_file(at("m.nemo"), at("packed.nemo"));
  EXPECT_EQ(differences("packed.nemo", "folder")["equal"], true);
  convert_model_file(at("folder"), at("again.nemo"));
  EXPECT_EQ(read_file(at("again.nemo")).size(), read_file(at("packed.nemo")).size());
  expect_error(Code::kCantCreate, "folder", [&] { convert_model_file(at("m.nemo"), at("folder/")); });
}

// What torch.load(weights_only=True) allows of a pickle, without torch.
TEST_F(ConvertTest, AnUnpicklerThatAllowsNoMoreThanTorchsReadsIt) {
  if (!python_has(folder_, "zipfile")) GTEST_SKIP() << "no " << python_program();
  for (const char* name : {"x.ckpt", "x.pt"}) convert_model_file(at("m.nemo"), at(name));
  split_by_module(at("m.nemo"), at("parts"));
  const PythonResult result = run_python(folder_, "folder = '" + folder_.string() + R"('
import collections, io, os, pickle, struct, zipfile
class Storage:
    def __init__(self, name): self.name = name
def rebuild(storage, offset, size, stride, requires_grad, hooks):
    assert not requires_grad and not hooks
    return storage, offset, tuple(size), tuple(stride)
allowed = {('collections', 'OrderedDict'): collections.OrderedDict,
           ('torch._utils', '_rebuild_tensor_v2'): rebuild, ('torch', 'FloatStorage'): Storage('FloatStorage')}
def load(name):
    archive = zipfile.ZipFile(os.path.join(folder, name))
    assert archive.testzip() is None
    root = archive.namelist()[0].split('/')[0]
    class Reader(pickle.Unpickler):
        def find_class(self, module, name): return allowed[module, name]
        def persistent_load(self, id):
            kind, storage, key, place, count = id
            assert (kind, storage.name, place) == ('storage', 'FloatStorage', 'cpu'), id
            data = archive.read(f'{root}/data/{key}')
            assert len(data) == 4 * count
            return struct.unpack(f'<{count}f', data)
    return Reader(io.BytesIO(archive.read(root + '/data.pkl'))).load()
checkpoint, state = load('x.ckpt'), load('x.pt')
assert checkpoint['pytorch-lightning_version'] and checkpoint['epoch'] == 0
assert checkpoint['hyper_parameters']['cfg']['child']['target'] == 'a.Child'
for given in (state, checkpoint['state_dict']):
    assert type(given) is collections.OrderedDict and list(given) == ['proj.weight', 'proj.bias', 'child.w.weight']
    assert given['proj.weight'] == ((1, 2, 3, 4), 0, (2, 2), (2, 1)), given['proj.weight']
assert load('parts/proj.ckpt')['bias'] == ((5, 6), 0, (2,), (1,))
)");
  EXPECT_EQ(result.status, 0) << result.errors;
}

TEST_F(ConvertTest, TorchReadsWhatIsWritten) {
  if (!python_has(folder_, "torch")) GTEST_SKIP() << python_program() << " has no torch; set FATHOM_PYTHON";
  for (const char* name : {"x.ckpt", "x.pt"}) convert_model_file(at("m.nemo"), at(name));
  split_by_module(at("m.nemo"), at("parts"));
  const PythonResult result = run_python(folder_, "import torch\nfolder = '" + folder_.string() + R"('
import os
at = lambda name: os.path.join(folder, name)
checkpoint = torch.load(at('x.ckpt'), weights_only=True)
assert checkpoint['hyper_parameters']['cfg']['target'] == 'a.Parent'
state = torch.load(at('x.pt'), weights_only=True)
assert type(state).__name__ == 'OrderedDict'
for given in (state, checkpoint['state_dict']):
    assert list(given) == ['proj.weight', 'proj.bias', 'child.w.weight'], list(given)
    assert given['proj.weight'].tolist() == [[1, 2], [3, 4]]
part = torch.load(at('parts/proj.ckpt'), weights_only=True)
assert part['bias'].tolist() == [5, 6]
)");
  EXPECT_EQ(result.status, 0) << result.errors;
}

TEST_F(ConvertTest, SafetensorsReadsWhatIsWritten) {
  if (!python_has(folder_, "safetensors.numpy")) GTEST_SKIP() << python_program() << " has no safetensors with numpy";
  convert_model_file(at("m.nemo"), at("x.safetensors"));
  const PythonResult result =
      run_python(folder_, "from safetensors import safe_open\nfile = safe_open('" + at("x.safetensors") + R"(', 'np')
assert 'target: a.Parent' in file.metadata()['model_config.yaml']
assert file.get_tensor('proj.weight').tolist() == [[1, 2], [3, 4]]
)");
  EXPECT_EQ(result.status, 0) << result.errors;
}

// What NeMo wrote, taken apart and put together again.
TEST_F(ConvertTest, RecordedArchives) {
  const fs::path models = fs::path(FATHOM_SOURCE_DIR).parent_path() / "shared" / "golden" / "nemo_models";
  const fs::path nested = models / "archives" / "nested";
  if (!fs::exists(nested)) GTEST_SKIP() << "no recordings at " << nested;
  ConvertOptions options;
  options.module = "child1";
  for (const char* name : {"nested.nemo", "nested_gz.nemo", "nested_nodot.nemo", "nested_resaved.nemo"}) {
    const std::string from = nested / name;
    EXPECT_EQ(compare_model_files(from, nested / "nested.nemo")["equal"], true) << name;
    options.replace = true;
    convert_model_file(from, at("child.nemo"), options);
    const Json found = compare_model_files(at("child.nemo"), nested / "child1_from_restored.nemo");
    EXPECT_EQ(found["equal"], true) << comparison_text(found);
    fs::remove_all(at("parts"));
    std::vector<std::string> parts;
    for (const auto& file : split_by_module(from, at("parts"))) parts.push_back(fs::path(file).filename());
    EXPECT_THAT(parts, testing::ElementsAre("child1.ckpt", "child2.ckpt", "proj.ckpt"));
  }
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(models / "models")) {
    const std::string name = entry.path().filename(), from = entry.path() / (name + ".nemo");
    if (!fs::exists(from)) continue;
    convert_model_file(from, at(name + ".safetensors"));
    EXPECT_EQ(compare_model_files(from, at(name + ".safetensors"))["equal"], true) << name;
    options = {};
    options.like = from;
    convert_model_file(at(name + ".safetensors"), at(name + ".nemo"), options);
    const Json found = compare_model_files(from, at(name + ".nemo"));
    EXPECT_EQ(found["equal"], true) << name << "\n" << comparison_text(found);
    fs::remove(at(name + ".safetensors"));
    fs::remove(at(name + ".nemo"));
    ++count;
  }
  EXPECT_GT(count, 0u);
}

}  // namespace
}  // namespace fathom::model_files
