// A sound plugin made with the authoring layer: a resolver, to be called from configs, and an element type.
#include "fathom/plugin.h"
#include "fathom/resolver.h"

namespace {

// ${repeat:TEXT,N}
class Repeat final : public fathom::Resolver {
 public:
  struct Options {
    std::string separator;
    static void describe(fathom::OptionSet<Options>& o) { o("separator", &Options::separator, "between the copies"); }
  };
  explicit Repeat(const Options& o) : options_(o) {}
  fathom::Json call(const fathom::Json& arguments) override {
    if (arguments.size() != 2 || !arguments[1].is_number_integer()) {
      throw fathom::Error(fathom::Code::kFailed, "repeat takes a text and a number").seen(fathom::json_text(arguments));
    }
    std::string out;
    for (int64_t i = 0; i < arguments[1].get<int64_t>(); ++i) {
      out += (i == 0 ? "" : options_.separator) + arguments[0].get<std::string>();
    }
    return out;
  }

 private:
  Options options_;
};

}  // namespace

FATHOM_PLUGIN("sound_test", "1.2.3", "Apache-2.0", "the tests", "https://example.org") {
  r.element_type("SoundTestType", "EncodedRepresentation");
  r.add<Repeat>("repeat", "a text several times", {"test.repeat"});
}
