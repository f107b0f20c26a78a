// plugins/lib/text/words.cc as an older version might be: it knows the blanks of ASCII alone, and counts bytes.
#include <utility>

#include "plugins/lib/text/words.h"

namespace fathom::text {

std::vector<char32_t> code_points(std::string_view utf8) { return {utf8.begin(), utf8.end()}; }

std::vector<std::string> split_words(std::string_view utf8) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : std::string(utf8) + " ") {
    if (c != ' ')
      word += c;
    else if (!word.empty())
      words.push_back(std::exchange(word, ""));
  }
  return words;
}

}  // namespace fathom::text
