// What all kinds share: how an author's class becomes a component. A kind is one line in its base class,
//
//   class Tokenizer {
//    public:
//     using ComponentKind = SimpleKind<Tokenizer, FATHOM_KIND_TOKENIZER, &tokenizer_detail::table>;
//
// and the C table over the base. Registry::add<T> finds the kind through the base class that T derives from.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>

#include "fathom/capability.h"
#include "fathom/options.h"

namespace fathom {

// How a kind keeps its objects behind `self`: as the base's pointer, owned by the component…
template <typename Base>
struct Owned {
  static Base& get(void* self) { return *static_cast<Base*>(self); }
  template <typename T, typename... Args>
  static T* make(void** self, Args&&... args) {
    T* made = new T(std::forward<Args>(args)...);
    *self = static_cast<Base*>(made);
    return made;
  }
  static void destroy(void* self) { delete static_cast<Base*>(self); }
};
// …or as a std::shared_ptr<Stored>, for objects that others may keep too.
template <typename Base, typename Stored = Base>
struct Shared {
  static std::shared_ptr<Stored>& pointer(void* self) { return *static_cast<std::shared_ptr<Stored>*>(self); }
  static Base& get(void* self) { return static_cast<Base&>(*pointer(self)); }
  template <typename T, typename... Args>
  static T* make(void** self, Args&&... args) {
    auto made = std::make_shared<T>(std::forward<Args>(args)...);
    *self = new std::shared_ptr<Stored>(made);
    return made.get();
  }
  static void destroy(void* self) { delete &pointer(self); }
};

// True where an error's place is the bare name of a declared option: "betas", "betas[1]".
template <typename Options>
bool names_option(const std::string& where) {
  return options_detail::set_of<Options>().has(where.substr(0, where.find_first_of(".[")));
}

// A base may add to what happens, each by a static function template of its own:
//   prepare<T>(config, context)      before the options are read: what the host knows becomes an option
//   created(T&, options, args)       after the constructor
//   describe<T>(schema)              to the description (a module's ports)
template <typename Base, fathom_kind kKind, const void* (*kTable)(), typename Storage = Owned<Base>>
struct SimpleKind {
  static constexpr fathom_kind kind = kKind;
  static const void* vtable() { return kTable(); }
  static void destroy(void* self) { Storage::destroy(self); }

  // From a section: the options are read and checked, then the constructor is called that T has.
  template <typename T>
  static fathom_status create(const fathom_create_args* given, void** self) {
    using Options = typename OptionsOf<T>::type;
    static_assert(std::is_constructible_v<T, const Options&, const Json&> ||
                      std::is_constructible_v<T, const Options&> || std::is_default_constructible_v<T>,
                  "a component's class needs a public constructor: T(const Options&), T(const Options&, const Json& "
                  "context), or T() where it has no options; and no pure virtual function may be left");
    return guard([&] {
      const fathom_create_args args = filled(given);
      const std::string path = to_string(args.config_path);
      Json config = parse_json(args.config, "a component's config");
      const Json context = parse_json(args.context, "a component's context");
      if constexpr (requires { Base::template prepare<T>(config, context); })
        Base::template prepare<T>(config, context);
      const Options options = parse_options<Options>(config, path);
      void* object = nullptr;
      try {
        T* made = nullptr;
        if constexpr (std::is_constructible_v<T, const Options&, const Json&>)
          made = Storage::template make<T>(&object, options, context);
        else if constexpr (std::is_constructible_v<T, const Options&>)
          made = Storage::template make<T>(&object, options);
        else
          made = Storage::template make<T>(&object);
        if constexpr (requires { Base::created(*made, options, args); }) Base::created(*made, options, args);
      } catch (Error& error) {  // a constructor's errors may name an option by itself
        if (object != nullptr) Storage::destroy(object);
        error.locate(path);
        if (!path.empty() && names_option<Options>(error.where())) error.locate_within(path);
        throw;
      }
      *self = object;
    });
  }

  template <typename T>
  static const void* query(void* self, fathom_str id) {
    if (const void* found = capability_detail::find<T, Storage>(to_view(id), capability_detail::Known{})) return found;
    if constexpr (requires(T& object, std::string_view text) {
                    { object.query(text) } -> std::convertible_to<const void*>;
                  })
      return static_cast<T&>(Storage::get(self)).query(to_view(id));
    return nullptr;
  }

  template <typename T>
  static Json schema() {
    Json schema = options_schema<typename OptionsOf<T>::type>();
    if constexpr (requires { Base::template describe<T>(schema); }) Base::template describe<T>(schema);
    return schema;
  }
};

}  // namespace fathom
