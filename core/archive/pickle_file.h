// Files of torch.save, without torch: the zip container (torch 1.6 and later) and the plain sequence of pickles before
// it. torch_file.h adds tensors. Reading is safe for any input: damage and hostility are Errors(kBadData). Thread-safe:
// no shared state.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/mapped_file.h"
#include "core/archive/pickle_reader.h"
#include "core/archive/zip_writer.h"
#include "core/base/file.h"

namespace fathom::checkpoint {

struct PickleFileOptions {
  PickleOptions::UnknownGlobals unknown_globals = PickleOptions::UnknownGlobals::kReject;
  bool verify = true;  // check the CRC-32 of every storage; the pickle's own is always checked
};

struct PickleFile {
  enum class Container : uint8_t { kZip, kLegacy };
  PickleValue value;  // its storages have their bytes, little endian, as views into `file` where possible
  std::vector<std::shared_ptr<PickleStorage>> storages;
  Container container = Container::kZip;
  std::string root;  // the folder inside the zip: "archive", or the name of the file torch.save wrote
};

PickleFile read_pickle_file(const std::string& path, const PickleFileOptions& options = {});
// `bytes` lies in memory that `owner` keeps alive (null: the caller does); `source` names it in errors.
PickleFile read_pickle_bytes(std::string_view bytes, std::shared_ptr<const MappedFile> owner, const std::string& source,
                             const PickleFileOptions& options = {});

// A file to be written: everything is laid out by the constructor, so that size() is known before the first byte.
class PickleFileWriter {
 public:
  // Tensors in `value` must stay unchanged until the last write(). `root`: see PickleFile::root.
  explicit PickleFileWriter(const PickleValue& value, const std::string& root = "archive");
  uint64_t size() const { return zip_.size(); }
  void write(FileWriter& writer) const { zip_.write(writer); }

 private:
  ZipWriter zip_;
};

}  // namespace fathom::checkpoint
