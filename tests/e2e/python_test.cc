// What we write, read by the real Python: skipped where FATHOM_PYTHON (default python3) has no torch.
#include <cmath>

#include "tests/e2e/training.h"

namespace fathom::e2e {
namespace {

class Python : public TrainingTest {
 protected:
  static std::string python() {
    const char* chosen = std::getenv("FATHOM_PYTHON");
    return chosen != nullptr && *chosen != '\0' ? chosen : "python3";
  }
};

TEST_F(Python, ReadsOurCheckpointAndOurNemoFile) {
  if (run({python(), "-c", "import torch"}).status != 0)
    GTEST_SKIP() << python() << " has no torch; set FATHOM_PYTHON to one that has";
  ASSERT_EQ(run(words("run", {"trainer.max_epochs=1"})).status, 0);
  const std::string script = R"(
import glob, io, sys, tarfile, torch
folder = sys.argv[1]
checkpoints = glob.glob(folder + "/*.ckpt")
assert checkpoints, "no .ckpt"
for path in checkpoints:
    checkpoint = torch.load(path, weights_only=True)
    for key in ("epoch", "global_step", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers", "hyper_parameters", "pytorch-lightning_version"):
        assert key in checkpoint, key
    state = checkpoint["optimizer_states"][0]
    assert set(state) == {"state", "param_groups"} and "exp_avg" in state["state"][0]
nemo, = glob.glob(folder + "/*.nemo")
with tarfile.open(nemo, "r:") as archive:
    names = archive.getnames()
    assert "./model_config.yaml" in names and "./model_weights.ckpt" in names, names
    weights = torch.load(io.BytesIO(archive.extractfile("./model_weights.ckpt").read()), weights_only=True)
assert type(weights).__name__ == "OrderedDict" and "decoder.decoder_layers.0.weight" in weights
print(len(weights), "tensors")
)";
  const Result result = run({python(), "-c", script, folder_ + "/run/checkpoints"});
  EXPECT_EQ(result.status, 0) << result.err;
}

// NeMo keeps the average in the twin alone. Our files without our own entry are what it writes.
TEST_F(Python, ResumesAnAveragedRunFromNemosPairOfFiles) {
  if (run({python(), "-c", "import torch"}).status != 0)
    GTEST_SKIP() << python() << " has no torch; set FATHOM_PYTHON to one that has";
  const std::vector<std::string> averaging = {"trainer.max_epochs=1", "++exp_manager.ema.enable=true",
                                              "++exp_manager.ema.decay=0.5"};
  ASSERT_EQ(run(words("run", averaging)).status, 0);
  const std::string script = R"(
import glob, sys, torch
twin, = glob.glob(sys.argv[1] + "/*-last-EMA.ckpt")
main = twin.replace("-EMA", "")
weights, averages = torch.load(main, weights_only=True), torch.load(twin, weights_only=True)
state = averages["optimizer_states"][0]
assert set(state) == {"opt", "ema", "current_step", "decay", "every_n_steps"}, state.keys()
assert state["current_step"] == 12 and state["decay"] == 0.5
names = [n for n in averages["state_dict"] if "running" not in n and "num_batches" not in n and "preprocessor" not in n]
assert len(state["ema"]) == len(names), (len(state["ema"]), len(names))
assert all(torch.equal(a, averages["state_dict"][n]) for a, n in zip(state["ema"], names))
assert any(not torch.equal(weights["state_dict"][n], averages["state_dict"][n]) for n in names)
# Averages that a run could not have come to by itself show where they were read from.
state["ema"] = tuple(a + 1000 for a in state["ema"])
for path, file in ((main, weights), (twin, averages)):
    del file["fathom"]
    torch.save(file, path)
print(main)
)";
  const Result result = run({python(), "-c", script, folder_ + "/run/checkpoints"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::string checkpoint = result.out.substr(0, result.out.find('\n'));

  std::vector<std::string> again = averaging;
  again[0] = "trainer.max_epochs=2";
  again.push_back("++exp_manager.resume_from_checkpoint='" + checkpoint + "'");
  const Result resumed = run(words("again", again));
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("written by Lightning"), std::string::npos) << resumed.err;
  // 12 more steps at decay 0.5 leave 1000 / 4096 of what was added.
  const auto weights = final_weights("again"), averages = final_weights("again", "-EMA.nemo");
  double largest = 0;
  for (const auto& [name, bytes] : weights) {
    if (!name.ends_with("decoder_layers.0.bias")) continue;
    const auto* a = reinterpret_cast<const float*>(averages.at(name).data());
    const auto* w = reinterpret_cast<const float*>(bytes.data());
    for (size_t i = 0; i < bytes.size() / sizeof(float); ++i)
      largest = std::max(largest, std::abs(double{a[i]} - w[i]));
  }
  EXPECT_NEAR(largest, 1000.0 / 4096, 0.05);

  // Lightning's own ModelCheckpoint has no twin: NeMo's EMA leaves the average in the optimizer's state.
  const std::string twin = checkpoint.substr(0, checkpoint.size() - 5) + "-EMA.ckpt";
  const std::string wrap =
      "import sys, torch\n"
      "file, twin = (torch.load(path, weights_only=True) for path in sys.argv[1:3])\n"
      "file['optimizer_states'] = twin['optimizer_states']\n"
      "torch.save(file, sys.argv[3])\n";
  const std::string wrapped = folder_ + "/wrapped.ckpt";
  ASSERT_EQ(run({python(), "-c", wrap, checkpoint, twin, wrapped}).status, 0);
  std::vector<std::string> alone = again;
  alone.back() = "++exp_manager.resume_from_checkpoint='" + wrapped + "'";
  ASSERT_EQ(run(words("alone", alone)).status, 0);
  EXPECT_TRUE(final_weights("alone", "-EMA.nemo") == averages);

  fs::remove(twin);
  const Result missing = run(words("missing", again));
  EXPECT_EQ(missing.status, 66) << missing.err;
  EXPECT_NE(missing.err.find("-EMA.ckpt"), std::string::npos) << missing.err;
}

}  // namespace
}  // namespace fathom::e2e
