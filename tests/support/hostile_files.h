// Files that nobody wrote in good faith, put together byte by byte: what the writers under test would refuse to write.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/archive/crc32.h"
#include "core/archive/zip_writer.h"

namespace fathom::hostile {

template <typename T>
std::string raw(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

inline std::string times(std::string_view text, size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

using Members = std::vector<std::pair<std::string, std::string>>;

inline std::string zip_of(const Members& members) {
  class Text final : public FileWriter {
   public:
    void write(std::string_view bytes) override { text += bytes; }
    std::string text;
  } out;
  checkpoint::ZipWriter zip;
  for (const auto& [name, bytes] : members) zip.add_copy(name, bytes);
  zip.write(out);
  return out.text;
}

// --- pickles ---------------------------------------------------------------------------------------------------------

inline std::string text_op(std::string_view text) {
  return "X" + raw(static_cast<uint32_t>(text.size())) + std::string(text);
}
inline std::string pickle(std::string_view body) { return "\x80\x02" + std::string(body) + "."; }
// A checkpoint with this pickle, and these storages.
inline std::string checkpoint_of(const std::string& pickle, const Members& storages = {}) {
  Members members = {{"archive/data.pkl", pickle}, {"archive/byteorder", "little"}};
  for (const auto& [key, bytes] : storages) members.emplace_back("archive/data/" + key, bytes);
  members.emplace_back("archive/version", "3\n");
  return zip_of(members);
}
// Lists that each hold the one before twice: 2^levels values.
inline std::string doubling(int levels) {
  std::string out = "]q" + raw(uint8_t{0});
  for (int i = 0; i < levels; ++i) {
    const std::string known = "h" + raw(static_cast<uint8_t>(i));
    out += "0](" + known + known + "eq" + raw(static_cast<uint8_t>(i + 1));
  }
  return out;
}
// {"state_dict": {"w": a tensor}} over storage "0" of `elements` floats.
inline std::string tensor_pickle(int32_t elements, int64_t offset, const std::vector<int32_t>& sizes,
                                 const std::vector<int32_t>& strides, const std::string& key = "0") {
  const auto tuple = [](const std::vector<int32_t>& values) {
    std::string out = "(";
    for (const int32_t value : values) out += "J" + raw(value);
    return out + "t";
  };
  return pickle("}" + text_op("state_dict") + "}" + text_op("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" +
                text_op("storage") + "ctorch\nFloatStorage\n" + text_op(key) + text_op("cpu") + "J" + raw(elements) +
                "tQ\x8a\x08" + raw(offset) + tuple(sizes) + tuple(strides) + "\x89" +
                "ccollections\nOrderedDict\n)RtRss");
}

// --- tar -------------------------------------------------------------------------------------------------------------

struct TarMember {
  std::string name, bytes;
  char type = '0';  // '0' file, '1' hard link, '2' link, '3' device, '5' folder, '6' pipe
  std::string link = {};
  int64_t stated = -1;  // bytes that the header says; -1: as many as there are
};

inline std::string tar_of(const std::vector<TarMember>& members) {
  std::string out;
  for (const TarMember& member : members) {
    std::string header(512, '\0');
    const auto put = [&](size_t at, const std::string& text) { header.replace(at, text.size(), text); };
    const auto octal = [](int64_t value, int digits) {
      char text[24];
      std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
      return std::string(text);
    };
    put(0, member.name.substr(0, 99));
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(member.stated < 0 ? static_cast<int64_t>(member.bytes.size()) : member.stated, 11));
    put(136, "00000000000");
    put(148, "        ");
    header[156] = member.type;
    put(157, member.link.substr(0, 99));
    put(257, std::string("ustar\00000", 8));
    int64_t sum = 0;
    for (const char c : header) sum += static_cast<uint8_t>(c);
    put(148, octal(sum, 6) + std::string("\0 ", 2));
    out += header + member.bytes + std::string((512 - member.bytes.size() % 512) % 512, '\0');
  }
  return out + std::string(1024, '\0');
}

// --- safetensors -----------------------------------------------------------------------------------------------------

inline std::string safetensors_of(const std::string& header, const std::string& data = {}) {
  return raw(static_cast<uint64_t>(header.size())) + header + data;
}

}  // namespace fathom::hostile
