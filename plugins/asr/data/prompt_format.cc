#include "plugins/asr/data/prompt_format.h"

#include <algorithm>

#include "fathom/nearest_names.h"
#include "plugins/lib/text/aggregate_tokenizer.h"

namespace fathom::asr {
namespace {

using Names = std::vector<std::string>;

const Names kTrue = {"yes", "Yes", "true", "True", "1"}, kFalse = {"no", "No", "false", "False", "0"};
const Names kTranscribe = {"asr", "transcribe", "<|transcribe|>"};
const Names kTranslate = {"ast", "translate", "s2t_translation", "<|translate|>"};
const Names kEmotions = {"<|emo:undefined|>", "<|emo:neutral|>", "<|emo:angry|>", "<|emo:happy|>", "<|emo:sad|>"};

bool has(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
std::string joined(const Names& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}
bool is_token(const std::string& value) { return value.starts_with("<|") && value.ends_with("|>"); }

[[noreturn]] void refuse_value(const std::string& slot, const std::string& value, Names known) {
  throw Error(Code::kFailed, "the prompt's slot '" + slot + "' cannot have this value")
      .at(slot)
      .seen(value)
      .expected("one of: " + joined(known))
      .candidates(nearest_names(value, known));
}

// What stands in the prompt for a slot's value.
std::string token_of(const std::string& slot, const std::string& value) {
  if (slot == "source_lang" || slot == "target_lang") return is_token(value) ? value : "<|" + value + "|>";
  if (slot == "task") {
    if (has(kTranscribe, value)) return "<|transcribe|>";
    if (has(kTranslate, value)) return "<|translate|>";
    Names known = kTranscribe;
    known.insert(known.end(), kTranslate.begin(), kTranslate.end());
    refuse_value(slot, value, known);
  }
  if (slot == "emotion") {
    if (!has(kEmotions, value)) refuse_value(slot, value, kEmotions);
    return value;
  }
  if (slot == "pnc" || slot == "itn" || slot == "timestamp" || slot == "diarize") {
    const std::string on = "<|" + slot + "|>", off = "<|no" + slot + "|>";
    if (has(kTrue, value) || value == slot || value == on) return on;
    if (has(kFalse, value) || value == "no" + slot || value == off) return off;
    Names known = kTrue;
    known.insert(known.end(), {slot, on});
    known.insert(known.end(), kFalse.begin(), kFalse.end());
    known.insert(known.end(), {"no" + slot, off});
    refuse_value(slot, value, known);
  }
  return value;  // a text
}

}  // namespace

struct PromptFormat::Definition {
  const char* name;
  std::map<std::string, std::string> templates;  // by role; slots as |NAME|
  Names slots, required;
  PromptSlots own;  // values of slots that nobody gave
};

const PromptFormat::Definition* PromptFormat::find(const std::string& name) {
  static const Definition kFormats[] = {
      {"canary",
       {{"user", "<|startoftranscript|>|source_lang||task||target_lang||pnc|"}, {"assistant", "|text|<|endoftext|>"}},
       {"source_lang", "task", "target_lang", "pnc"},
       {"source_lang", "task", "target_lang", "pnc"},
       {}},
      {"canary2",
       {{"user",
         "<|startofcontext|>|decodercontext|<|startoftranscript|>|emotion||source_lang||target_lang||pnc||itn|"
         "|timestamp||diarize|"},
        {"user_partial", "<|startofcontext|>|decodercontext|<|startoftranscript|>"},
        {"user_prefix", "|prefix|"},
        {"assistant", "|text|<|endoftext|>"}},
       {"decodercontext", "emotion", "source_lang", "target_lang", "pnc", "itn", "timestamp", "diarize"},
       {"source_lang", "target_lang"},
       {{"decodercontext", ""},
        {"emotion", "<|emo:undefined|>"},
        {"pnc", "<|pnc|>"},
        {"itn", "<|noitn|>"},
        {"timestamp", "<|notimestamp|>"},
        {"diarize", "<|nodiarize|>"}}}};
  for (const Definition& format : kFormats) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

PromptFormat::PromptFormat(const std::string& name, const Json& defaults, Tokenizer tokenizer,
                           const std::string& config_path)
    : name_(name), definition_(find(name)), tokenizer_(std::move(tokenizer)) {
  const auto path = [&](const std::string& key) { return config_path.empty() ? key : config_path + "." + key; };
  if (definition_ == nullptr) {
    throw Error(Code::kFailed, "there is no such prompt format")
        .at(path("prompt_format"))
        .seen(name.empty() ? "nothing" : name)
        .expected("canary or canary2");
  }
  const auto refuse = [&](const std::string& what, const std::string& where, const Json& seen,
                          const std::string& need) {
    throw Error(Code::kFailed, what).at(path("prompt_defaults") + where).seen(json_text(seen)).expected(need);
  };
  if (defaults.is_null()) return;
  if (!defaults.is_array()) refuse("a prompt's defaults are a list of turns", "", defaults, "[{role, slots}]");
  for (size_t i = 0; i < defaults.size(); ++i) {
    const Json& turn = defaults[i];
    const std::string place = "[" + std::to_string(i) + "]";
    const Json role = turn.is_object() ? turn.value("role", Json(nullptr)) : Json(nullptr);
    if (!role.is_string() || definition_->templates.count(role.get<std::string>()) == 0)
      refuse("a prompt's defaults name a role that the format does not have", place + ".role", role, "user");
    const Json given = turn.value("slots", Json(nullptr));
    if (!given.is_object()) refuse("a role's defaults are its slots", place + ".slots", given, "{slot: value}");
    for (const auto& [slot, value] : given.items()) {
      const std::string& text = definition_->templates.at(role.get<std::string>());
      if (text.find("|" + slot + "|") == std::string::npos) {
        throw Error(Code::kFailed, "the prompt format has no such slot")
            .at(path("prompt_defaults") + place + ".slots." + slot)
            .expected("one of: " + joined(slots()))
            .candidates(nearest_names(slot, slots()));
      }
      if (value.is_null()) continue;
      if (!value.is_string()) refuse("a slot's value is a text", place + ".slots." + slot, value, "a text");
      try {
        token_of(slot, value.get<std::string>());
      } catch (Error& error) {
        error.locate_within(path("prompt_defaults") + place + ".slots");
        throw;
      }
      if (role == "user") defaults_[slot] = value.get<std::string>();
    }
  }
}

std::vector<std::string> PromptFormat::slots() const { return definition_->slots; }
const std::vector<std::string>& PromptFormat::required() const { return definition_->required; }

PromptSlots PromptFormat::complete(const PromptSlots& given, const PromptSlots& fallback) const {
  PromptSlots out;
  for (const std::string& slot : definition_->slots) {
    for (const PromptSlots* values : {&given, &fallback, static_cast<const PromptSlots*>(&definition_->own)}) {
      auto found = values->find(slot);
      if (found == values->end() && slot == "task") found = values->find("taskname");
      if (found == values->end()) continue;
      out[slot] = found->second;
      break;
    }
  }
  return out;
}

PromptFormat::Encoded PromptFormat::encode(const std::vector<Turn>& turns) const {
  Encoded out;
  for (size_t i = 0; i < turns.size(); ++i) {
    const Turn& turn = turns[i];
    const auto found = definition_->templates.find(turn.role);
    if (found == definition_->templates.end()) {
      Names roles;
      for (const auto& [role, text] : definition_->templates) roles.push_back(role);
      throw Error(Code::kFailed, "the prompt format '" + name_ + "' has no such role")
          .seen(turn.role)
          .expected("one of: " + joined(roles));
    }
    std::string text = found->second;
    bool special = true;  // nothing but special tokens, and a context
    for (size_t at = 0; (at = text.find('|', at)) != std::string::npos;) {
      const size_t end = text.find('|', at + 1);
      // The bars of "<|…|>" are no slot's.
      if (at > 0 && text[at - 1] == '<') {
        at = end + 1;
        continue;
      }
      const std::string slot = text.substr(at + 1, end - at - 1);
      auto value = turn.slots.find(slot);
      if (value == turn.slots.end() && slot == "task") value = turn.slots.find("taskname");
      if (value == turn.slots.end()) {
        throw Error(Code::kFailed, "a prompt lacks the slot '" + slot + "'")
            .at(slot)
            .seen("nothing")
            .expected("a value, for the prompt format '" + name_ + "'");
      }
      special = special && slot != "text" && slot != "prefix";
      const std::string token = token_of(slot, value->second);
      text.replace(at, end + 1 - at, token);
      at += token.size();
    }
    const std::string language = special ? std::string(text::CanaryTokenizer::kSpecial) : turn.language;
    std::vector<int64_t> ids = tokenizer_->text_to_ids_in(text, language);
    const bool answers = turn.role == "assistant" && i + 1 == turns.size();
    std::vector<int64_t>& target = answers ? out.answer : out.context;
    target.insert(target.end(), ids.begin(), ids.end());
  }
  return out;
}

}  // namespace fathom::asr
