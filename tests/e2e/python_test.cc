// What we write, read by the real Python: skipped where FATHOM_PYTHON (default python3) has no torch.
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

}  // namespace
}  // namespace fathom::e2e
