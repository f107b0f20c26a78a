#include "core/archive/pickle_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "core/archive/pickle_writer.h"
#include "core/archive/zip_reader.h"
#include "core/base/text.h"
#include "fathom/error.h"
#include "fathom/utf8.h"

namespace fathom::checkpoint {
namespace {

constexpr int64_t kNewestVersion = 10;  // of the zip container, as torch 2 reads
constexpr int64_t kLegacyProtocol = 1001;
constexpr std::string_view kLegacyMagic = "119547037146038801333356";  // 0x1950a86a20f9469cfc6c
constexpr std::string_view kPickleName = "/data.pkl";
constexpr uint64_t kMaxPickleRatio = 200;  // a pickle that inflates further than this is a bomb

[[noreturn]] void fail(const std::string& source, const std::string& what, const std::string& seen = {}) {
  throw Error(Code::kBadData, "not a readable checkpoint: " + what)
      .at(source)
      .seen(seen)
      .next("the file is damaged or was not written by torch.save; take another copy of it");
}

void swap_bytes(PickleStorage& storage) {
  const size_t unit = info_of(storage.dtype).swap_unit;
  if (unit == 1) return;
  auto swapped = std::make_shared<std::string>(storage.bytes);
  for (size_t i = 0; i + unit <= swapped->size(); i += unit) {
    std::reverse(swapped->begin() + static_cast<std::ptrdiff_t>(i),
                 swapped->begin() + static_cast<std::ptrdiff_t>(i + unit));
  }
  storage.bytes = *swapped;
  storage.owner = std::move(swapped);
  storage.mapped = nullptr;
}

std::string small_record(const ZipReader& zip, const std::string& name) {
  const ZipMember* member = zip.find(name);
  if (member == nullptr || member->size > 64) return {};
  return std::string(trim(zip.read(*member).bytes));
}

PickleFile read_zip(std::string_view bytes, const std::shared_ptr<const MappedFile>& owner, const std::string& source,
                    const PickleFileOptions& options) {
  const ZipReader zip(bytes, source);
  PickleFile file;
  const ZipMember* pickle = nullptr;
  for (const auto& member : zip.members()) {
    const size_t slash = member.name.find('/');
    if (slash != std::string::npos && member.name.substr(slash) == kPickleName) {
      if (pickle != nullptr) fail(source, "it holds two checkpoints", member.name);
      pickle = &member;
      file.root = member.name.substr(0, slash);
    }
  }
  if (pickle == nullptr) {
    throw Error(Code::kBadData, "a zip archive that is no checkpoint: it has no data.pkl")
        .at(source)
        .next("give a file written by torch.save, NeMo or Lightning");
  }
  for (const auto& member : zip.members()) {
    if (!member.name.starts_with(file.root + "/") || member.name.find("/../") != std::string::npos) {
      fail(source, "a member lies outside the archive's folder", member.name);
    }
  }
  std::string version = small_record(zip, file.root + "/version");
  if (version.empty()) version = small_record(zip, file.root + "/.data/version");
  if (!version.empty()) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), number);
    if (error != std::errc() || end != version.data() + version.size())
      fail(source, "its version is no number", version);
    if (number > kNewestVersion) {
      throw Error(Code::kBadData, "the checkpoint has a newer form than this program can read")
          .at(source)
          .seen("version " + version)
          .expected(fmt::format("at most {}", kNewestVersion))
          .next("save it with an older PyTorch, or use a newer fathom");
    }
  }
  if (zip.find(file.root + "/constants.pkl") != nullptr) {
    throw Error(Code::kBadData, "a TorchScript program, not a checkpoint")
        .at(source)
        .next("save the state_dict of the model in Python and give that file");
  }
  std::string byteorder = "little";  // files before torch 2.1 do not say, and are little
  if (zip.find(file.root + "/byteorder") != nullptr) byteorder = small_record(zip, file.root + "/byteorder");
  if (byteorder != "little" && byteorder != "big") fail(source, "unknown byte order", byteorder);

  if (pickle->deflated && pickle->size > pickle->packed_size * kMaxPickleRatio + (1 << 20)) {
    fail(source, "its pickle unpacks to an absurd size", std::to_string(pickle->size));
  }
  const ZipContent content = zip.read(*pickle);
  PickleReadResult read = read_pickle(content.bytes, {source, options.unknown_globals});
  for (const auto& storage : read.storages) {
    const std::string name = file.root + "/data/" + storage->key;
    const ZipMember* member = zip.find(name);
    if (member == nullptr) fail(source, "a storage is missing", name);
    if (member->size != storage->size) {
      fail(source, "a storage has another size than its tensors need",
           fmt::format("{}: {} bytes, not {}", name, member->size, storage->size));
    }
    ZipContent data = zip.read(*member, options.verify);
    storage->bytes = data.bytes;
    storage->owner = data.owner ? std::shared_ptr<const void>(data.owner) : owner;
    if (!data.owner && owner != nullptr) {
      storage->mapped = owner;
      if (options.verify) owner->release(data.bytes);  // it was read whole
    }
    if (byteorder == "big") swap_bytes(*storage);
  }
  file.value = std::move(read.value);
  file.storages = std::move(read.storages);
  return file;
}

