#include "core/hydra/builtin_configs.h"

namespace fathom::config {
namespace {

constexpr BuiltinConfig kConfigs[] = {
    // The list decides the order of keys in the hydra section.
    {"hydra/config.yaml", R"(
defaults:
- output: default
- launcher: basic
- sweeper: basic
- help: default
- hydra_help: default
- hydra_logging: default
- job_logging: default
- callbacks: null
- env: default
)"},
    {"hydra/output/default.yaml", R"(# @package hydra
run:
  dir: outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}
sweep:
  dir: multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}
  subdir: ${hydra.job.num}
)"},
    {"hydra/launcher/basic.yaml", R"(
_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher
)"},
    {"hydra/sweeper/basic.yaml", R"(
_target_: hydra._internal.core_plugins.basic_sweeper.BasicSweeper
max_batch_size: null
params: null
)"},
    {"hydra/env/default.yaml", "{}\n"},
    {"hydra/callbacks/default.yaml", "{}\n"},
    {"hydra/help/default.yaml", R"(
app_name: ${hydra.job.name}
header: |
  ${hydra.help.app_name} is powered by Hydra.
footer: |
  Powered by Hydra (https://hydra.cc)
  Use --hydra-help to view Hydra specific help
template: |
  ${hydra.help.header}
  == Configuration groups ==
  Compose your configuration from those groups (group=option)

  $APP_CONFIG_GROUPS

  == Config ==
  Override anything in the config (foo.bar=value)

  $CONFIG

  ${hydra.help.footer}
)"},
    {"hydra/hydra_help/default.yaml", R"(
template: |
  Hydra (${hydra.runtime.version})
  See https://hydra.cc for more info.

  == Flags ==
  $FLAGS_HELP

  == Configuration groups ==
  Compose your configuration from those groups (For example, append hydra/job_logging=disabled to command line)

  $HYDRA_CONFIG_GROUPS

  Use '--cfg hydra' to Show the Hydra config.
hydra_help: ???
)"},
    {"hydra/hydra_logging/default.yaml", R"(
version: 1
formatters:
  simple:
    format: '[%(asctime)s][HYDRA] %(message)s'
handlers:
  console:
    class: logging.StreamHandler
    formatter: simple
    stream: ext://sys.stdout
root:
  level: INFO
  handlers: [console]
loggers:
  logging_example:
    level: DEBUG
disable_existing_loggers: false
)"},
    {"hydra/hydra_logging/hydra_debug.yaml", R"(
version: 1
formatters:
  simple:
    format: '[%(asctime)s][HYDRA] %(message)s'
handlers:
  console:
    class: logging.StreamHandler
    formatter: simple
    stream: ext://sys.stdout
root:
  level: DEBUG
  handlers: [console]
disable_existing_loggers: false
)"},
    {"hydra/hydra_logging/disabled.yaml", R"(
version: 1
root:
  level: ERROR
disable_existing_loggers: false
)"},
    {"hydra/hydra_logging/none.yaml", R"(
root: null
)"},
    {"hydra/job_logging/default.yaml", R"(
version: 1
formatters:
  simple:
    format: '[%(asctime)s][%(name)s][%(levelname)s] - %(message)s'
handlers:
  console:
    class: logging.StreamHandler
    formatter: simple
    stream: ext://sys.stdout
  file:
    class: logging.FileHandler
    formatter: simple
    filename: ${hydra.runtime.output_dir}/${hydra.job.name}.log
root:
  level: INFO
  handlers: [console, file]
disable_existing_loggers: false
)"},
    {"hydra/job_logging/stdout.yaml", R"(
version: 1
formatters:
  simple:
    format: '%(message)s'
handlers:
  console:
    class: logging.StreamHandler
    formatter: simple
    stream: ext://sys.stdout
root:
  level: INFO
  handlers: [console]
disable_existing_loggers: false
)"},
    {"hydra/job_logging/disabled.yaml", R"(
version: 1
root:
  level: ERROR
disable_existing_loggers: false
)"},
    {"hydra/job_logging/none.yaml", R"(
root: null
)"},
};

}  // namespace

std::span<const BuiltinConfig> builtin_configs() { return kConfigs; }

}  // namespace fathom::config
