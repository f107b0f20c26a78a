// Reads one section of an ELF64 shared library without loading it: how plugins are listed in milliseconds, and how a
// file that must not run is looked into. Layout: System V gABI, chapter 4. Thread-safe: no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::plugins {

// The bytes of section `name` of the shared library at `path`; empty when the file is sound but has no such section.
// Throws Error: kNoInput or kIo when it cannot be read; kBadData when it is no 64-bit ELF shared library for this
// processor, or is cut off or inconsistent. Every offset is checked against the file's size: no input crashes it.
std::optional<std::string> read_elf_section(const std::string& path, std::string_view name);

// Names of the symbols the library exports (defined, global or weak, in .dynsym), sorted. Same errors.
std::vector<std::string> exported_symbols(const std::string& path);

}  // namespace fathom::plugins
