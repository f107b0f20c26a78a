// The conformance runner's parts: a suite is a name as on the command line and a function that runs one recorded case
// against the same code the program uses. Suites are added in suites.cc, one line per room.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fathom/json.h"

namespace fathom::conformance {

struct Case {
  std::string id;      // the record's id, or the folder's name
  std::string suite;   // "config/override_parse", "nemo_models/frontends"
  std::string folder;  // the folder of meta.json for a folder case; the folder of the .jsonl file otherwise
  nlohmann::json
      body;  // one line of the .jsonl file, or meta.json. NaN and Infinity arrive as {"$float": "nan"|"inf"|"-inf"}
  std::string text;  // the line as it stands, where the order of keys matters
};

struct Outcome {
  bool passed = false;
  std::string detail;    // "expected …, got …"; empty when passed
  bool skipped = false;  // neither: it needs something that is not there, which detail names
};

inline Outcome pass() { return {true, {}}; }
inline Outcome fail(std::string detail) { return {false, std::move(detail)}; }
inline Outcome skip(std::string detail) { return {false, std::move(detail), true}; }

// A suite covers every case whose suite name equals `name` or lies below it.
struct Suite {
  std::string name;
  std::function<Outcome(const Case&)> run;
};

// One per room; each appends its suites.
void add_config_suites(std::vector<Suite>& suites);
void add_typing_suites(std::vector<Suite>& suites);
void add_partial_load_suites(std::vector<Suite>& suites);
void add_loader_suites(std::vector<Suite>& suites);
void add_tokenizer_suites(std::vector<Suite>& suites);
void add_checkpoint_suites(std::vector<Suite>& suites);
void add_optim_suites(std::vector<Suite>& suites);
void add_model_suites(std::vector<Suite>& suites);
void add_module_core_suites(std::vector<Suite>& suites);
void add_freezing_suites(std::vector<Suite>& suites);
void add_asr_suites(std::vector<Suite>& suites);
void add_logging_suites(std::vector<Suite>& suites);
void add_trace_suites(std::vector<Suite>& suites);
void add_checkpoint_name_suites(std::vector<Suite>& suites);
void add_parity_suites(std::vector<Suite>& suites);
void add_whole_model_suites(std::vector<Suite>& suites);
void add_v1_model_suites(std::vector<Suite>& suites);
void add_timestamp_suites(std::vector<Suite>& suites);
void add_data_order_suites(std::vector<Suite>& suites);

}  // namespace fathom::conformance
