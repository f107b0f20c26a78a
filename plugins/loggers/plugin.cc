#include "fathom/plugin.h"

#include "plugins/loggers/console_logger.h"
#include "plugins/loggers/csv_logger.h"
#include "plugins/loggers/jsonl_logger.h"
#include "plugins/loggers/mlflow_logger.h"
#include "plugins/loggers/tensorboard_logger.h"
#include "plugins/loggers/wandb_logger.h"

FATHOM_PLUGIN("loggers", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::loggers;
  r.add<ConsoleLogger>("console", "each row of metrics as a line of the program's log");
  r.add<CsvLogger>("csv", "metrics.csv: one row per logging call, one column per metric",
                   {"lightning.pytorch.loggers.CSVLogger", "pytorch_lightning.loggers.CSVLogger",
                    "lightning.pytorch.loggers.csv_logs.CSVLogger", "pytorch_lightning.loggers.csv_logs.CSVLogger"});
  r.add<JsonlLogger>("jsonl", "metrics.jsonl: one JSON object per logging call, one on a line");
  r.add<MlflowLogger>(
      "mlflow", "a run in MLflow's file store",
      {"lightning.pytorch.loggers.MLFlowLogger", "pytorch_lightning.loggers.MLFlowLogger",
       "lightning.pytorch.loggers.mlflow.MLFlowLogger", "pytorch_lightning.loggers.mlflow.MLFlowLogger"});
  r.add<TensorBoardLogger>(
      "tensorboard", "TensorBoard event files: scalars, texts, histograms, audio, images, and the config as text",
      {"lightning.pytorch.loggers.TensorBoardLogger", "pytorch_lightning.loggers.TensorBoardLogger",
       "lightning.pytorch.loggers.tensorboard.TensorBoardLogger",
       "pytorch_lightning.loggers.tensorboard.TensorBoardLogger"});
  r.add<WandbLogger>("wandb", "an offline run of Weights & Biases, for `wandb sync`",
                     {"lightning.pytorch.loggers.WandbLogger", "pytorch_lightning.loggers.WandbLogger",
                      "lightning.pytorch.loggers.wandb.WandbLogger", "pytorch_lightning.loggers.wandb.WandbLogger"});
}
