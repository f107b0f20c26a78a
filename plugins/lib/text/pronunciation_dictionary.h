// Files of words and their pronunciations, in the two layouts that NeMo reads. Uses no torch.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

namespace fathom::text {

// A word's pronunciations in their order, each a list of symbols.
using Pronunciations = std::vector<std::vector<std::string>>;

// Words keep the order of the file, which decides where two of them fall together.
struct PronunciationDictionary {
  std::vector<std::pair<std::string, Pronunciations>> words;
  Pronunciations& of(const std::string& word);

 private:
  std::unordered_map<std::string, size_t> places_;
};

enum class FileEncoding { kLatin1, kUtf8, kAscii };
// "latin-1", "utf-8", "ascii" and Python's other spellings of these; throws kUnavailable for another one.
FileEncoding file_encoding(const std::string& name);
// A text file's lines as UTF-8, without their ends (\n, \r\n or \r). Errors: kNoInput; kBadData with file:line for
// bytes that are not of the encoding.
std::vector<std::string> read_lines(const std::string& path, FileEncoding encoding);

// CMUdict's layout: `WORD  P H O`, alternatives as `WORD(1)`; lines that begin with no capital or ' are comments. Words
// in lower case. Errors: kNoInput; kBadData with file:line for a line without phonemes, or a file without words.
PronunciationDictionary read_cmu_dictionary(const std::string& path, FileEncoding encoding);
// `word IPA`, a symbol a character, in UTF-8; lines that begin with no letter are comments. Errors as above.
PronunciationDictionary read_ipa_dictionary(const std::string& path);

}  // namespace fathom::text
