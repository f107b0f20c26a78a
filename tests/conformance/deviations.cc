#include "tests/conformance/deviations.h"

#include <filesystem>

#include "core/config/yaml_loader.h"
#include "fathom/error.h"

namespace fathom::conformance {

std::vector<Deviation> read_deviations(const std::string& path) {
  std::vector<Deviation> deviations;
  if (!std::filesystem::exists(path)) return deviations;
  config::LoadOptions options;
  options.check_interpolations = false;  // reasons may quote what is none
  const config::Node root = config::load_yaml_file(path, options);
  const auto bad = [&](const config::Node& node) {
    return Error(Code::kBadData, "not a list of deviations")
        .at(node.origin().text())
        .expected("`- cases: [glob…]` and `reason: text`");
  };
  if (root.is_map() && root.size() == 0) return deviations;
  if (!root.is_list()) throw bad(root);
  for (const auto& item : root.items()) {
    const config::Node* cases = item.is_map() ? item.find("cases") : nullptr;
    const config::Node* reason = item.is_map() ? item.find("reason") : nullptr;
    if (cases == nullptr || !cases->is_list() || reason == nullptr || !reason->is_string()) throw bad(item);
    Deviation deviation;
    deviation.reason = std::get<std::string>(reason->value());
    for (const auto& pattern : cases->items()) {
      if (!pattern.is_string()) throw bad(pattern);
      deviation.patterns.push_back(std::get<std::string>(pattern.value()));
    }
    deviations.push_back(std::move(deviation));
  }
  return deviations;
}

bool matches_glob(const std::string& pattern, const std::string& text) {
  size_t p = 0, t = 0, star = std::string::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (star != std::string::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

const Deviation* find_deviation(const std::vector<Deviation>& deviations, const Case& item) {
  const std::string name = item.suite + "/" + item.id;
  for (const auto& deviation : deviations) {
    for (const auto& pattern : deviation.patterns) {
      if (matches_glob(pattern, name)) return &deviation;
    }
  }
  return nullptr;
}

}  // namespace fathom::conformance
