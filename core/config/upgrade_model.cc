// Names that changed between versions of NeMo, in sections of models. The one place to add another.
#include <array>
#include <string_view>

#include "core/config/printer.h"
#include "core/config/upgrade.h"

namespace fathom::config {
namespace {

// Classes that moved, by the beginning of their path.
struct MovedClass {
  std::string_view from, to;
};
constexpr std::array kMovedClasses = {
    MovedClass{"nemo_text_processing.g2p.", "nemo.collections.tts.g2p."},  // NeMo 1.18
    MovedClass{"nemo.collections.tts.torch.tts_tokenizers.",
               "nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers."},
    MovedClass{"nemo.collections.tts.torch.data.", "nemo.collections.tts.data.dataset."}};

// Keys by the section they stand in.
struct RenamedKey {
  std::string_view section, from, to;
};
constexpr std::array kRenamedKeys = {
    RenamedKey{"greedy", "max_symbols_per_step", "max_symbols"},          // transducers' decoding
    RenamedKey{"joint", "experimental_fuse_loss_wer", "fuse_loss_wer"}};  // NeMo 1.1

constexpr std::array<std::string_view, 3> kClassKeys = {"_target_", "target", "cls"};

std::string at_origin(const Node& node) {
  const std::string text = node.origin().text();
  return text.empty() ? "" : " (" + text + ")";
}

void move_class(Node& value, const std::string& key, UpgradeNotes& notes) {
  if (!value.is_string()) return;
  const auto& name = std::get<std::string>(value.value());
  for (const auto& [from, to] : kMovedClasses) {
    if (!name.starts_with(from)) continue;
    std::string moved = std::string(to) + name.substr(from.size());
    notes.push_back(key + "=" + name + at_origin(value) + " is read as " + moved);
    value.set_value(std::move(moved));
    return;
  }
}

// The new key wins where both are written.
void rename_keys(Node& section, std::string_view name, const std::string& key, UpgradeNotes& notes) {
  for (const auto& [place, from, to] : kRenamedKeys) {
    if (name != place) continue;
    const Node* found = section.find(from);
    if (found == nullptr) continue;
    const Node old = *found;
    const std::string what = key + "." + std::string(from) + "=" + python_str(old) + at_origin(old);
    const Node* present = section.find(to);
    section.erase(Key(from));
    if (old.is_null()) continue;  // NeMo wrote the old name with nothing in it beside the new one
    if (present != nullptr && !present->is_null()) {
      notes.push_back(what + " has no effect: " + key + "." + std::string(to) + " is set");
      continue;
    }
    notes.push_back(what + " is read as " + key + "." + std::string(to));
    section.set(Key(to), old);
  }
}

void upgrade(Node& node, std::string_view name, const std::string& key, UpgradeNotes& notes) {
  if (node.is_list()) {
    for (size_t i = 0; i < node.size(); ++i) upgrade(node.items()[i], "", key + "[" + std::to_string(i) + "]", notes);
    return;
  }
  if (!node.is_map()) return;
  rename_keys(node, name, key, notes);
  for (const std::string_view word : kClassKeys) {
    if (Node* found = node.find(word)) move_class(*found, key + "." + std::string(word), notes);
  }
  for (Node::Entry& entry : node.mutable_entries()) {
    const std::string text = entry.first.text();
    upgrade(entry.second, text, key + "." + text, notes);
  }
}

}  // namespace

UpgradeNotes upgrade_model_config(Node& section, const std::string& key) {
  UpgradeNotes notes = upgrade_component_config(section, key);
  upgrade(section, "", key, notes);
  return notes;
}

}  // namespace fathom::config
