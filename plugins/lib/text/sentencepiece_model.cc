#include "plugins/lib/text/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <unordered_set>

#include "fathom/error.h"

namespace fathom::text {
namespace {

// One message of a protocol buffer, field by field. What is not asked for is passed over, as its wire type says.
class MessageReader {
 public:
  MessageReader(std::string_view bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  // The next field, or false at the end.
  bool next() {
    if (at_ == bytes_.size()) return false;
    const uint64_t key = varint();
    field_ = key >> 3;
    wire_ = static_cast<unsigned>(key & 7);
    if (field_ == 0) fail("field 0");
    switch (wire_) {
      case 0: number_ = varint(); break;
      case 1: value_ = take(8); break;
      case 2: {
        const uint64_t length = varint();
        if (length > bytes_.size() - at_) fail("a field that is longer than what is left");
        value_ = take(static_cast<size_t>(length));
        break;
      }
      case 5: value_ = take(4); break;
      default: fail("a field of wire type " + std::to_string(wire_));
    }
    return true;
  }
  uint64_t field() const { return field_; }
  uint64_t number() const {
    if (wire_ != 0) fail("field " + std::to_string(field_) + ", which is no number");
    return number_;
  }
  std::string_view bytes() const {
    if (wire_ != 2) fail("field " + std::to_string(field_) + ", which is no text");
    return value_;
  }
  float real() const {
    if (wire_ != 5) fail("field " + std::to_string(field_) + ", which is no 32-bit float");
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; ++i) bits |= static_cast<uint32_t>(static_cast<unsigned char>(value_[i])) << (8 * i);
    return std::bit_cast<float>(bits);
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Code::kBadData, "not a SentencePiece model: damaged, or another file").at(source_).seen(what);
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) fail("an end within a number");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    fail("a number of more than 64 bits");
  }
  std::string_view take(size_t count) {
    if (count > bytes_.size() - at_) fail("an end within a field");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }

  std::string_view bytes_, value_;
  const std::string& source_;
  size_t at_ = 0;
  uint64_t field_ = 0, number_ = 0;
  unsigned wire_ = 0;
};

SentencePieceModel::Piece read_piece(std::string_view bytes, const std::string& source) {
  SentencePieceModel::Piece piece;
  MessageReader message(bytes, source);
  while (message.next()) {
    if (message.field() == 1) {
      if (message.bytes().size() > SentencePieceModel::kMaxPieceBytes)
        message.fail("a piece of " + std::to_string(message.bytes().size()) + " bytes");
      piece.text = message.bytes();
    } else if (message.field() == 2) {
      piece.score = message.real();
      if (!std::isfinite(piece.score)) message.fail("a score that is not finite");
    } else if (message.field() == 3) {
      if (message.number() < 1 || message.number() > 6)
        message.fail("a piece of type " + std::to_string(message.number()));
      piece.type = static_cast<SentencePieceModel::Type>(message.number());
    }
  }
  if (piece.text.empty()) message.fail("an empty piece");
  return piece;
}

void read_trainer(std::string_view bytes, const std::string& source, SentencePieceModel& model) {
  MessageReader message(bytes, source);
  while (message.next()) {
    switch (message.field()) {
      case 3:
        if (message.number() < 1 || message.number() > 4)
          message.fail("model type " + std::to_string(message.number()));
        model.algorithm = static_cast<SentencePieceModel::Algorithm>(message.number());
        break;
      case 24: model.treat_whitespace_as_suffix = message.number() != 0; break;
      case 35: model.byte_fallback = message.number() != 0; break;
      case 44:
        if (message.bytes().size() > SentencePieceModel::kMaxPieceBytes) message.fail("an unk_surface of many bytes");
        model.unk_surface = message.bytes();
        break;
      case 46: model.bos_piece = message.bytes(); break;
      case 47: model.eos_piece = message.bytes(); break;
      case 48: model.pad_piece = message.bytes(); break;
      default: break;
    }
  }
}

SentencePieceModel::Normalization read_normalizer(std::string_view bytes, const std::string& source) {
  SentencePieceModel::Normalization normalizer;
  MessageReader message(bytes, source);
  while (message.next()) {
    switch (message.field()) {
      case 2: normalizer.precompiled_charsmap = message.bytes(); break;
      case 3: normalizer.add_dummy_prefix = message.number() != 0; break;
      case 4: normalizer.remove_extra_whitespaces = message.number() != 0; break;
      case 5: normalizer.escape_whitespaces = message.number() != 0; break;
      default: break;
    }
  }
  return normalizer;
}

void check_pieces(const SentencePieceModel& model, const std::string& source) {
  using Type = SentencePieceModel::Type;
  const auto wrong = [&](std::string what) {
    return Error(Code::kBadData, "a SentencePiece model that cannot be used").at(source).seen(std::move(what));
  };
  std::unordered_set<std::string_view> texts;
  size_t unknown = 0, byte_pieces = 0;
  for (const auto& piece : model.pieces) {
    if (!texts.insert(piece.text).second) throw wrong("the piece '" + piece.text + "' twice");
    unknown += piece.type == Type::kUnknown ? 1 : 0;
    if (piece.type != Type::kByte) continue;
    ++byte_pieces;
    if (!model.byte_fallback) throw wrong("the byte piece '" + piece.text + "' without byte_fallback");
    if (SentencePieceModel::byte_of(piece.text) < 0)
      throw wrong("the byte piece '" + piece.text + "'").expected("<0x00> to <0xFF>");
  }
  if (unknown != 1) throw wrong(std::to_string(unknown) + " unknown pieces").expected("one");
  // None is there twice, so that 256 are all of them.
  if (model.byte_fallback && byte_pieces != 256)
    throw wrong("byte_fallback with " + std::to_string(byte_pieces) + " byte pieces").expected("256");
}

}  // namespace

int SentencePieceModel::byte_of(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return -1;
  int value = 0;
  for (const char c : piece.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

SentencePieceModel SentencePieceModel::parse(std::string_view bytes, const std::string& source) {
  if (bytes.size() > kMaxFileBytes) {
    throw Error(Code::kBadData, "a SentencePiece model is too large")
        .at(source)
        .seen(std::to_string(bytes.size()) + " bytes")
        .expected("at most " + std::to_string(kMaxFileBytes));
  }
  SentencePieceModel model;
  MessageReader message(bytes, source);
  while (message.next()) {
    switch (message.field()) {
      case 1:
        if (model.pieces.size() == kMaxPieces) message.fail("more than " + std::to_string(kMaxPieces) + " pieces");
        model.pieces.push_back(read_piece(message.bytes(), source));
        break;
      case 2: read_trainer(message.bytes(), source, model); break;
      case 3: model.normalizer = read_normalizer(message.bytes(), source); break;
      case 5:
        model.denormalizer = read_normalizer(message.bytes(), source);
        model.has_denormalizer = !model.denormalizer.precompiled_charsmap.empty();
        break;
      default: break;
    }
  }
  if (model.pieces.empty()) message.fail("no pieces");
  check_pieces(model, source);
  return model;
}

}  // namespace fathom::text
