// The .wandb file of a W&B run: a header, then records in LevelDB's log format (blocks of 32 KiB; each piece has the
// CRC-32 of its type and data, the data's length and the type), each a protobuf Record of W&B's schema. Only the
// records and fields that a run of ours has are written. Sources: wandb/proto/wandb_internal.proto, LevelDB's
// log_format.md; W&B's checksum is not masked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom::loggers {

// Key and value as JSON text (which has NaN and Infinity here).
using WandbItem = std::pair<std::string, std::string>;

struct WandbRun {
  std::string id, project, entity, group, job_type, name, notes, host;
  std::vector<std::string> tags;
  std::vector<WandbItem> config;
  double started = 0;  // seconds since 1970
};

// Each gives the content of one record; `number` counts the records of a file from 1.
std::string wandb_header_record(int64_t number, const std::string& producer);
std::string wandb_run_record(int64_t number, const WandbRun& run);
std::string wandb_config_record(int64_t number, const std::vector<WandbItem>& items);
// The x-axis of every metric ("*"), or, with no name of an axis, a metric by its own name.
std::string wandb_metric_record(int64_t number, const std::string& name, const std::string& axis);
std::string wandb_history_record(int64_t number, const std::vector<WandbItem>& items, int64_t step);
std::string wandb_summary_record(int64_t number, const std::vector<WandbItem>& items);
std::string wandb_exit_record(int64_t number, int32_t exit_code, int32_t seconds);

// What a file begins with.
std::string wandb_file_head();
// The record in pieces, as it goes into a file that has `position` bytes.
std::string wandb_pieces(std::string_view record, int64_t position);
// Bytes of the whole, valid records at the start of a file, which a writer that was killed may be continued after; -1
// for a file that is none of W&B's. `records`: receives their contents, if given.
int64_t wandb_valid_prefix(std::string_view bytes, std::vector<std::string>* records = nullptr);

}  // namespace fathom::loggers
