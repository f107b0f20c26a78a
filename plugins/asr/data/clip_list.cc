#include "plugins/asr/data/clip_list.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "plugins/lib/audio/tar_index.h"

namespace fathom::asr {
namespace {

// The last number in a shard's name: of audio_12.tar, 12.
std::optional<int64_t> number_of_shard(const std::string& path) {
  const std::string_view name = file_id(path);
  const size_t last = name.find_last_of("0123456789");
  if (last == std::string_view::npos) return std::nullopt;
  const size_t before = name.find_last_not_of("0123456789", last);
  const std::string_view digits = name.substr(before == std::string_view::npos ? 0 : before + 1);
  int64_t number = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc()) return std::nullopt;
  return number;
}

}  // namespace

std::string_view file_id(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? name : name.substr(0, dot);
}

class ClipList::Joiner {
  // Counts what does not fit, and keeps the first names.
  class Unmatched {
   public:
    void add(const std::string& name) {
      constexpr int64_t kNamed = 3;
      if (count_++ < kNamed) names_ += (names_.empty() ? "" : ", ") + name;
    }
    int64_t count() const { return count_; }
    std::string text() const { return names_ + (count_ > 3 ? ", …" : ""); }

   private:
    int64_t count_ = 0;
    std::string names_;
  };

 public:
  Joiner(ClipList& out, const std::vector<std::string>& names, const std::vector<std::string>& left_out) : out_(out) {
    rows_.reserve(names.size());
    for (size_t i = 0; i < names.size(); ++i) rows_[file_id(names[i])].push_back(static_cast<int64_t>(i));
    for (const std::string& name : left_out) left_out_.insert(file_id(name));
    found_.resize(names.size());
  }

  void add_shard(const std::string& path) {
    out_.starts_.push_back(static_cast<int64_t>(out_.places_.size()));
    out_.shards_.push_back(path);
    if (const auto number = number_of_shard(path)) numbers_.emplace(*number, path);
    for (const audio::TarMember& member : audio::tar_members(path)) {
      ++members_;
      const auto rows = rows_.find(file_id(member.name));
      if (rows == rows_.end()) {
        if (!left_out_.contains(file_id(member.name))) unlisted_.add(path + ":" + member.name);
        continue;
      }
      for (const int64_t row : rows->second) {
        out_.places_.push_back({row, {member.begin, member.size}});
        found_[static_cast<size_t>(row)] = true;
      }
    }
  }

  void finish(const std::string& where, bool shared) {
    out_.starts_.push_back(static_cast<int64_t>(out_.places_.size()));
    Unmatched missing;
    for (size_t row = 0; row < found_.size(); ++row) {
      if (found_[row]) continue;
      const audio::ManifestEntry entry = out_.manifest_.entry(static_cast<int64_t>(row));
      refuse_if_promised(entry);
      missing.add(entry.where() + " (" + entry.named_as + ")");
    }
    if (out_.places_.empty() && !(left_out_.size() > 0 && unlisted_.count() == 0 && members_ > 0)) {
      throw Error(Code::kBadData, "the shards and their manifest have no clip in common")
          .at(where)
          .seen(std::to_string(members_) + " files in " + std::to_string(out_.shards_.size()) + " shards" +
                (unlisted_.count() > 0 ? ", such as " + unlisted_.text() : "") +
                (missing.count() > 0 ? "; the manifest has " + missing.text() : ""))
          .expected("audio_filepath of a line, without folders and ending, to be the name of a file in a shard");
    }
    if (unlisted_.count() > 0) {
      log(LogLevel::kWarning, "asr.data",
          std::to_string(unlisted_.count()) +
              " files in the shards are not in the manifest and were passed over: " + unlisted_.text());
    }
    if (missing.count() > 0) {
      // Of several processes each has its share of the shards.
      log(shared ? LogLevel::kInfo : LogLevel::kWarning, "asr.data",
          std::to_string(missing.count()) + " lines of the manifest name clips that none of the " +
              std::to_string(out_.shards_.size()) + " shards holds, and give no items: " + missing.text());
    }
  }

 private:
  // A line that says in which shard its clip lies is held to it, where that shard is among those that were read.
  void refuse_if_promised(const audio::ManifestEntry& entry) const {
    if (!entry.shard_id) return;
    const auto shard = numbers_.find(*entry.shard_id);
    if (shard == numbers_.end()) return;
    throw Error(Code::kBadData, "a shard lacks a clip that the manifest says it holds")
        .at(entry.where())
        .seen(entry.named_as + " with shard_id " + std::to_string(*entry.shard_id) + ", which " + shard->second +
              " does not hold")
        .next("take the manifest and the shards that were written together");
  }

  ClipList& out_;
  std::unordered_map<std::string_view, std::vector<int64_t>> rows_;
  std::unordered_set<std::string_view> left_out_;
  std::map<int64_t, std::string> numbers_;
  std::vector<bool> found_;
  int64_t members_ = 0;
  Unmatched unlisted_;
};

ClipList ClipList::of_tars(audio::Manifest clips, std::vector<std::string> names, std::vector<std::string> left_out,
                           const TarOptions& options) {
  if (options.tarred_audio_filepaths.is_null()) {
    throw Error(Code::kFailed, "is_tarred is set, but no tar files are named")
        .at("tarred_audio_filepaths")
        .expected("a pattern such as audio__OP_0..511_CL_.tar, or a list");
  }
  const std::vector<std::string> shards =
      shards_of_rank(shard_paths(options.tarred_audio_filepaths, "tarred_audio_filepaths"),
                     options.tarred_shard_strategy, options.rank, "tarred_shard_strategy");
  ClipList out(std::move(clips));
  Joiner joiner(out, names, left_out);
  for (const std::string& shard : shards) joiner.add_shard(shard);
  joiner.finish("tarred_audio_filepaths", options.rank.world > 1 && options.tarred_shard_strategy == "scatter");
  return out;
}

std::vector<int64_t> ClipList::shard_starts() const { return is_tarred() ? starts_ : std::vector<int64_t>{0, size()}; }

audio::ManifestEntry ClipList::entry(int64_t index) const {
  if (!is_tarred()) return manifest_.entry(index);
  const Place& at = place(index);
  audio::ManifestEntry entry = manifest_.entry(at.row);
  const auto shard = std::upper_bound(starts_.begin(), starts_.end() - 1, index) - starts_.begin() - 1;
  entry.audio_file = shards_[static_cast<size_t>(shard)];
  entry.part = at.part;
  return entry;
}

}  // namespace fathom::asr
