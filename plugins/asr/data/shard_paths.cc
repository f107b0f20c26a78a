#include "plugins/asr/data/shard_paths.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "fathom/nearest_names.h"

namespace fathom::asr {
namespace {

constexpr size_t kMostShards = 1'000'000;

// A pattern with NeMo's spellings of braces as braces.
std::string with_braces(const std::string& pattern) {
  constexpr std::array<std::string_view, 4> kOpen = {"(", "[", "<", "_OP_"}, kClose = {")", "]", ">", "_CL_"};
  std::string out;
  for (size_t at = 0; at < pattern.size();) {
    const std::string_view rest = std::string_view(pattern).substr(at);
    const auto begins = [&](std::string_view spelling) { return rest.starts_with(spelling); };
    if (const auto* open = std::find_if(kOpen.begin(), kOpen.end(), begins); open != kOpen.end()) {
      out += '{';
      at += open->size();
    } else if (const auto* close = std::find_if(kClose.begin(), kClose.end(), begins); close != kClose.end()) {
      out += '}';
      at += close->size();
    } else {
      out += pattern[at++];
    }
  }
  return out;
}

class BraceReader {
 public:
  BraceReader(std::string text, const std::string& pattern, const std::string& where)
      : text_(std::move(text)), pattern_(pattern), where_(where) {}

  std::vector<std::string> all() {
    std::vector<std::string> out = alternatives(false);
    if (at_ < text_.size()) refuse("a brace is closed that was not opened");
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(Code::kFailed, "the pattern of file names is not understood: " + what)
        .at(where_)
        .seen(pattern_ + (text_ == pattern_ ? "" : ", which is " + text_) + ", at character " + std::to_string(at_ + 1))
        .expected("a range or a list, as in audio__OP_0..511_CL_.tar or audio_{0..511}.tar")
        .next("brackets of any kind are braces here; rename files whose names have some");
  }
  void check_count(size_t count) const {
    if (count > kMostShards) refuse("it stands for more than " + std::to_string(kMostShards) + " files");
  }

  // Up to the end, or inside of braces up to the comma or the brace that ends them.
  std::vector<std::string> alternatives(bool inside) {
    std::vector<std::string> out = {""};
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '}' || (inside && c == ',')) break;
      std::vector<std::string> piece = {std::string(1, c)};
      if (c == '{')
        piece = braces();
      else
        ++at_;
      check_count(out.size() * piece.size());
      std::vector<std::string> joined;
      joined.reserve(out.size() * piece.size());
      for (const std::string& before : out) {
        for (const std::string& behind : piece) joined.push_back(before + behind);
      }
      out = std::move(joined);
    }
    return out;
  }

  std::vector<std::string> braces() {
    const size_t begin = ++at_;
    std::vector<std::string> out;
    size_t parts = 0;
    for (;; ++at_) {
      const std::vector<std::string> part = alternatives(true);
      out.insert(out.end(), part.begin(), part.end());
      check_count(out.size());
      ++parts;
      if (at_ == text_.size()) {
        at_ = begin - 1;
        refuse("a brace is opened and not closed");
      }
      if (text_[at_] == '}') break;
    }
    if (parts == 1) {
      const auto listed = range(std::string_view(text_).substr(begin, at_ - begin));
      if (!listed) {
        at_ = begin - 1;
        refuse("there is neither a range nor a list in the braces");
      }
      out = *listed;
    }
    ++at_;
    return out;
  }

  static std::optional<int64_t> number(std::string_view text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }

  // first..last or first..last..step, of numbers; as wide as the wider of the two where one has leading zeros.
  std::optional<std::vector<std::string>> range(std::string_view text) const {
    std::vector<std::string_view> ends;
    for (size_t start = 0; start <= text.size();) {
      const size_t end = std::min(text.find("..", start), text.size());
      ends.push_back(text.substr(start, end - start));
      start = end + 2;
    }
    if (ends.size() < 2 || ends.size() > 3) return std::nullopt;
    const auto first = number(ends[0]), last = number(ends[1]);
    const auto given = ends.size() == 3 ? number(ends[2]) : std::optional<int64_t>(1);
    if (!first || !last || !given) return std::nullopt;
    constexpr int64_t kMost = int64_t{1} << 40;  // far from where differences overflow
    if (std::max({std::abs(*first), std::abs(*last), std::abs(*given)}) > kMost) return std::nullopt;
    const int64_t step = std::max<int64_t>(std::abs(*given), 1), way = *last >= *first ? 1 : -1;
    const int64_t count = std::abs(*last - *first) / step + 1;
    check_count(static_cast<size_t>(count));
    const auto padded = [](std::string_view digits) { return digits.size() > 1 && digits[digits[0] == '-'] == '0'; };
    const size_t width = padded(ends[0]) || padded(ends[1]) ? std::max(ends[0].size(), ends[1].size()) : 0;
    std::vector<std::string> out;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t value = *first + way * step * i;
      std::string digits = std::to_string(std::abs(value));
      const size_t sign = value < 0 ? 1 : 0;
      if (digits.size() + sign < width) digits.insert(0, width - sign - digits.size(), '0');
      out.push_back((sign != 0 ? "-" : "") + digits);
    }
    return out;
  }

  const std::string text_;
  const std::string& pattern_;
  const std::string& where_;
  size_t at_ = 0;
};

// At commas, but for those inside of braces.
std::vector<std::string> split_patterns(const std::string& value) {
  std::vector<std::string> out = {""};
  int depth = 0;
  for (const char c : with_braces(value)) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (c == ',' && depth <= 0)
      out.emplace_back();
    else if (c != ' ' || !out.back().empty())
      out.back() += c;
  }
  return out.size() == 1 ? std::vector<std::string>{value} : out;
}

}  // namespace

std::vector<std::string> expand_braces(const std::string& pattern, const std::string& where) {
  return BraceReader(with_braces(pattern), pattern, where).all();
}

std::vector<std::string> shard_paths(const Json& value, const std::string& where) {
  std::vector<std::string> out;
  if (value.is_array()) {
    for (const Json& item : value) {
      const auto inner = shard_paths(item, where);
      out.insert(out.end(), inner.begin(), inner.end());
    }
  } else if (value.is_string()) {
    for (const std::string& pattern : split_patterns(value.get<std::string>())) {
      const auto paths = expand_braces(pattern, where);
      out.insert(out.end(), paths.begin(), paths.end());
    }
  } else {
    throw Error(Code::kFailed, "not the names of files")
        .at(where)
        .seen(json_text(value))
        .expected("a pattern, or a list of patterns");
  }
  std::erase(out, "");
  if (out.empty()) throw Error(Code::kFailed, "no file is named").at(where).seen(json_text(value));
  return out;
}

std::vector<std::string> shards_of_rank(std::vector<std::string> shards, const std::string& strategy, const Rank& rank,
                                        const std::string& where) {
  const std::vector<std::string> known = {"scatter", "replicate"};
  if (std::find(known.begin(), known.end(), strategy) == known.end()) {
    throw Error(Code::kFailed, "there is no such way to share shards among processes")
        .at(where)
        .seen(strategy)
        .expected("scatter or replicate")
        .candidates(nearest_names(strategy, known));
  }
  if (strategy == "replicate" || rank.world <= 1) return shards;
  const auto count = static_cast<int64_t>(shards.size()), share = count / rank.world;
  if (share == 0) {
    throw Error(Code::kFailed, "there are fewer shards than processes, so that some would have no data")
        .at(where)
        .seen(std::to_string(count) + " shards for " + std::to_string(rank.world) + " processes")
        .next("cut the data into more shards, use fewer processes, or set tarred_shard_strategy=replicate");
  }
  if (count % rank.world != 0) {
    log(LogLevel::kWarning, "asr.data",
        where + ": " + std::to_string(count) + " shards do not divide by " + std::to_string(rank.world) +
            " processes; the last " + std::to_string(count % rank.world) + " are read by none");
  }
  const auto begin = shards.begin() + share * rank.rank;
  return {begin, begin + share};
}

}  // namespace fathom::asr
