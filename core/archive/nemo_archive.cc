#include "core/archive/nemo_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "core/archive/mapped_file.h"
#include "core/base/text.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kUnpackAllowance = 64 << 20;  // beyond the ratio, for small files
constexpr size_t kMaxMembers = 20'000;

using Reader = std::unique_ptr<archive, int (*)(archive*)>;

std::string archive_message(archive* handle) {
  const char* text = archive_error_string(handle);
  return text == nullptr ? "unknown error" : text;
}

[[noreturn]] void bad_archive(
    const std::string& path, const std::string& what, const std::string& seen = {},
    const std::string& next = "the file is damaged or was not copied completely; take another copy of it") {
  throw Error(Code::kBadData, "not a readable .nemo archive: " + what).at(path).seen(seen).next(next);
}

std::string_view without_dot(std::string_view name) {
  while (name.starts_with("./")) name.remove_prefix(2);
  return name;
}

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\\') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos) {
    return false;
  }
  for (const auto& part : split(name, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

}  // namespace

NemoArchive NemoArchive::open(const std::string& path) {
  NemoArchive out;
  out.path_ = path;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    out.is_folder_ = true;
    out.read_folder();
  } else {
    const auto file = MappedFile::open(path);
    out.is_compressed_ = is_gzip(file->bytes());
    out.read_tar(file, file->bytes());
  }
  out.refuse_files_that_are_folders();
  if (out.find(kNemoConfig) == nullptr) {
    bad_archive(path, "it has no model_config.yaml", {}, "give a file that NeMo's or fathom's save_to wrote");
  }
  return out;
}

void NemoArchive::add(std::string name, std::string_view bytes, std::shared_ptr<const MappedFile> owner) {
  if (find(name) != nullptr) bad_archive(path_, "two members have one name", name);
  if (members_.size() >= kMaxMembers) bad_archive(path_, "it has too many members");
  members_.push_back({std::move(name), bytes, std::move(owner)});
}

void NemoArchive::read_folder() {
  std::vector<std::string> names;
  const fs::path root(path_);
  // The hub's cache keeps a snapshot's files as links into the repository's own blobs/.
  std::error_code ignored;
  const fs::path blobs = fs::weakly_canonical(root, ignored).parent_path().parent_path() / "blobs";
  const auto is_blob = [&](const fs::path& link) {
    std::error_code error;
    const fs::path target = fs::canonical(link, error);
    return !error && target.parent_path() == blobs;
  };
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    // As when unpacking: a link could lead anywhere.
    if (entry.is_symlink() && !is_blob(entry.path()))
      bad_archive(path_, "it holds a link", entry.path().string(), "replace the link by the file");
    if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(root).generic_string());
    if (names.size() > kMaxMembers) bad_archive(path_, "it has too many members");
  }
  std::sort(names.begin(), names.end());
  for (auto& name : names) {
    const auto file = MappedFile::open((root / name).string());
    add(std::move(name), file->bytes(), file);
  }
}

