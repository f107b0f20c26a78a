#include "fathom/plugin.h"

#include "plugins/loggers/csv_logger.h"
#include "plugins/loggers/tensorboard_logger.h"

FATHOM_PLUGIN("loggers", "0.1.0", "Apache-2.0", "fathom", "") {
  using namespace fathom::loggers;
  r.add<CsvLogger>("csv", "metrics.csv: one row per logging call, one column per metric",
                   {"lightning.pytorch.loggers.CSVLogger", "pytorch_lightning.loggers.CSVLogger",
                    "lightning.pytorch.loggers.csv_logs.CSVLogger", "pytorch_lightning.loggers.csv_logs.CSVLogger"});
  r.add<TensorBoardLogger>(
      "tensorboard", "TensorBoard event files: scalars, and the config as text",
      {"lightning.pytorch.loggers.TensorBoardLogger", "pytorch_lightning.loggers.TensorBoardLogger",
       "lightning.pytorch.loggers.tensorboard.TensorBoardLogger",
       "pytorch_lightning.loggers.tensorboard.TensorBoardLogger"});
}