// magic number, protocol version, {"little_endian": …}, the value, [storage keys]: five pickles; then for each storage
// its number of elements (int64) and its bytes.
PickleFile read_legacy(std::string_view bytes, const std::shared_ptr<const MappedFile>& owner,
                       const std::string& source, const PickleFileOptions& options) {
  size_t at = 0;
  auto next = [&] {
    PickleReadResult read = read_pickle(bytes.substr(at), {source, options.unknown_globals});
    at += read.consumed;
    return read;
  };
  const PickleValue magic = next().value;
  if (magic.kind() != PickleValue::Kind::kBigInt || magic.as_string() != kLegacyMagic) {
    fail(source, "a pickle, but not one of torch.save");
  }
  const PickleValue protocol = next().value;
  if (protocol.kind() != PickleValue::Kind::kInt || protocol.as_int() != kLegacyProtocol) {
    fail(source, "an unknown version of the format before torch 1.6");
  }
  const PickleValue system = next().value;
  const PickleValue* little = system.find("little_endian");
  if (little == nullptr || little->kind() != PickleValue::Kind::kBool || !little->as_bool()) {
    fail(source, "written on a big-endian machine in the format before torch 1.6, which is not supported");
  }
  PickleReadResult read = next();
  const PickleValue keys = next().value;
  if (!keys.is_sequence()) fail(source, "its list of storages is damaged");
  std::unordered_map<std::string, std::shared_ptr<PickleStorage>> missing;
  for (const auto& storage : read.storages) missing.emplace(storage->key, storage);
  for (const auto& key : keys.items()) {
    const auto it = key.is_string() ? missing.find(key.as_string()) : missing.end();
    if (it == missing.end()) fail(source, "its list of storages names one that no tensor uses, or one twice");
    PickleStorage& storage = *it->second;
    if (bytes.size() - at < 8) fail(source, "it ends in the middle of a storage", storage.key);
    int64_t count = 0;
    std::memcpy(&count, bytes.data() + at, sizeof count);
    at += sizeof count;
    const uint64_t item = info_of(storage.dtype).size;
    if (count < 0 || static_cast<uint64_t>(count) != storage.size / item) {
      fail(source, "a storage has another size than its tensors need", fmt::format("{} elements", count));
    }
    if (bytes.size() - at < storage.size) fail(source, "it ends in the middle of a storage", storage.key);
    storage.bytes = bytes.substr(at, storage.size);
    storage.owner = owner;
    storage.mapped = owner;
    at += storage.size;
    missing.erase(it);
  }
  if (!missing.empty()) fail(source, "a storage is missing", missing.begin()->first);
  PickleFile file;
  file.value = std::move(read.value);
  file.storages = std::move(read.storages);
  file.container = PickleFile::Container::kLegacy;
  return file;
}

// Twice 20 digits, from the names and from the content, as torch.save's serialization_id is made up.
std::string serialization_id(const std::string& names, const std::vector<uint32_t>& checksums) {
  uint64_t by_name = 0xcbf29ce484222325, by_content = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : names) by_name = (by_name ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  for (const uint32_t crc : checksums) by_content = (by_content ^ crc) * 0x100000001b3;
  return fmt::format("{:020}{:020}", by_name, by_content);
}

}  // namespace

PickleFile read_pickle_file(const std::string& path, const PickleFileOptions& options) {
  const auto file = MappedFile::open(path);
  return read_pickle_bytes(file->bytes(), file, path, options);
}

PickleFile read_pickle_bytes(std::string_view bytes, std::shared_ptr<const MappedFile> owner, const std::string& source,
                             const PickleFileOptions& options) {
  if (ZipReader::looks_like_zip(bytes)) return read_zip(bytes, owner, source, options);
  if (!bytes.empty() && bytes[0] == '\x80') return read_legacy(bytes, owner, source, options);
  const std::string start(bytes.substr(0, 40));
  throw Error(Code::kBadData, "not a checkpoint")
      .at(source)
      .seen(bytes.empty() ? "an empty file" : (utf8::is_valid(start) ? start : std::string("other data")))
      .expected("a file written by torch.save (.ckpt, .pt, .pth)")
      .next(start.starts_with("version https://git-lfs") ? "this is a Git LFS pointer: run `git lfs pull`"
                                                         : "check the path, or copy the file again");
}

PickleFileWriter::PickleFileWriter(const PickleValue& value, const std::string& root) {
  PickledValue pickled = write_pickle(value);
  std::string names;
  auto add = [&](const std::string& name, std::string bytes) {
    names += name;
    zip_.add_copy(root + "/" + name, std::move(bytes));
  };
  add("data.pkl", std::move(pickled.pickle));
  add(".format_version", "1");
  add(".storage_alignment", std::to_string(ZipWriter::kAlignment));
  add("byteorder", "little");
  for (size_t i = 0; i < pickled.storages.size(); ++i) {
    const std::string name = fmt::format("data/{}", i);
    names += name;
    zip_.add(root + "/" + name, pickled.storages[i]->bytes, pickled.storages[i]);
  }
  add("version", "3\n");
  const std::string id = serialization_id(names, zip_.checksums());
  add(".data/serialization_id", id);
}

}  // namespace fathom::checkpoint
