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

class Resolver {
 public:
  virtual ~Resolver() = default;
  virtual Json call(const Json& arguments) = 0;
};

namespace resolver_detail {

inline fathom_status call(void* self, fathom_str arguments, const fathom_text_sink* result) {
  return guard([&] {
    write(result, static_cast<Resolver*>(self)->call(parse_json(arguments, "a resolver's arguments")).dump());
  });
}

}  // namespace resolver_detail

template <typename T>
struct KindOf<T, std::enable_if_t<std::is_base_of_v<Resolver, T>>> {
  static constexpr fathom_kind kind = FATHOM_KIND_RESOLVER;
  static const void* vtable() {
    static const fathom_resolver_v1 table = {sizeof(fathom_resolver_v1), &resolver_detail::call};
    return &table;
  }
  static fathom_status create(const fathom_create_args* args, void** self) {
    return create_component<T, Resolver>(args, self,
                                         [](auto options, const Json&, const std::string&, const Json& context) {
                                           return static_cast<Resolver*>(construct_raw<T>(options, context));
                                         });
  }
  static void destroy(void* self) { delete static_cast<Resolver*>(self); }
  static void describe(Json&) {}
};

}  // namespace fathom
