// Kind `resolver`: a function for ${name:argument,…} in configs.
//
//   class Repeat final : public fathom::Resolver {
//    public:
//     fathom::Json call(const fathom::Json& arguments) override;   // a JSON array in, one JSON value out
//   };
//
// Registered with r.add<Repeat>("repeat", "a text several times"); the registered name is the one used in configs.
// One object serves the whole process and is made with the default options; call() may run on several threads at once.
// A thrown Error becomes the config's error, with the place of the interpolation.
#pragma once

#include "fathom/abi/resolver.h"
#include "fathom/plugin.h"

namespace fathom {

namespace resolver_detail {
const void* table();
}

class Resolver {
 public:
  using ComponentKind = SimpleKind<Resolver, FATHOM_KIND_RESOLVER, &resolver_detail::table>;
  virtual ~Resolver() = default;
  virtual Json call(const Json& arguments) = 0;
};

namespace resolver_detail {

inline fathom_status call(void* self, fathom_str arguments, const fathom_text_sink* result) {
  return guard([&] {
    write(result, json_text(static_cast<Resolver*>(self)->call(parse_json(arguments, "a resolver's arguments"))));
  });
}

inline const void* table() {
  static const fathom_resolver_v1 table = {sizeof(fathom_resolver_v1), &resolver_detail::call};
  return &table;
}

}  // namespace resolver_detail

}  // namespace fathom
