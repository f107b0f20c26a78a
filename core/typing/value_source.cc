#include "core/typing/value_source.h"

#include <map>
#include <mutex>
#include <vector>

namespace fathom::typing {
namespace {

struct Sources {
  std::mutex mutex;
  std::map<std::string, uint32_t, std::less<>> ids;
  std::vector<const std::string*> texts;  // by id - 1
};
Sources& sources() {
  static auto* instance = new Sources();  // plugins may ask while the process ends
  return *instance;
}

}  // namespace

uint32_t intern_source(std::string_view owner, std::string_view port) {
  std::string text = "output '" + std::string(port) + "' of " + std::string(owner);
  Sources& all = sources();
  const std::lock_guard lock(all.mutex);
  const auto [it, fresh] = all.ids.emplace(std::move(text), static_cast<uint32_t>(all.ids.size() + 1));
  if (fresh) all.texts.push_back(&it->first);
  return it->second;
}

std::string source_text(uint32_t id) {
  Sources& all = sources();
  const std::lock_guard lock(all.mutex);
  return id == 0 || id > all.texts.size() ? std::string() : *all.texts[id - 1];
}

}  // namespace fathom::typing
