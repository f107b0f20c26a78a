#include "core/plugins/elf_section.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fathom/error.h"

namespace fathom::plugins {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
#error "name this processor's ELF machine number"
#endif

// A section larger than this is no description: refuse it rather than read gigabytes.
constexpr uint64_t kLargestSection = 256u << 20;
constexpr size_t kMostSections = 1u << 20;

class ElfFile {
 public:
  explicit ElfFile(const std::string& path) : path_(path) {
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      const int reason = errno;
      throw Error(reason == ENOENT ? Code::kNoInput : Code::kIo, "cannot open the library: " + reason_text(reason))
          .at(path);
    }
    struct stat info {};
    if (::fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(descriptor_);
      throw Error(Code::kBadData, "not a regular file").at(path);
    }
    size_ = static_cast<uint64_t>(info.st_size);
    try {
      read_headers();
    } catch (...) {
      ::close(descriptor_);
      throw;
    }
  }
  ~ElfFile() { ::close(descriptor_); }
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  const std::vector<Elf64_Shdr>& sections() const { return sections_; }

  std::string_view name_of(const Elf64_Shdr& section) const {
    if (section.sh_name >= names_.size()) bad("a section's name lies outside the name table");
    const char* begin = names_.data() + section.sh_name;
    return {begin, ::strnlen(begin, names_.size() - section.sh_name)};
  }

  std::string content(const Elf64_Shdr& section) const {
    if (section.sh_type == SHT_NOBITS) return {};
    if (section.sh_size > kLargestSection) bad("a section is too large");
    return bytes(section.sh_offset, section.sh_size, "a section");
  }

  [[noreturn]] void bad(const std::string& why) const {
    throw Error(Code::kBadData, "not a usable shared library: " + why).at(path_);
  }

 private:
  static std::string reason_text(int reason) { return std::strerror(reason); }

  std::string bytes(uint64_t offset, uint64_t count, const char* what) const {
    if (offset > size_ || count > size_ - offset) bad(std::string("the file is cut off inside ") + what);
    std::string out(count, '\0');
    uint64_t done = 0;
    while (done < count) {
      const ssize_t got = ::pread(descriptor_, out.data() + done, count - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error(Code::kIo, "cannot read the library: " + reason_text(errno)).at(path_);
      if (got == 0) bad(std::string("the file is cut off inside ") + what);
      done += static_cast<uint64_t>(got);
    }
    return out;
  }

  void read_headers() {
    if (size_ < EI_NIDENT) bad(size_ == 0 ? "the file is empty" : "it is no ELF file");
    const std::string start = bytes(0, std::min<uint64_t>(size_, sizeof(Elf64_Ehdr)), "the header");
    if (start.compare(0, SELFMAG, ELFMAG) != 0) bad("it is no ELF file");
    if (start[EI_CLASS] != ELFCLASS64) bad("it is not a 64-bit library");
    if (start[EI_DATA] != ELFDATA2LSB) bad("its byte order is not this machine's");
    if (start.size() < sizeof(Elf64_Ehdr)) bad("the file is cut off inside the header");
    Elf64_Ehdr header;
    std::memcpy(&header, start.data(), sizeof(header));
    if (header.e_type != ET_DYN) bad("it is an ELF file but not a shared library");
    if (header.e_machine != kMachine) bad("it was built for another processor");
    if (header.e_shoff == 0) return;  // no section table at all: sound, but carries nothing for us
    if (header.e_shentsize != sizeof(Elf64_Shdr)) bad("its section table has an unknown entry size");

    uint64_t count = header.e_shnum, names_index = header.e_shstrndx;
    if (count == 0 || names_index == SHN_XINDEX) {  // large tables keep both numbers in the first entry
      Elf64_Shdr first;
      const std::string raw = bytes(header.e_shoff, sizeof(first), "the section table");
      std::memcpy(&first, raw.data(), sizeof(first));
      if (count == 0) count = first.sh_size;
      if (names_index == SHN_XINDEX) names_index = first.sh_link;
    }
    if (count == 0) return;
    if (count > kMostSections) bad("its section table is too large");
    const std::string raw = bytes(header.e_shoff, count * sizeof(Elf64_Shdr), "the section table");
    sections_.resize(count);
    std::memcpy(sections_.data(), raw.data(), raw.size());
    if (names_index >= count) bad("its table of section names is missing");
    names_ = content(sections_[names_index]);
  }

  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  std::vector<Elf64_Shdr> sections_;
  std::string names_;
};

}  // namespace

std::optional<std::string> read_elf_section(const std::string& path, std::string_view name) {
  const ElfFile file(path);
  for (const auto& section : file.sections()) {
    if (section.sh_type != SHT_NULL && file.name_of(section) == name) return file.content(section);
  }
  return std::nullopt;
}

std::vector<std::string> exported_symbols(const std::string& path) {
  const ElfFile file(path);
  std::vector<std::string> names;
  for (const auto& section : file.sections()) {
    if (section.sh_type != SHT_DYNSYM) continue;
    if (section.sh_link >= file.sections().size()) file.bad("its symbol table has no names");
    const std::string table = file.content(section), strings = file.content(file.sections()[section.sh_link]);
    for (size_t at = 0; at + sizeof(Elf64_Sym) <= table.size(); at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, table.data() + at, sizeof(symbol));
      const auto binding = ELF64_ST_BIND(symbol.st_info);
      const auto visibility = ELF64_ST_VISIBILITY(symbol.st_other);
      const bool global = binding == STB_GLOBAL || binding == STB_WEAK || binding == STB_GNU_UNIQUE;
      if (!global || symbol.st_shndx == SHN_UNDEF || visibility == STV_HIDDEN || visibility == STV_INTERNAL) continue;
      if (symbol.st_name >= strings.size()) file.bad("a symbol's name lies outside its table");
      const char* begin = strings.data() + symbol.st_name;
      names.emplace_back(begin, ::strnlen(begin, strings.size() - symbol.st_name));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace fathom::plugins
