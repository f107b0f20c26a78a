#include "core/config/schema.h"

#include <gtest/gtest.h>

#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/merge.h"
#include "core/config/printer.h"
#include "core/config/yaml_loader.h"

namespace fathom::config {
namespace {

std::shared_ptr<const ClassType> optim_class() {
  auto optim = std::make_shared<ClassType>();
  optim->name = "Optim";
  optim->fields = {{"name", string_type(), Node::scalar(std::string("novograd")), ""},
                   {"lr", float_type(), Node::scalar(0.01), ""},
                   {"betas", list_of(float_type()), std::nullopt, ""},
                   {"steps", optional_of(int_type()), Node(), ""}};
  auto root = std::make_shared<ClassType>();
  root->name = "Root";
  root->fields = {{"optim", class_of(optim), instantiate(optim), ""},
                  {"sizes", dict_of(string_type(), int_type()), Node::map(), ""},
                  {"pair", tuple_of({int_type(), string_type()}), std::nullopt, ""}};
  return root;
}

std::string kind_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const ConfigError& problem) {
    return problem.kind() + " " + problem.full_key();
  }
  return "none";
}

Node yaml(const std::string& text) { return load_yaml_text(text, "test.yaml"); }

TEST(SchemaTest, MergingConverts) {
  const Node merged =
      merge(instantiate(optim_class()), yaml("optim: {lr: '1e-3', steps: '5', betas: [1, .5]}\npair: [1, 2]\n"));
  EXPECT_EQ(get(merged, "optim.lr").value(), Scalar(0.001));
  EXPECT_EQ(get(merged, "optim.steps").value(), Scalar(int64_t{5}));
  EXPECT_EQ(get(merged, "optim.betas[0]").value(), Scalar(1.0));
  EXPECT_EQ(get(merged, "pair[1]").value(), Scalar(std::string("2")));  // each item by its own type
}

TEST(SchemaTest, WrongValuesAreNamed) {
  const Node root = instantiate(optim_class());
  EXPECT_EQ(kind_of([&] { merge(root, yaml("optim: {lr: true}\n")); }), "ValidationError optim.lr");
  EXPECT_EQ(kind_of([&] { merge(root, yaml("optim: {lrr: 1}\n")); }), "ConfigKeyError optim.lrr");
  EXPECT_EQ(kind_of([&] { merge(root, yaml("optim: {betas: [x]}\n")); }), "ValidationError optim.betas[0]");
  EXPECT_EQ(kind_of([&] { merge(root, yaml("sizes: {1: 1}\n")); }), "KeyValidationError sizes.1");
  EXPECT_EQ(kind_of([&] { merge(root, yaml("optim: 5\n")); }), "ValidationError optim");
  EXPECT_EQ(kind_of([&] { merge(root, yaml("pair: [1]\n")); }), "ValidationError pair");
}

TEST(SchemaTest, MissingFieldsAreListed) {
  EXPECT_EQ(missing_keys(instantiate(optim_class())), (std::vector<std::string>{"optim.betas", "pair"}));
}

TEST(SchemaTest, InterpolationsAreConvertedWhenRead) {
  const Node merged =
      merge(instantiate(optim_class()), yaml("optim: {lr: '${sizes.a}', name: '${sizes.a}'}\nsizes: {a: 3}\n"));
  EXPECT_EQ(get(merged, "optim.lr").value(), Scalar(3.0));
  EXPECT_EQ(get(merged, "optim.name").value(), Scalar(std::string("3")));
  const Node broken = merge(instantiate(optim_class()), yaml("optim: {lr: '${optim.name}'}\n"));
  EXPECT_EQ(kind_of([&] { get(broken, "optim.lr"); }), "InterpolationValidationError optim.lr");
  // OmegaConf checks the fields that hold one value, no lists.
  const Node list = merge(instantiate(optim_class()), yaml("optim: {betas: '${optim.name}', name: b}\n"));
  EXPECT_EQ(get(list, "optim.betas").value(), Scalar(std::string("b")));
}

}  // namespace
}  // namespace fathom::config
