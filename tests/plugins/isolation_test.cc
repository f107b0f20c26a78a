// Two collections that share a library of plugins/lib, one of them an older version of it, in one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/plugins/elf_section.h"
#include "core/plugins/registry.h"
#include "fathom/tokenizer.h"

namespace fathom {
namespace {

using ::testing::ElementsAre;

TEST(Isolation, EachPluginKeepsItsOwnCopyOfASharedLibrary) {
  plugins::registry().use_search_path({});
  plugins::registry().add_plugin_dir(FATHOM_BINARY_DIR "/tests/plugins/isolation");
  const TokenizerHandle now = make_tokenizer({{"_target_", "words_now.Words"}}, "now");
  const TokenizerHandle older = make_tokenizer({{"_target_", "words_older.Words"}}, "older");
  const char* text = "na\u00efve\u00a0cat sat";  // a no-break space: white space to the one, a letter to the other
  EXPECT_THAT(now.encode(text), ElementsAre(5, 3, 3));
  EXPECT_THAT(older.encode(text), ElementsAre(11, 3));
  EXPECT_THAT(now.encode(text), ElementsAre(5, 3, 3));
  EXPECT_EQ(now.vocab_size(), 2) << "statics are each plugin's own";
  EXPECT_EQ(older.vocab_size(), 1);
  for (const char* file : {"words_now.so", "words_older.so"}) {
    EXPECT_THAT(plugins::exported_symbols(FATHOM_BINARY_DIR "/tests/plugins/isolation/" + std::string(file)),
                ElementsAre(FATHOM_PLUGIN_ENTRY_NAME));
  }
}

}  // namespace
}  // namespace fathom
