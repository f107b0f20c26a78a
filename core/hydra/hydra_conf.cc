// The typed hydra section: the fields, types and defaults of Hydra 1.3's HydraConf.
#include <initializer_list>

#include "core/config/schema.h"
#include "core/hydra/builtin_configs.h"

namespace fathom::config {
namespace {

Field missing(std::string name, SchemaPtr type) { return {std::move(name), std::move(type), std::nullopt, {}}; }
Field with_default(std::string name, SchemaPtr type, Node value) {
  return {std::move(name), std::move(type), std::move(value), {}};
}
Node text(const char* value) { return Node::scalar(std::string(value)); }

std::shared_ptr<const ClassType> make_class(std::string name, std::vector<Field> fields) {
  auto type = std::make_shared<ClassType>();
  type->name = std::move(name);
  type->fields = std::move(fields);
  return type;
}

Field object(std::string name, const std::shared_ptr<const ClassType>& type) {
  return with_default(std::move(name), class_of(type), instantiate(type));
}

std::shared_ptr<const ClassType> job_conf() {
  const auto dirname =
      make_class("OverrideDirname",
                 {with_default("kv_sep", string_type(), text("=")), with_default("item_sep", string_type(), text(",")),
                  with_default("exclude_keys", list_of(string_type()), Node::list())});
  const auto config = make_class("JobConfig", {object("override_dirname", dirname)});
  return make_class(
      "JobConf", {missing("name", string_type()), with_default("chdir", optional_of(bool_type()), Node()),
                  missing("override_dirname", string_type()), missing("id", string_type()), missing("num", int_type()),
                  missing("config_name", optional_of(string_type())),
                  with_default("env_set", dict_of(string_type(), string_type()), Node::map()),
                  with_default("env_copy", list_of(string_type()), Node::list()), object("config", config)});
}

std::shared_ptr<const ClassType> runtime_conf() {
  const auto source = make_class("ConfigSourceInfo", {missing("path", string_type()), missing("schema", string_type()),
                                                      missing("provider", string_type())});
  return make_class("RuntimeConf", {missing("version", string_type()), missing("version_base", string_type()),
                                    missing("cwd", string_type()), missing("config_sources", list_of(class_of(source))),
                                    missing("output_dir", string_type()),
                                    with_default("choices", dict_of(string_type(), any_type()), Node::map())});
}

std::shared_ptr<const ClassType> hydra_conf() {
  auto modes = std::make_shared<EnumType>();
  modes->name = "RunMode";
  modes->members = {{"RUN", 1}, {"MULTIRUN", 2}};
  const SchemaPtr any_map = dict_of(string_type(), any_type());
  return make_class(
      "HydraConf",
      {with_default("mode", optional_of(enum_of(modes)), Node()),
       with_default("searchpath", list_of(string_type()), Node::list()),
       object("run", make_class("RunDir", {missing("dir", string_type())})),
       object("sweep", make_class("SweepDir", {missing("dir", string_type()), missing("subdir", string_type())})),
       missing("hydra_logging", any_map), missing("job_logging", any_map), missing("sweeper", any_type()),
       missing("launcher", any_type()), with_default("env", any_map, Node::map()),
       with_default("callbacks", any_map, Node::map()),
       object("help", make_class("HelpConf", {missing("app_name", string_type()), missing("header", string_type()),
                                              missing("footer", string_type()), missing("template", string_type())})),
       object("hydra_help",
              make_class("HydraHelpConf", {missing("template", string_type()), missing("hydra_help", string_type())})),
       with_default("output_subdir", optional_of(string_type()), text(".hydra")),
       object("overrides", make_class("OverridesConf", {with_default("hydra", list_of(string_type()), Node::list()),
                                                        with_default("task", list_of(string_type()), Node::list())})),
       object("job", job_conf()), object("runtime", runtime_conf()),
       with_default("verbose", any_type(), Node::scalar(false))});
}

}  // namespace

Node hydra_conf_instance() {
  static const std::shared_ptr<const ClassType> kType = hydra_conf();
  return instantiate(kType);
}

}  // namespace fathom::config
