// A JSON object made key by key. An ordered_json looks through all its keys for each new one, which a file of a hundred
// thousand keys turns into minutes. Not thread-safe.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <utility>

namespace fathom {

class JsonObject {
 public:
  // In the place of the first value of that key, if there was one.
  void set(std::string key, nlohmann::ordered_json value) {
    const auto [place, is_new] = places_.try_emplace(key, entries_.size());
    if (is_new) {
      entries_.emplace_back(std::move(key), std::move(value));
    } else {
      (entries_.begin() + static_cast<std::ptrdiff_t>(place->second))->second = std::move(value);
    }
  }
  nlohmann::ordered_json take() { return std::move(entries_); }

 private:
  nlohmann::ordered_json::object_t entries_;
  std::unordered_map<std::string, size_t> places_;
};

}  // namespace fathom
