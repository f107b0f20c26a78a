#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/archive/crc32.h"
#include "core/archive/zip_reader.h"
#include "core/archive/zip_writer.h"
#include "fathom/error.h"

namespace fathom::checkpoint {
namespace {

using testing::HasSubstr;

class StringWriter final : public FileWriter {
 public:
  void write(std::string_view bytes) override { text += bytes; }
  std::string text;
};

std::string zip_of(const std::vector<std::pair<std::string, std::string>>& members) {
  ZipWriter zip;
  for (const auto& [name, bytes] : members) zip.add_copy(name, bytes);
  StringWriter out;
  zip.write(out);
  EXPECT_EQ(out.text.size(), zip.size());
  return out.text;
}

std::string zip_refusal(const std::string& bytes) {
  try {
    const ZipReader zip(bytes, "test");
    for (const auto& member : zip.members()) zip.read(member);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadData);
    return error.what();
  }
  return "nothing was refused";
}

TEST(Crc32, KnownValues) {
  EXPECT_EQ(crc32(""), 0u);
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);  // the check value of CRC catalogues
  const std::string long_text(100, 'a');
  EXPECT_EQ(crc32(long_text), crc32(long_text.substr(37), crc32(long_text.substr(0, 37))));
}

// However many bytes, in one piece or several: long pieces take another way than short ones.
TEST(Crc32, LongAndShortPiecesAgree) {
  std::string text;
  for (uint32_t i = 0; i < 700; ++i) text += static_cast<char>(i * i * 2654435761U >> 13);
  uint32_t bitwise = 0xFFFFFFFF;
  for (size_t size = 0; size <= text.size(); ++size) {
    EXPECT_EQ(crc32(text.substr(0, size)), ~bitwise) << size;
    for (const size_t cut : {size / 3, size / 2})
      EXPECT_EQ(crc32(text.substr(cut, size - cut), crc32(text.substr(0, cut))), ~bitwise) << size << " at " << cut;
    if (size == text.size()) break;
    bitwise ^= static_cast<uint8_t>(text[size]);
    for (int bit = 0; bit < 8; ++bit) bitwise = (bitwise >> 1) ^ ((bitwise & 1) != 0 ? 0xEDB88320U : 0U);
  }
}

TEST(Zip, MembersComeBackAlignedAndWhole) {
  const std::string bytes =
      zip_of({{"archive/data.pkl", "abc"}, {"archive/empty", ""}, {"archive/data/0", std::string(1000, 'x')}});
  const ZipReader zip(bytes, "test");
  ASSERT_EQ(zip.members().size(), 3u);
  for (const auto& member : zip.members()) EXPECT_EQ(member.offset % 64, 0u) << member.name;
  EXPECT_EQ(zip.read(*zip.find("archive/data.pkl")).bytes, "abc");
  EXPECT_EQ(zip.read(*zip.find("archive/data/0")).bytes, std::string(1000, 'x'));
  EXPECT_EQ(zip.find("archive/none"), nullptr);
}

TEST(Zip, ManyMembersNeedTheLongEndRecord) {
  ZipWriter writer;
  for (int i = 0; i < 70'000; ++i) writer.add_copy("a/" + std::to_string(i), std::to_string(i));
  StringWriter out;
  writer.write(out);
  const ZipReader zip(out.text, "test");
  EXPECT_EQ(zip.members().size(), 70'000u);
  EXPECT_EQ(zip.read(*zip.find("a/69999")).bytes, "69999");
}

TEST(Zip, EveryCutIsRefused) {
  const std::string bytes = zip_of({{"a/b", "content"}});
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(zip_refusal(bytes.substr(0, size)), HasSubstr("not a readable zip")) << size;
  }
}

TEST(Zip, AFlippedBitIsRefusedOrHarmless) {
  const std::string bytes = zip_of({{"a/b", "content"}, {"a/c", "more"}});
  const ZipReader whole(bytes, "test");
  const auto& first = whole.members()[0];
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    const std::string text = zip_refusal(damaged);
    if (i >= first.offset && i < first.offset + first.size) {
      EXPECT_THAT(text, HasSubstr("checksum")) << i;
    }
  }
}

TEST(Zip, TwinsOverlapsAndForeignMethodsAreRefused) {
  EXPECT_THAT(zip_refusal(zip_of({{"a/b", "1"}, {"a/b", "2"}})), HasSubstr("one name"));
  std::string overlapping = zip_of({{"a/b", "1"}, {"a/c", "2"}});
  const size_t second = overlapping.rfind("PK\x01\x02");
  std::memset(overlapping.data() + second + 42, 0, 4);  // its header: the first member's
  overlapping[second + 46 + 2] = 'b';
  EXPECT_THAT(zip_refusal(overlapping), HasSubstr("one name"));
  std::string method = zip_of({{"a/b", "1"}});
  method[method.rfind("PK\x01\x02") + 10] = 12;  // bzip2
  EXPECT_THAT(zip_refusal(method), HasSubstr("unknown way"));
  std::string encrypted = zip_of({{"a/b", "1"}});
  encrypted[encrypted.rfind("PK\x01\x02") + 8] |= 1;
  EXPECT_THAT(zip_refusal(encrypted), HasSubstr("encrypted"));
  EXPECT_THAT(zip_refusal("x" + zip_of({{"a/b", "1"}})), HasSubstr("start"));
}

}  // namespace
}  // namespace fathom::checkpoint
