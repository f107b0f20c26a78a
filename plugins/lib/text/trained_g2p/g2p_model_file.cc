// The file of a G2P model: "FATHG2P1", the length of the body (u64), its FNV-1a checksum (u64), the body. All numbers
// are little-endian. Body: note (u32 length, bytes); order (u8); phonemes (u16; each u8 length, bytes); graphones (u32;
// each u8 letters, u32 each, u8 phonemes, u8 each); nodes (u32; each unit u16, children u16, cost u8, backoff u8).
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fathom/error.h"
#include "plugins/lib/text/trained_g2p/g2p_model.h"

namespace fathom::text {
namespace {

constexpr std::string_view kMagic = "FATHG2P1";
constexpr size_t kHead = 24, kLargest = size_t{256} << 20;

uint64_t checksum_of(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

template <typename T>
void put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xff);
}

class ModelReader {
 public:
  ModelReader(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}
  template <typename T>
  T number() {
    uint64_t value = 0;
    const std::string_view part = text(sizeof(T));
    for (size_t i = 0; i < sizeof(T); ++i)
      value |= static_cast<uint64_t>(static_cast<unsigned char>(part[i])) << (8 * i);
    return static_cast<T>(value);
  }
  std::string_view text(size_t length) {
    if (length > bytes_.size()) throw damaged("it ends early");
    const std::string_view out = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return out;
  }
  // Of items that take `least` bytes each at least: no more than there are bytes for.
  size_t count(size_t given, size_t least) const {
    if (given > bytes_.size() / least)
      throw damaged(std::to_string(given) + " items in " + std::to_string(bytes_.size()) + " bytes");
    return given;
  }
  bool at_end() const { return bytes_.empty(); }
  Error damaged(const std::string& seen) const {
    return Error(Code::kBadData, "a G2P model's file is damaged")
        .at(path_)
        .seen(seen)
        .next("take another copy, or train it again (fathom tts train-g2p)");
  }

 private:
  std::string_view bytes_;
  const std::string& path_;
};

}  // namespace

void G2pModel::save(const std::string& path) const {
  std::string body;
  put<uint32_t>(body, static_cast<uint32_t>(content_.note.size()));
  body += content_.note;
  put(body, content_.order);
  put<uint16_t>(body, static_cast<uint16_t>(content_.phonemes.size()));
  for (const std::string& phoneme : content_.phonemes) {
    put<uint8_t>(body, static_cast<uint8_t>(phoneme.size()));
    body += phoneme;
  }
  put<uint32_t>(body, static_cast<uint32_t>(content_.graphones.size()));
  for (const Graphone& graphone : content_.graphones) {
    put<uint8_t>(body, static_cast<uint8_t>(graphone.letters.size()));
    for (const char32_t letter : graphone.letters) put<uint32_t>(body, letter);
    put<uint8_t>(body, static_cast<uint8_t>(graphone.phonemes.size()));
    for (const uint8_t phoneme : graphone.phonemes) put(body, phoneme);
  }
  put<uint32_t>(body, static_cast<uint32_t>(content_.nodes.size()));
  for (const Node& node : content_.nodes) {
    put(body, node.unit);
    put(body, node.child_count);
    put(body, node.cost);
    put(body, node.backoff);
  }
  std::string head(kMagic);
  put<uint64_t>(head, body.size());
  put<uint64_t>(head, checksum_of(body));
  const std::string beside = path + ".part";
  std::ofstream file(beside, std::ios::binary | std::ios::trunc);
  file << head << body;
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(beside, path, error);
  if (!file || error) {
    std::filesystem::remove(beside, error);
    throw Error(Code::kIo, "a G2P model cannot be written").at(path);
  }
}

G2pModel G2pModel::open(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw Error(Code::kNoInput, "a G2P model cannot be read").at(path);
  const auto size = static_cast<size_t>(file.tellg());
  std::string bytes(std::min(size, kLargest), '\0');
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw Error(Code::kNoInput, "reading a G2P model failed").at(path);
  ModelReader head(bytes, path);
  if (bytes.size() < kHead || head.text(kMagic.size()) != kMagic) {
    throw Error(Code::kBadData, "not a G2P model").at(path).expected("a file of `fathom tts train-g2p`");
  }
  const auto length = head.number<uint64_t>(), checksum = head.number<uint64_t>();
  if (size > kLargest || length != size - kHead)
    throw head.damaged("a body of " + std::to_string(size - kHead) + " bytes, not " + std::to_string(length));
  const std::string_view body = std::string_view(bytes).substr(kHead);
  if (checksum_of(body) != checksum) throw head.damaged("another checksum");
  return parse_body(body, path);
}

G2pModel G2pModel::parse_body(std::string_view body, const std::string& path) {
  ModelReader in(body, path);
  Content content;
  content.note = in.text(in.number<uint32_t>());
  content.order = in.number<uint8_t>();
  const size_t phonemes = in.number<uint16_t>();
  for (size_t i = 0; i < phonemes; ++i) content.phonemes.emplace_back(in.text(in.number<uint8_t>()));
  content.graphones.resize(in.count(in.number<uint32_t>(), 2));
  for (Graphone& graphone : content.graphones) {
    graphone.letters.resize(in.number<uint8_t>());
    for (char32_t& letter : graphone.letters) letter = in.number<uint32_t>();
    graphone.phonemes.resize(in.number<uint8_t>());
    for (uint8_t& phoneme : graphone.phonemes) phoneme = in.number<uint8_t>();
  }
  content.nodes.resize(in.count(in.number<uint32_t>(), 6));
  for (Node& node : content.nodes) {
    node.unit = in.number<uint16_t>();
    node.child_count = in.number<uint16_t>();
    node.cost = in.number<uint8_t>();
    node.backoff = in.number<uint8_t>();
  }
  if (!in.at_end()) throw in.damaged("more than there should be");
  return G2pModel(std::move(content), path);
}

}  // namespace fathom::text
