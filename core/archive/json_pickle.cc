#include "core/archive/json_pickle.h"

#include "core/base/json_object.h"
#include "fathom/options.h"

namespace fathom::checkpoint {

PickleValue json_to_pickle(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null: return {};
    case Json::value_t::boolean: return json.get<bool>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned: return json.get<int64_t>();
    case Json::value_t::number_float: return json.get<double>();
    case Json::value_t::string: return json.get<std::string>();
    case Json::value_t::array: {
      PickleValue list = PickleValue::list();
      for (const auto& item : json) list.mutable_items().push_back(json_to_pickle(item));
      return list;
    }
    case Json::value_t::object: {
      PickleValue dict = PickleValue::dict();
      for (const auto& [key, item] : json.items()) dict.mutable_dict().set(key, json_to_pickle(item));
      return dict;
    }
    default: throw Error(Code::kInternal, "this JSON has no place in a checkpoint").seen(json.type_name());
  }
}

Json pickle_to_json(const PickleValue& given) {
  const PickleValue& value = given.plain();
  switch (value.kind()) {
    case PickleValue::Kind::kNone: return nullptr;
    case PickleValue::Kind::kBool: return value.as_bool();
    case PickleValue::Kind::kInt: return value.as_int();
    case PickleValue::Kind::kFloat: return options_detail::dump(value.as_double());
    case PickleValue::Kind::kString: return value.as_string();
    case PickleValue::Kind::kList:
    case PickleValue::Kind::kTuple:
    case PickleValue::Kind::kSet: {
      Json list = Json::array();
      for (const auto& item : value.items()) list.push_back(pickle_to_json(item));
      return list;
    }
    case PickleValue::Kind::kDict: {
      JsonObject object;
      for (const auto& [key, item] : value.as_dict())
        object.set(key.is_string() ? key.as_string() : json_text(pickle_to_json(key)), pickle_to_json(item));
      return object.take();
    }
    default: return std::string(value.kind_name());
  }
}

}  // namespace fathom::checkpoint