void NemoArchive::read_tar(std::shared_ptr<const MappedFile> owner, std::string_view file) {
  if (file.empty()) bad_archive(path_, "the file is empty");
  const Reader reader(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(reader.get());
  archive_read_support_filter_gzip(reader.get());
  if (archive_read_open_memory(reader.get(), file.data(), file.size()) != ARCHIVE_OK) {
    bad_archive(path_, archive_message(reader.get()));
  }
  const uint64_t limit = file.size() * kMaxUnpackRatio + kUnpackAllowance;
  uint64_t unpacked = 0;
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
      bad_archive(path_, archive_message(reader.get()), {},
                  file.starts_with("version https://git-lfs")
                      ? "this is a Git LFS pointer: run `git lfs pull`"
                      : "give a .nemo file; if it is one, it is damaged: copy it again");
    }
    const char* raw_name = archive_entry_pathname(entry);
    const std::string full_name = raw_name == nullptr ? "" : raw_name;
    if (archive_entry_hardlink(entry) != nullptr || archive_entry_symlink(entry) != nullptr) {
      bad_archive(path_, "it holds a link", full_name, "NeMo writes none: do not trust this file");
    }
    std::string name(without_dot(full_name));
    if (archive_entry_filetype(entry) == AE_IFDIR) {
      while (name.ends_with('/')) name.pop_back();
      if (!name.empty() && name != "." && !is_safe_name(name)) {
        bad_archive(path_, "a folder lies outside it", full_name, "NeMo writes none such: do not trust this file");
      }
      continue;
    }
    if (archive_entry_filetype(entry) != AE_IFREG) {
      bad_archive(path_, "it holds something that is neither file nor folder", full_name,
                  "NeMo writes none: do not trust this file");
    }
    if (!is_safe_name(name)) {
      bad_archive(path_, "a member lies outside it", full_name, "NeMo writes none such: do not trust this file");
    }
    const la_int64_t stated = archive_entry_size(entry);
    if (stated < 0 || static_cast<uint64_t>(stated) > limit) bad_archive(path_, "a member of absurd size", full_name);
    const auto size = static_cast<uint64_t>(stated);

    // Blocks of a plain tar point into the mapped file: members then need no copy.
    std::string_view view;
    std::optional<std::string> copy;
    uint64_t got = 0;
    while (true) {
      const void* block = nullptr;
      size_t block_size = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(reader.get(), &block, &block_size, &offset);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK) bad_archive(path_, archive_message(reader.get()), full_name);
      if (block_size == 0) continue;
      if (static_cast<uint64_t>(offset) != got) bad_archive(path_, "a member is stored with holes", full_name);
      const auto* from = static_cast<const char*>(block);
      got += block_size;
      unpacked += block_size;
      if (got > size || unpacked > limit) bad_archive(path_, "it unpacks to an absurd size", full_name);
      const bool mapped = from >= file.data() && from + block_size <= file.data() + file.size();
      if (mapped && !copy && (view.empty() || view.data() + view.size() == from)) {
        view = {view.empty() ? from : view.data(), view.size() + block_size};
        continue;
      }
      if (!copy) copy.emplace(view);
      copy->append(from, block_size);
    }
    if (got != size) bad_archive(path_, "a member is cut short", full_name);
    if (copy) {
      const auto unpacked = MappedFile::of_bytes(*std::move(copy));
      add(std::move(name), unpacked->bytes(), unpacked);
    } else {
      add(std::move(name), view, owner);
    }
  }
}

// Unpacked, one would stand in the place of the other.
void NemoArchive::refuse_files_that_are_folders() const {
  std::set<std::string_view> names;
  for (const Member& member : members_) names.insert(member.name);
  for (const std::string_view name : names) {
    for (size_t slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/', slash + 1)) {
      if (names.contains(name.substr(0, slash)))
        bad_archive(path_, "it holds a file and a folder of one name", std::string(name.substr(0, slash)));
    }
  }
}

const NemoArchive::Member* NemoArchive::find(std::string_view name) const {
  name = without_dot(name);
  const auto it = std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return m.name == name; });
  return it == members_.end() ? nullptr : &*it;
}

const NemoArchive::Member& NemoArchive::at(std::string_view name) const {
  if (const Member* member = find(name)) return *member;
  std::vector<std::string> names;
  for (const auto& member : members_) names.push_back(member.name);
  throw Error(Code::kBadData, fmt::format("the archive has no member '{}'", name))
      .at(path_)
      .candidates(nearest_names(name, names))
      .next("`fathom inspect` lists the members");
}

std::string NemoArchive::extract(std::string_view name, const std::string& folder) const {
  const Member& member = at(name);
  const fs::path target = fs::path(folder) / member.name;
  create_directories(target.parent_path().string());
  // Not in one step: thousands of small files need not each be on the disk before the next is begun.
  std::ofstream out(target, std::ios::binary | std::ios::trunc);
  out.write(member.bytes.data(), static_cast<std::streamsize>(member.bytes.size()));
  out.close();
  if (!out) {
    throw Error(Code::kIo, std::string("cannot unpack a member: ") + std::strerror(errno))
        .at(target.string())
        .next("make room there; models are unpacked below TMPDIR, which may be on another disk");
  }
  return target.string();
}

