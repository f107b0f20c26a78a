# Lightning goes on from a checkpoint of a run of ours whose weights are being averaged, and prints where it comes to:
# python resume.py FILE.ckpt (lightning 2.4 or later).
import json
import sys

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import StochasticWeightAveraging
from record import Net, data

net = Net(True, "sgd", 0.9)
run = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                 enable_model_summary=False, num_sanity_val_steps=0, max_epochs=8,
                 callbacks=[StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=0.5)])
run.fit(net, torch.utils.data.DataLoader(data(22, 0), 4), torch.utils.data.DataLoader(data(6, 1), 3),
        ckpt_path=sys.argv[1])
print(json.dumps({"epoch": run.current_epoch, "global_step": run.global_step,
                  "weights": {k: v.flatten().tolist() for k, v in net.state_dict().items()}}))
