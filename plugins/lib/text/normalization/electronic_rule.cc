#include <algorithm>
#include <array>

#include "plugins/lib/text/normalization/normalization_rules.h"
#include "plugins/lib/text/normalization/spoken_numbers.h"

namespace fathom::text {
namespace {

constexpr auto kDomains = std::to_array<std::string_view>(
    {"com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "io", "ai", "co", "uk", "us", "de",
     "fr",  "jp",  "cn",  "ru",  "in",  "eu",  "ca",  "au",   "nl",  "se", "ch", "it", "es", "tv", "me"});
// File endings that are spoken like domains.
constexpr auto kFileEndings = std::to_array<std::string_view>(
    {"txt", "pdf", "html", "htm", "exe", "doc", "csv", "jpg", "png", "wav", "mp3", "zip", "nemo"});

// What the domain name system allows (RFC 1035), and mail (RFC 5321).
constexpr size_t kLongestHost = 253, kLongestMailName = 64;

bool is_host_letter(char c) { return is_ascii_letter(c) || is_digit(c) || c == '-' || c == '_'; }

// "there.org" at `at`: where it ends, or nothing. Its last part must be a domain people know, unless `any`.
std::optional<size_t> host_end(const WrittenText& text, size_t at, bool any) {
  size_t end = at, last = at;
  int parts = 0;
  while (is_host_letter(text[end])) {
    last = end;
    while (is_host_letter(text[end])) ++end;
    if (end - at > kLongestHost) return std::nullopt;
    ++parts;
    if (text[end] != '.' || !is_host_letter(text[end + 1])) break;
    ++end;
  }
  if (parts < 2 || !text.ends_word(end)) return std::nullopt;
  const std::string domain = lower_ascii(text.part(last, end));
  const bool known = one_of(domain, kDomains) || (parts == 2 && one_of(domain, kFileEndings));
  const bool letters = std::all_of(domain.begin(), domain.end(), is_lower);
  return known || (any && letters && domain.size() >= 1) ? std::optional(end) : std::nullopt;
}

std::string_view sign_name(char c) {
  switch (c) {
    case '.': return "dot";
    case '/': return "slash";
    case '-': return "dash";
    case '_': return "underscore";
    case '@': return "at";
    case ':': return "colon";
    case '?': return "question mark";
    case '=': return "equals";
    case '&': return "and";
    case '#': return "hash";
    case '%': return "percent";
    case '+': return "plus";
    case '~': return "tilde";
    default: return "";
  }
}

// Parts that are said letter by letter: they stand in capitals.
bool is_spelled(std::string_view part) {
  if (one_of(part, {"http", "https", "www", "ftp", "html", "htm", "pdf", "txt", "csv", "jpg", "png", "mp"}))
    return true;
  if (one_of(part, {"co", "me", "io", "in", "it", "us", "at", "de"})) return false;
  return part.size() == 1 || (part.size() == 2 && one_of(part, kDomains));
}

std::string spoken_address(std::string_view address) {
  std::string out;
  const auto add = [&](std::string_view word) { out += (out.empty() ? "" : " ") + std::string(word); };
  for (size_t at = 0; at < address.size();) {
    if (is_digit(address[at])) {
      add(digit_words(address.substr(at++, 1)));
    } else if (is_ascii_letter(address[at])) {
      size_t end = at;
      while (end < address.size() && is_ascii_letter(address[end])) ++end;
      std::string part(address.substr(at, end - at));
      if (is_spelled(lower_ascii(part)))
        std::transform(part.begin(), part.end(), part.begin(), [](char c) { return is_lower(c) ? c - 'a' + 'A' : c; });
      add(part);
      at = end;
    } else {
      if (const std::string_view name = sign_name(address[at]); !name.empty()) add(name);
      ++at;
    }
  }
  return out;
}

bool is_path_letter(char c) { return is_host_letter(c) || sign_name(c).size() > 0; }

// The path behind a host, without the punctuation of the sentence around.
size_t path_end(const WrittenText& text, size_t at) {
  if (text[at] == ':' && is_digit(text[at + 1])) at = text.digits_end(at + 1);
  if (text[at] != '/' && text[at] != '?' && text[at] != '#') return at;
  size_t end = at;
  while (is_path_letter(text[end])) ++end;
  while (end > at && one_of(text.part(end - 1, end), {".", ":", "?", "-"})) --end;
  return end;
}

}  // namespace

std::optional<Reading> read_electronic(const WrittenText& text, size_t at, const SpeechStyle&) {
  if (!is_ascii_letter(text[at]) && !is_digit(text[at])) return std::nullopt;
  // A mail address: up to an @ that a host follows.
  size_t name = at;
  while (name - at < kLongestMailName &&
         (is_host_letter(text[name]) || ((text[name] == '.' || text[name] == '+') && is_host_letter(text[name + 1])))) {
    ++name;
  }
  if (text[name] == '@') {
    if (const auto end = host_end(text, name + 1, true)) return Reading{*end, spoken_address(text.part(at, *end))};
  }
  for (const std::string_view scheme : {"https://", "http://", "ftp://", "www."}) {
    if (!text.starts_any_case(at, scheme)) continue;
    if (const auto end = host_end(text, at + (scheme == "www." ? 0 : scheme.size()), true)) {
      const size_t all = path_end(text, *end);
      return Reading{all, spoken_address(text.part(at, all))};
    }
  }
  if (!is_ascii_letter(text[at])) return std::nullopt;
  const auto end = host_end(text, at, false);
  if (!end) return std::nullopt;
  // "end.In the" is a blank forgotten, no host: hosts are not written so.
  const std::string_view host = text.part(at, *end);
  for (size_t i = 1; i < host.size(); ++i) {
    if (host[i - 1] == '.' && is_upper(host[i]) && is_lower(host[i - 2 < host.size() ? i - 2 : 0])) return std::nullopt;
  }
  const size_t all = path_end(text, *end);
  return Reading{all, spoken_address(text.part(at, all))};
}

}  // namespace fathom::text