void NemoArchive::extract_artifacts(const std::string& folder) const {
  for (const auto& member : members_) {
    if (!member.name.ends_with(kNemoWeights)) extract(member.name, folder);
  }
}

NemoMember NemoMember::of_text(std::string name, std::string text) {
  const uint64_t size = text.size();
  return {std::move(name), size, [text = std::move(text)](FileWriter& writer) { writer.write(text); }};
}

NemoMember NemoMember::of_file(std::string name, std::string path) {
  const auto file = MappedFile::open(path);
  return {std::move(name), file->bytes().size(), [file](FileWriter& writer) { writer.write(file->bytes()); }};
}

namespace {

void check_members(const std::vector<NemoMember>& members, const std::string& path) {
  for (size_t i = 0; i < members.size(); ++i) {
    if (!is_safe_name(members[i].name)) {
      throw Error(Code::kUsage, "a member of a .nemo archive has an unusable name").at(path).seen(members[i].name);
    }
    for (size_t k = 0; k < i; ++k) {
      if (members[k].name == members[i].name) {
        throw Error(Code::kUsage, "two members of a .nemo archive have one name").at(path).seen(members[i].name);
      }
    }
  }
}

// Exceptions must not pass through libarchive's C frames.
struct Sink {
  FileWriter* writer;
  std::exception_ptr failure;
};

la_ssize_t write_to_sink(archive* handle, void* data, const void* buffer, size_t size) {
  auto* sink = static_cast<Sink*>(data);
  try {
    sink->writer->write({static_cast<const char*>(buffer), size});
    return static_cast<la_ssize_t>(size);
  } catch (...) {
    sink->failure = std::current_exception();
    archive_set_error(handle, -1, "the output failed");
    return -1;
  }
}

void check(archive* handle, const Sink& sink, int64_t result, const std::string& path) {
  if (sink.failure) std::rethrow_exception(sink.failure);
  if (result < ARCHIVE_WARN) {
    throw Error(Code::kIo, "cannot write the archive: " + archive_message(handle)).at(path);
  }
}

class MemberWriter final : public FileWriter {
 public:
  MemberWriter(archive* handle, const Sink& sink, const std::string& path)
      : handle_(handle), sink_(sink), path_(path) {}
  void write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const la_ssize_t count = archive_write_data(handle_, bytes.data(), bytes.size());
      check(handle_, sink_, count, path_);
      if (count <= 0) throw Error(Code::kInternal, "an archive member is longer than it said").at(path_);
      written_ += static_cast<uint64_t>(count);
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }
  uint64_t written() const { return written_; }

 private:
  archive* handle_;
  const Sink& sink_;
  const std::string& path_;
  uint64_t written_ = 0;
};

void write_header(archive* handle, const Sink& sink, const std::string& path, const std::string& name, bool folder,
                  uint64_t size) {
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), folder ? AE_IFDIR : AE_IFREG);
  archive_entry_set_perm(entry.get(), folder ? 0755 : 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  archive_entry_set_mtime(entry.get(), 0, 0);
  check(handle, sink, archive_write_header(handle, entry.get()), path);
}

}  // namespace

void write_nemo_archive(const std::string& path, const std::vector<NemoMember>& members) {
  check_members(members, path);
  if (const auto parent = fs::path(path).parent_path(); !parent.empty()) create_directories(parent.string());
  write_file_atomically(path, [&](FileWriter& file) {
    Sink sink{&file, nullptr};
    const Reader handle(archive_write_new(), archive_write_free);
    archive_write_set_format_pax_restricted(handle.get());  // plain ustar unless a name or size needs more
    check(handle.get(), sink, archive_write_open(handle.get(), &sink, nullptr, write_to_sink, nullptr), path);
    write_header(handle.get(), sink, path, "./", true, 0);
    for (const auto& member : members) {
      write_header(handle.get(), sink, path, "./" + member.name, false, member.size);
      MemberWriter writer(handle.get(), sink, path);
      member.produce(writer);
      if (writer.written() != member.size) {
        throw Error(Code::kInternal, "an archive member is shorter than it said").at(path).seen(member.name);
      }
    }
    check(handle.get(), sink, archive_write_close(handle.get()), path);
  });
}

}  // namespace fathom::checkpoint
