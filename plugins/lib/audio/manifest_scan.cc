#include <simdjson.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "plugins/lib/audio/manifest_line.h"

namespace fathom::audio {
namespace {

static_assert(std::endian::native == std::endian::little, "find_end_of_text counts bytes from the lowest");

constexpr size_t kLongestLine = 1 << 20;  // whatever is longer is unusual
constexpr uint64_t kOnes = 0x0101010101010101ULL, kHighBits = 0x8080808080808080ULL;

// The high bit of every byte that is 0, and perhaps of bytes after such a one.
constexpr uint64_t zero_bytes(uint64_t word) { return (word - kOnes) & ~word & kHighBits; }

enum Key : unsigned {
  kAudioFilepath,
  kAudioFilename,
  kDuration,
  kOffset,
  kText,
  kTextFilepath,
  kNormalizedText,
  kSpeaker,
  kLang,
  kOrigSampleRate,
  kCommand,  // these three in the order in which one of them is the label
  kTarget,
  kLabel,
  kOther
};
constexpr std::array<std::string_view, kOther> kKeys = {
    "audio_filepath", "audio_filename", "duration",         "offset",  "text",   "text_filepath", "normalized_text",
    "speaker",        "lang",           "orig_sample_rate", "command", "target", "label"};
constexpr bool is_number_key(unsigned key) { return key == kDuration || key == kOffset || key == kOrigSampleRate; }

unsigned key_of(std::string_view name) {
  for (unsigned key = 0; key < kOther; ++key) {
    if (kKeys[key] == name) return key;
  }
  return kOther;
}

// 10^0 … 10^15, all of them exact.
constexpr std::array<double, 16> kPowersOfTen = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

// Each function returns false where the line is not of the plain shape.
class Scanner {
 public:
  explicit Scanner(std::string_view line) : at_(line.data()), end_(line.data() + line.size()) {}

  bool object(ManifestLine& out) {
    if (!take('{')) return false;
    do {
      std::string_view name, text;
      if (!take('"') || !text_after_quote(name) || !take(':')) return false;
      const unsigned key = key_of(name);
      if (key != kOther) {
        if ((seen_ >> key & 1) != 0) return false;
        seen_ |= 1u << key;
      }
      skip_space();
      if (at_ == end_) return false;
      if (*at_ == '"') {
        ++at_;
        if (!text_after_quote(text) || is_number_key(key)) return false;
        if (key == kText || (key == kNormalizedText && (seen_ >> kText & 1) == 0)) out.text = text;
        if (key >= kCommand && key <= kLabel && key < label_key_) {
          out.label = text;
          label_key_ = key;
        }
        if (key == kAudioFilepath || key == kAudioFilename) {
          if (text.empty()) return false;
          if (key == kAudioFilepath || (seen_ >> kAudioFilepath & 1) == 0) out.audio = text;
        }
      } else if (*at_ == '-' || (*at_ >= '0' && *at_ <= '9')) {
        double value = 0;
        if (key != kOther && (!is_number_key(key) || *at_ == '-')) return false;
        if (!number(value)) return false;
        if (key == kDuration) out.duration = value;
      } else if (key != kOther || !(take_word("true") || take_word("false") || take_word("null"))) {
        return false;
      }
    } while (take(','));
    if (!take('}')) return false;
    skip_space();
    const bool names_audio = (seen_ & (1u << kAudioFilepath | 1u << kAudioFilename)) != 0;
    // Without a text, the one at text_filepath would be read.
    const bool reads_file = (seen_ >> kTextFilepath & 1) != 0 && (seen_ >> kText & 1) == 0;
    return at_ == end_ && names_audio && !reads_file;
  }
  bool is_ascii() const { return (bytes_ & kHighBits) == 0; }

 private:
  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) ++at_;
  }
  bool take(char c) {
    skip_space();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  // Up to the closing quote, eight bytes at a time: a backslash or a control character ends the attempt.
  bool text_after_quote(std::string_view& out) {
    const char* const start = at_;
    while (end_ - at_ >= 8) {
      uint64_t word = 0;
      std::memcpy(&word, at_, 8);
      bytes_ |= word;
      const uint64_t control = (word - kOnes * 0x20) & ~word & kHighBits;
      const uint64_t stops = zero_bytes(word ^ kOnes * '"') | zero_bytes(word ^ kOnes * '\\') | control;
      if (stops == 0) {
        at_ += 8;
        continue;
      }
      at_ += std::countr_zero(stops) / 8;
      return close(start, out);
    }
    for (; at_ != end_; ++at_) {
      bytes_ |= static_cast<unsigned char>(*at_);
      if (*at_ == '"' || *at_ == '\\' || static_cast<unsigned char>(*at_) < 0x20) return close(start, out);
    }
    return false;
  }
  bool close(const char* start, std::string_view& out) {
    if (*at_ != '"') return false;
    out = std::string_view(start, static_cast<size_t>(at_ - start));
    ++at_;
    return true;
  }
  // Digits, perhaps with decimals. Up to 15 digits the quotient of two exact numbers is the nearest double (Clinger,
  // "How to read floating point numbers accurately", 1990), beyond that from_chars finds it.
  bool number(double& out) {
    const char* const start = at_;
    const bool negative = *at_ == '-';
    if (negative) ++at_;
    const char* const first = at_;
    uint64_t digits = 0;
    const auto read_digits = [&] {
      const char* const from = at_;
      for (; at_ != end_ && *at_ >= '0' && *at_ <= '9'; ++at_) digits = digits * 10 + static_cast<uint64_t>(*at_ - '0');
      return at_ - from;
    };
    const auto whole = read_digits();
    if (whole == 0 || (whole > 1 && *first == '0')) return false;
    decltype(at_ - first) decimals = 0;
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      decimals = read_digits();
      if (decimals == 0) return false;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) return false;
    if (whole + decimals <= 15) {
      out = static_cast<double>(digits) / kPowersOfTen[static_cast<size_t>(decimals)];
      if (negative) out = -out;
      return true;
    }
    // A whole number this long may be beyond what the parser takes.
    if (decimals == 0 || whole + decimals > 30) return false;
    const auto [end, failed] = std::from_chars(start, at_, out);
    return failed == std::errc() && end == at_;
  }

  const char* at_;
  const char* end_;
  unsigned seen_ = 0, label_key_ = kOther;
  uint64_t bytes_ = 0;  // all of them, or-ed
};

}  // namespace

std::optional<ManifestLine> scan_manifest_line(std::string_view line) {
  if (line.size() > kLongestLine) return std::nullopt;
  ManifestLine out;
  Scanner scanner(line);
  if (!scanner.object(out)) return std::nullopt;
  if (!scanner.is_ascii() && !simdjson::validate_utf8(line)) return std::nullopt;
  return out;
}

}  // namespace fathom::audio
