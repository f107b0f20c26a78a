#!/usr/bin/env bash
# compile_errors.sh COMPILER SDK_INCLUDE: what an author may get wrong in C++ is refused by the compiler in words of the SDK.
set -uo pipefail
compiler=$1 include=$2 bad=0
refused() {  # refused NAME WORDS < source
  local name=$1 words=$2 output
  if output=$("$compiler" -std=c++20 -fsyntax-only -I "$include" -x c++ - 2>&1); then echo "$name compiles"; bad=1
  elif ! grep -qF "$words" <<<"$output"; then echo "$name: the error does not say '$words':"; head -n 8 <<<"$output"; bad=1; fi
}
head='#include "fathom/tokenizer.h"
struct Base : fathom::Tokenizer {
  int64_t vocab_size() const override { return 0; }
  std::vector<int64_t> encode(std::string_view) const override { return {}; }
  std::string decode(const std::vector<int64_t>&) const override { return {}; }
  std::string piece(int64_t) const override { return {}; }
};'
refused "an option of type int" "an option is a bool, int64_t, double" <<EOS
$head
struct T : Base {
  struct Options { int size = 1; static void describe(fathom::OptionSet<Options>& o) { o("size", &Options::size, "x"); } };
  explicit T(const Options&) {}
};
FATHOM_PLUGIN("x", "1", "", "", "") { r.add<T>("x.T", ""); }
EOS
refused "a class without a fitting constructor" "needs a public constructor" <<EOS
$head
struct T : Base { explicit T(std::string) {} };
FATHOM_PLUGIN("x", "1", "", "", "") { r.add<T>("x.T", ""); }
EOS
refused "a class of no kind" "derives publicly from no kind's base class" <<EOS
$head
struct T {};
FATHOM_PLUGIN("x", "1", "", "", "") { r.add<T>("x.T", ""); }
EOS
refused "include of a struct that is no base" "derive from B" <<EOS
$head
struct Other { int64_t n = 1; static void describe(fathom::OptionSet<Other>& o) { o("n", &Other::n, "x"); } };
struct T : Base {
  struct Options { static void describe(fathom::OptionSet<Options>& o) { o.include<Other>(); } };
  explicit T(const Options&) {}
};
FATHOM_PLUGIN("x", "1", "", "", "") { r.add<T>("x.T", ""); }
EOS
exit $bad
