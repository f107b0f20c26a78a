#include "plugins/loggers/wandb_logger.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "plugins/loggers/logger_test.h"
#include "plugins/loggers/protobuf.h"
#include "tests/support/python_check.h"

namespace fathom::loggers {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// The contents of a file's records by their fields, and what is in a row.
struct WandbRead {
  std::vector<uint32_t> kinds;
  std::vector<std::map<std::string, std::string>> rows;
  std::map<std::string, std::string> summary;
  std::vector<int64_t> numbers;
};
std::map<std::string, std::string> items_of(std::string_view message) {
  std::map<std::string, std::string> out;
  for (protobuf::Fields f(message); f.next();) {
    if (!f.is(1, 2)) continue;
    std::string key, value;
    for (protobuf::Fields item(f.data); item.next();) {
      if (item.field == 1 || item.field == 2) key = item.data;
      if (item.field == 16) value = item.data;
    }
    out[key] = value;
  }
  return out;
}
WandbRead read_run(const std::string& path) {
  const std::string bytes = read_whole_file(path);
  std::vector<std::string> records;
  EXPECT_EQ(wandb_valid_prefix(bytes, &records), static_cast<int64_t>(bytes.size())) << path;
  WandbRead out;
  for (const auto& record : records) {
    for (protobuf::Fields f(record); f.next();) {
      if (f.is(1, 0)) {
        out.numbers.push_back(static_cast<int64_t>(f.number));
        continue;
      }
      out.kinds.push_back(f.field);
      if (f.field == 2) out.rows.push_back(items_of(f.data));
      if (f.field != 3) continue;
      for (const auto& [key, value] : items_of(f.data)) out.summary[key] = value;
    }
  }
  return out;
}

class WandbLoggerTest : public LoggerTest {
 protected:
  std::unique_ptr<WandbLogger> make(const Json& config = Json::object()) { return make_logger<WandbLogger>(config); }
};

TEST_F(WandbLoggerTest, ARunIsAFileOfRecords) {
  auto logger = make({{"name", "n"}, {"project", "p"}, {"id", "abc12345"}, {"prefix", "run"}});
  logger->log_hyperparams({{"model", {{"lr", 0.5}}}});
  log_row(*logger, 3, {{"train_loss", 0.25}, {"epoch", 0}});
  log_row(*logger, 7, {{"train_loss", std::nan("")}, {"up", INFINITY}});
  logger->log_text("note", "hello \"you\"", 8);
  logger->finalize("success");
  EXPECT_THAT(logger->path().substr(folder_.string().size()),
              MatchesRegex("/wandb/offline-run-[0-9]{8}_[0-9]{6}-abc12345/run-abc12345.wandb"));
  EXPECT_EQ(fs::read_symlink(folder_ / "wandb/latest-run"), fs::path(logger->path()).parent_path().filename());
  EXPECT_TRUE(fs::is_directory(fs::path(logger->path()).parent_path() / "files"));
  const WandbRead run = read_run(logger->path());
  // Header, run, two metrics' definitions, rows, summary, end.
  EXPECT_THAT(run.kinds, ElementsAre(21, 17, 12, 12, 2, 2, 2, 3, 18));
  EXPECT_THAT(run.numbers, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
  ASSERT_EQ(run.rows.size(), 3u);
  EXPECT_EQ(run.rows[0].at("run-train_loss"), "0.25");
  EXPECT_EQ(run.rows[0].at("run-epoch"), "0");
  EXPECT_EQ(run.rows[0].at("trainer/global_step"), "3");
  EXPECT_EQ(run.rows[0].at("_step"), "0");
  EXPECT_EQ(run.rows[1].at("run-train_loss"), "NaN");
  EXPECT_EQ(run.rows[1].at("run-up"), "Infinity");
  EXPECT_EQ(run.rows[2].at("run-note"), "\"hello \\\"you\\\"\"");
  EXPECT_EQ(run.summary.at("run-train_loss"), "NaN");
  EXPECT_EQ(run.summary.at("_step"), "2");
}

TEST_F(WandbLoggerTest, WhatComesAfterTheEndTakesItsPlace) {
  auto logger = make();
  log_row(*logger, 0, {{"loss", 1}});
  logger->finalize("success");
  log_row(*logger, 1, {{"test_loss", 2}});
  logger->finalize("success");
  EXPECT_THAT(read_run(logger->path()).kinds, ElementsAre(21, 17, 12, 12, 2, 3, 2, 3, 18));
  EXPECT_THAT(read_run(logger->path()).numbers, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST_F(WandbLoggerTest, RecordsOfAnyLengthCrossBlocks) {
  constexpr size_t kBlockSize = 32768;
  for (const size_t length : {0u, 1u, 32740u, 32754u, 32755u, 32756u, 32761u, 32768u, 70000u, 200000u}) {
    std::string file = wandb_file_head();
    std::vector<std::string> written;
    for (size_t i = 0; i < 5; ++i) {
      written.emplace_back(length + i, static_cast<char>('a' + i));
      file += wandb_pieces(written.back(), static_cast<int64_t>(file.size()));
    }
    std::vector<std::string> read;
    EXPECT_EQ(wandb_valid_prefix(file, &read), static_cast<int64_t>(file.size())) << length;
    EXPECT_EQ(read, written) << length;
    // A file that ends anywhere is valid up to its last whole record.
    for (const size_t end : {file.size() - 1, file.size() / 2, kBlockSize + 3}) {
      if (end >= file.size()) continue;
      read.clear();
      const int64_t valid = wandb_valid_prefix(std::string_view(file).substr(0, end), &read);
      EXPECT_LE(valid, static_cast<int64_t>(end));
      EXPECT_LT(read.size(), written.size());
      for (size_t i = 0; i < read.size(); ++i) EXPECT_EQ(read[i], written[i]);
    }
  }
  EXPECT_EQ(wandb_valid_prefix("no such file"), -1);
}

TEST_F(WandbLoggerTest, AResumedRunGoesOnInTheSameFile) {
  Json state;
  std::string path;
  {
    auto killed = make({{"id", "r1"}});
    killed->log_hyperparams({{"a", 1}});
    log_row(*killed, 0, {{"loss", 1}});
    killed->save();
    state = killed->save_state();
    path = killed->path();
    log_row(*killed, 1, {{"loss", 9}});
    killed->save();
  }
  std::ofstream(path, std::ios::app) << "half a record";
  auto resumed = make({{"id", "r1"}});
  resumed->log_hyperparams({{"a", 2}});
  resumed->load_state(state);
  EXPECT_EQ(resumed->path(), path);
  log_row(*resumed, 1, {{"loss", 0.5}});
  resumed->finalize("interrupted");
  const WandbRead run = read_run(path);
  EXPECT_THAT(run.kinds, ElementsAre(21, 17, 12, 12, 2, 3, 2, 3, 18));
  EXPECT_THAT(run.numbers, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(run.rows[1].at("loss"), "0.5");
  EXPECT_EQ(run.rows[1].at("_step"), "1");
  auto elsewhere = make();
  elsewhere->load_state(
      {{"folder", "offline-run-x"}, {"id", "x"}, {"bytes", 10}, {"started", 1.0}, {"rows", 1}, {"records", 3}});
  log_row(*elsewhere, 0, {{"loss", 1}});
  elsewhere->save();
  EXPECT_EQ(read_run(elsewhere->path()).rows.size(), 1u);
}

TEST_F(WandbLoggerTest, WhatAnOfflineRunCannotDoIsRefused) {
  for (const auto& [config, where] : std::vector<std::pair<Json, std::string>>{{{{"log_model", true}}, "log_model"},
                                                                               {{{"log_model", "all"}}, "log_model"},
                                                                               {{{"offline", false}}, "offline"},
                                                                               {{{"id", "a/b"}}, "id"},
                                                                               {{{"version", ""}}, "version"}}) {
    try {
      make(config);
      FAIL() << json_text(config);
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), where);
    }
  }
  EXPECT_FALSE(fs::exists(folder_ / "wandb"));
}

TEST_F(WandbLoggerTest, WandbsOwnSchemaReadsIt) {
  if (!python_has(folder_, "wandb.proto.wandb_internal_pb2"))
    GTEST_SKIP() << "no wandb package in " << python_program() << "; set FATHOM_PYTHON to one that has it";
  auto logger = make({{"name", "n"}, {"project", "p"}, {"id", "abc"}, {"tags", {"t1", "t2"}}, {"group", "g"}});
  logger->log_hyperparams({{"model", {{"lr", 0.5}}}, {"long", std::string(100000, 'x')}});
  for (int i = 0; i < 300; ++i) log_row(*logger, i * 2, {{"loss", 1.0 / (i + 1)}, {"a.b/c", i}});
  logger->finalize("failed");
  const PythonResult read = run_python(
      folder_,
      "import json, struct, zlib\n"
      "from wandb.proto import wandb_internal_pb2 as pb\n"
      "b = open('" +
          logger->path() +
          "', 'rb').read()\n"
          "records = []\n"
          "try:\n"
          "  from wandb.sdk.internal.datastore import DataStore  # up to 0.19: W&B's own reader\n"
          "  d = DataStore(); d.open_for_scan('" +
          logger->path() +
          "')\n"
          "  while (r := d.scan_data()) is not None: records.append(r)\n"
          "except ImportError:\n"
          "  assert b[:7] == b':W&B' + struct.pack('<HB', 0xBEE1, 0)\n"
          "  at, part = 7, b''\n"
          "  while at < len(b):\n"
          "    left = 32768 - at % 32768\n"
          "    if left < 7: at += left; continue\n"
          "    crc, n, kind = struct.unpack('<IHB', b[at:at+7]); data = b[at+7:at+7+n]\n"
          "    assert zlib.crc32(bytes([kind]) + data) == crc, at\n"
          "    part += data; at += 7 + n\n"
          "    if kind in (1, 4): records.append(part); part = b''\n"
          "parsed = []\n"
          "for r in records:\n"
          "  p = pb.Record(); p.ParseFromString(r); parsed.append(p)\n"
          "kinds = [p.WhichOneof('record_type') for p in parsed]\n"
          "assert kinds == ['header', 'run', 'metric', 'metric'] + ['history'] * 300 + ['summary', 'exit'], kinds\n"
          "run = parsed[1].run\n"
          "assert (run.run_id, run.project, run.display_name, run.run_group) == ('abc', 'p', 'n', 'g'), run\n"
          "assert list(run.tags) == ['t1', 't2'] and run.start_time.seconds > 1.6e9, run\n"
          "config = {u.key: json.loads(u.value_json) for u in run.config.update}\n"
          "assert config['model'] == {'lr': .5} and len(config['long']) == 100000\n"
          "assert parsed[2].metric.name == parsed[3].metric.step_metric == 'trainer/global_step', parsed[2:4]\n"
          "assert parsed[3].metric.glob_name == '*' and parsed[3].metric.options.step_sync\n"
          "for i, p in enumerate(parsed[4:304]):\n"
          "  row = {''.join(x.nested_key): json.loads(x.value_json) for x in p.history.item}\n"
          "  assert row['loss'] == 1 / (i + 1) and row['a.b/c'] == i and row['trainer/global_step'] == 2 * i, row\n"
          "  assert p.history.step.num == i == row['_step'] and p.num == i + 5, p\n"
          "assert parsed[-1].exit.exit_code == 1\n"
          "last = {''.join(x.nested_key): json.loads(x.value_json) for x in parsed[-2].summary.update}\n"
          "assert last['loss'] == 1 / 300, last\n");
  EXPECT_EQ(read.status, 0) << read.errors;
}

}  // namespace
}  // namespace fathom::loggers
