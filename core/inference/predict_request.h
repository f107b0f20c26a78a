// What a restored model is to predict, and what came of it in all. No torch in this header.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "fathom/json.h"

namespace fathom {

struct PredictRequest {
  std::string model;              // .nemo
  Json data = Json::object();     // the section of the model's predict dataset: files, a manifest, …
  Json options = Json::object();  // of the model's predict step
  int64_t batch_size = 4;
  int threads = 0;  // 0: all cores

  // A metric over the items that have all the keys it reads.
  struct Metric {
    Json section;                               // of a component of kind metric
    std::map<std::string, std::string> inputs;  // what it is given -> the key of an item; a list with one value an item
  };
  std::map<std::string, Metric> metrics;  // by a name of the caller's
};

struct PredictTotals {
  int64_t items = 0;
  double seconds = 0;  // without loading the model
  // What each metric computed; none is there where no item had its keys, or where no plugin provides it.
  std::map<std::string, std::map<std::string, double>> metrics;
};

}  // namespace fathom
