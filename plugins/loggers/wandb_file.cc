#include "plugins/loggers/wandb_file.h"

#include <cmath>

#include "plugins/loggers/checksum.h"
#include "plugins/loggers/protobuf.h"

namespace fathom::loggers {
namespace {

constexpr std::string_view kFileHead("\x3aW&B\xe1\xbe\x00", 7);
constexpr size_t kBlock = 32768, kPieceHead = 7;
enum Piece : uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

// Fields of Record's choice of contents.
enum Content : uint32_t { kHistory = 2, kSummary = 3, kConfig = 5, kMetric = 12, kRun = 17, kExit = 18, kHeader = 21 };

std::string wandb_record(int64_t number, Content content, std::string_view message) {
  std::string out;
  protobuf::add_number(out, 1, number);
  protobuf::add_bytes(out, content, message);
  return out;
}

void add_text(std::string& out, uint32_t field, std::string_view text) {
  if (!text.empty()) protobuf::add_bytes(out, field, text);
}

// `key_field`: 1 for a key, 2 for one that is taken as it is, dots included.
void add_items(std::string& out, const std::vector<WandbItem>& items, uint32_t key_field) {
  std::string item;
  for (const auto& [key, value] : items) {
    item.clear();
    protobuf::add_bytes(item, key_field, key);
    protobuf::add_bytes(item, 16, value);
    protobuf::add_bytes(out, 1, item);
  }
}

std::string crc_of_piece(Piece type, std::string_view data) {
  std::string checked(1, static_cast<char>(type));
  checked += data;
  std::string out;
  append_raw(out, crc32(checked));
  return out;
}

}  // namespace

std::string wandb_header_record(int64_t number, const std::string& producer) {
  std::string version, header;
  protobuf::add_bytes(version, 1, producer);
  protobuf::add_bytes(header, 1, version);
  return wandb_record(number, kHeader, header);
}

std::string wandb_run_record(int64_t number, const WandbRun& run) {
  std::string message, config, time;
  add_text(message, 1, run.id);
  add_text(message, 2, run.entity);
  add_text(message, 3, run.project);
  add_items(config, run.config, 1);
  protobuf::add_bytes(message, 4, config);
  add_text(message, 6, run.group);
  add_text(message, 7, run.job_type);
  add_text(message, 8, run.name);
  add_text(message, 9, run.notes);
  for (const auto& tag : run.tags) protobuf::add_bytes(message, 10, tag);
  add_text(message, 13, run.host);
  const double seconds = std::floor(run.started);
  protobuf::add_number(time, 1, static_cast<int64_t>(seconds));
  protobuf::add_number(time, 2, static_cast<int64_t>((run.started - seconds) * 1e9));
  protobuf::add_bytes(message, 17, time);
  return wandb_record(number, kRun, message);
}

std::string wandb_config_record(int64_t number, const std::vector<WandbItem>& items) {
  std::string message;
  add_items(message, items, 1);
  return wandb_record(number, kConfig, message);
}

std::string wandb_metric_record(int64_t number, const std::string& name, const std::string& axis) {
  std::string message, options;
  protobuf::add_bytes(message, axis.empty() ? 1 : 2, name);
  add_text(message, 4, axis);
  if (!axis.empty()) protobuf::add_number(options, 1, 1);  // step_sync: rows without it take the axis' last value
  protobuf::add_number(options, 3, 1);                     // defined
  protobuf::add_bytes(message, 6, options);
  return wandb_record(number, kMetric, message);
}

std::string wandb_history_record(int64_t number, const std::vector<WandbItem>& items, int64_t step) {
  std::string message, position;
  add_items(message, items, 2);
  if (step != 0) protobuf::add_number(position, 1, step);
  protobuf::add_bytes(message, 2, position);
  return wandb_record(number, kHistory, message);
}

std::string wandb_summary_record(int64_t number, const std::vector<WandbItem>& items) {
  std::string message;
  add_items(message, items, 2);
  return wandb_record(number, kSummary, message);
}

std::string wandb_exit_record(int64_t number, int32_t exit_code, int32_t seconds) {
  std::string message;
  if (exit_code != 0) protobuf::add_number(message, 1, exit_code);
  if (seconds != 0) protobuf::add_number(message, 2, seconds);
  return wandb_record(number, kExit, message);
}

std::string wandb_file_head() { return std::string(kFileHead); }

std::string wandb_pieces(std::string_view record, int64_t position) {
  std::string out;
  for (bool first = true, last = false; !last; first = false) {
    size_t left = kBlock - (static_cast<size_t>(position) + out.size()) % kBlock;
    if (left < kPieceHead) {  // no piece begins here
      out.append(left, '\0');
      left = kBlock;
    }
    const std::string_view data = record.substr(0, left - kPieceHead);
    last = data.size() == record.size();
    const Piece type = first ? (last ? kFull : kFirst) : (last ? kLast : kMiddle);
    out += crc_of_piece(type, data);
    append_raw(out, static_cast<uint16_t>(data.size()));
    out += static_cast<char>(type);
    out += data;
    record.remove_prefix(data.size());
  }
  return out;
}

int64_t wandb_valid_prefix(std::string_view bytes, std::vector<std::string>* records) {
  if (!bytes.starts_with(kFileHead)) return -1;
  size_t at = kFileHead.size(), whole = at;
  std::string record;
  bool within = false;  // a record that has begun
  while (true) {
    const size_t left = kBlock - at % kBlock;
    if (left < kPieceHead) at += left;
    if (at + kPieceHead > bytes.size()) break;
    const auto crc = bytes.substr(at, 4);
    const size_t size = read_raw<uint16_t>(bytes.substr(at + 4));
    const auto type = static_cast<Piece>(bytes[at + 6]);
    if (at + kPieceHead + size > bytes.size()) break;
    const std::string_view data = bytes.substr(at + kPieceHead, size);
    if (crc_of_piece(type, data) != crc) break;
    const bool starts = type == kFull || type == kFirst;
    if (type < kFull || type > kLast || starts == within) break;
    record += data;
    at += kPieceHead + size;
    within = type == kFirst || type == kMiddle;
    if (within) continue;
    if (records != nullptr) records->push_back(record);
    record.clear();
    whole = at;
  }
  return static_cast<int64_t>(whole);
}

}  // namespace fathom::loggers
