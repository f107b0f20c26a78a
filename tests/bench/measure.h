// Alternating measurement of two ways to do one thing, and the line that reports it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "fathom/json.h"

namespace fathom::bench {

inline double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

struct Timed {
  double ours, peer;  // median seconds of one run
};

// Runs both once to warm up, then alternately.
inline Timed alternate(const std::function<void()>& ours, const std::function<void()>& peer, int repeats = 7) {
  ours();
  peer();
  std::vector<double> a, b;
  for (int i = 0; i < repeats; ++i) {
    a.push_back(seconds_of(ours));
    b.push_back(seconds_of(peer));
  }
  return {median(a), median(b)};
}

// The median of what each gives, asked in turn `rounds` times after one round to warm up: what the machine does besides
// meets all alike.
inline std::vector<double> in_turn(const std::vector<std::function<double()>>& runs, int rounds = 7) {
  std::vector<std::vector<double>> seen(runs.size());
  for (int round = -1; round < rounds; ++round) {
    for (size_t i = 0; i < runs.size(); ++i) {
      const double value = runs[i]();
      if (round >= 0) seen[i].push_back(value);
    }
  }
  std::vector<double> out;
  for (auto& values : seen) out.push_back(median(std::move(values)));
  return out;
}

inline void report(const std::string& bench, const std::string& name, double ours, double peer,
                   const std::string& peer_name, const std::string& unit, bool lower_is_better,
                   nlohmann::ordered_json extra = nlohmann::ordered_json::object()) {
  nlohmann::ordered_json line = {{"bench", bench},
                                 {"case", name},
                                 {"ours", ours},
                                 {"peer", peer},  // NaN, no peer, becomes null, and so does the ratio
                                 {"peer_name", peer_name},
                                 {"unit", unit},
                                 {"better", lower_is_better ? "lower" : "higher"},
                                 {"ratio", lower_is_better ? peer / ours : ours / peer}};
  for (auto& [key, value] : extra.items()) line[key] = value;
  std::puts(json_text(line).c_str());
  std::fflush(stdout);
}

}  // namespace fathom::bench
