// A SentencePiece model file (tokenizer.model), read as data. Uses no torch and no library: a model comes from
// strangers, so every size is bounded and everything that the tokenizer relies on is checked here.
//
// The file is a protocol buffer, ModelProto of https://github.com/google/sentencepiece
// (src/sentencepiece_model.proto). Fields that say how a model was trained are passed over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::text {

struct SentencePieceModel {
  enum class Algorithm { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };
  enum class Type { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = Type::kNormal;
  };
  struct Normalization {
    std::string precompiled_charsmap;  // sentencepiece_normalizer.h
    bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
  };

  static constexpr size_t kMaxFileBytes = size_t{64} << 20;
  static constexpr size_t kMaxPieces = 1'000'000;
  static constexpr size_t kMaxPieceBytes = 1024;

  std::vector<Piece> pieces;  // none is empty, no text twice, exactly one of type kUnknown
  Algorithm algorithm = Algorithm::kUnigram;
  bool treat_whitespace_as_suffix = false, byte_fallback = false;
  std::string unk_surface = " \u2047 ";  // what an unknown token reads as
  std::string bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>";
  Normalization normalizer;
  bool has_denormalizer = false;
  Normalization denormalizer;

  // Error(kBadData), with `source` as its place, for bytes that are no such model or break a rule above.
  static SentencePieceModel parse(std::string_view bytes, const std::string& source);
  // The byte that a piece "<0x0A>" stands for; -1 when it is none.
  static int byte_of(std::string_view piece);
};

}  // namespace fathom::text
