# Records what Lightning's callbacks do to a small model: python record.py > cases.jsonl (lightning 2.4.0, any torch 2).
import json
import logging
import warnings

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (Callback, DeviceStatsMonitor, GradientAccumulationScheduler,
                                         LearningRateMonitor, StochasticWeightAveraging)
from lightning.pytorch.loggers.logger import Logger

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
torch.set_num_threads(1)


class Net(pl.LightningModule):  # toy.Net of tests/toys/net_plugin.cc
    def __init__(self, batch_norm, optimizer, gamma):
        super().__init__()
        self.first = torch.nn.Linear(2, 3)
        if batch_norm:
            self.norm = torch.nn.BatchNorm1d(3)
        self.second = torch.nn.Linear(3, 1)
        self.batch_norm, self.optimizer, self.gamma = batch_norm, optimizer, gamma
        count = 0
        with torch.no_grad():
            for p in [self.first.weight, self.first.bias, self.second.weight, self.second.bias]:
                flat = p.view(-1)
                for k in range(flat.numel()):
                    flat[k] = ((count * 7) % 11 - 5) / 10
                    count += 1

    def loss(self, batch):
        x, y = batch
        hidden = self.first(x)
        if self.batch_norm:
            hidden = self.norm(hidden)
        return (self.second(torch.relu(hidden)) - y).square().mean()

    def training_step(self, batch, batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch), logger=False)

    def configure_optimizers(self):
        classes = {"sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), "adam": lambda p: torch.optim.Adam(p, lr=0.1)}
        optimizer = classes[self.optimizer](self.parameters())
        if self.gamma is None:
            return optimizer
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, self.gamma)
        return [optimizer], [{"scheduler": schedule, "interval": "epoch"}]


def data(count, offset):
    x = torch.tensor([[((i * 5 + offset) % 13) / 13, ((i * 3 + offset) % 7) / 7] for i in range(count)])
    return torch.utils.data.TensorDataset(x, x[:, :1] * 2 - x[:, 1:] + 0.5 * x[:, :1] * x[:, 1:])


class Record(Callback):
    def __init__(self):
        self.epochs = []

    def on_train_epoch_end(self, trainer, module):
        self.epochs.append({"epoch": trainer.current_epoch, "global_step": trainer.global_step,
                            "lr": trainer.optimizers[0].param_groups[0]["lr"],
                            "val_loss": trainer.callback_metrics["val_loss"].item()})


class Rows(Logger):
    name, version = "rows", 0

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append({"step": step, "row": metrics})

    def log_hyperparams(self, *args):
        pass


def case(name, callback, options, trainer, batch_norm=False, optimizer="sgd", gamma=None):
    given = dict(options)
    if "scheduling" in given:
        given["scheduling"] = {int(k): v for k, v in given["scheduling"].items()}
    record, rows, net = Record(), Rows(), Net(batch_norm, optimizer, gamma)
    run = pl.Trainer(accelerator="cpu", logger=rows, enable_checkpointing=False, enable_progress_bar=False,
                     enable_model_summary=False, num_sanity_val_steps=0, callbacks=[callback(**given), record], **trainer)
    run.fit(net, torch.utils.data.DataLoader(data(22, 0), 4), torch.utils.data.DataLoader(data(6, 1), 3))
    known = [r for r in rows.rows if any(k.startswith(("lr-", "DeviceStats")) for k in r["row"])]
    if callback is DeviceStatsMonitor:
        for row in known:
            row["row"] = {k: 0 for k in row["row"]}
    print(json.dumps({"name": name, "callback": callback.__name__, "options": options, "trainer": trainer,
                      "batch_norm": batch_norm, "optimizer": optimizer, "gamma": gamma, "epochs": record.epochs,
                      "rows": known, "epoch": run.current_epoch, "global_step": run.global_step,
                      "weights": {k: v.flatten().tolist() for k, v in net.state_dict().items()}}))


def main():
    swa, monitor = StochasticWeightAveraging, LearningRateMonitor
    case("swa_plain", swa, {"swa_lrs": 0.05, "swa_epoch_start": 0.5}, {"max_epochs": 8}, gamma=0.9)
    case("swa_batch_norm", swa, {"swa_lrs": 0.05, "swa_epoch_start": 0.5}, {"max_epochs": 8}, True, gamma=0.9)
    case("swa_linear_from_third", swa,
         {"swa_lrs": 0.02, "swa_epoch_start": 3, "annealing_epochs": 2, "annealing_strategy": "linear"},
         {"max_epochs": 6, "accumulate_grad_batches": 4}, True)
    case("swa_adam", swa, {"swa_lrs": 0.02, "swa_epoch_start": 0.75, "annealing_strategy": "linear"}, {"max_epochs": 5},
         optimizer="adam")
    case("swa_at_once", swa, {"swa_lrs": 0.2, "swa_epoch_start": 1, "annealing_epochs": 0},
         {"max_epochs": 4, "accumulate_grad_batches": 2}, gamma=0.9)
    case("swa_of_one_epoch", swa, {"swa_lrs": [0.01], "swa_epoch_start": 1.0}, {"max_epochs": 3}, True)
    case("swa_not_reached", swa, {"swa_lrs": 0.05, "swa_epoch_start": 2}, {"max_epochs": 8, "max_steps": 20}, True)
    case("accumulation", GradientAccumulationScheduler, {"scheduling": {"1": 4, "3": 2}}, {"max_epochs": 5}, gamma=0.9)
    case("rates_null", monitor, {"log_momentum": True, "log_weight_decay": True}, {"max_epochs": 2, "log_every_n_steps": 4}, gamma=0.9)
    case("rates_null_no_schedule", monitor, {}, {"max_epochs": 2, "log_every_n_steps": 4}, optimizer="adam")
    case("rates_step", monitor, {"logging_interval": "step", "log_momentum": True},
         {"max_epochs": 2, "log_every_n_steps": 2, "accumulate_grad_batches": 2}, optimizer="adam", gamma=0.9)
    case("rates_epoch", monitor, {"logging_interval": "epoch"}, {"max_epochs": 3}, gamma=0.9)
    case("device_stats", DeviceStatsMonitor, {}, {"max_epochs": 2, "log_every_n_steps": 2})


if __name__ == "__main__":
    main()
