#include "core/hydra/composer.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "core/base/file.h"
#include "core/config/access.h"
#include "core/config/errors.h"
#include "core/config/printer.h"
#include "core/hydra/application.h"

namespace fathom::config {
namespace {

class Composer : public testing::Test {
 protected:
  Composer() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fathom-composer-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    write("config.yaml",
          "defaults:\n- db: mysql\n- model/enc@model.encoder: small\n- _self_\nname: app\nport: ${db.port}\n");
    write("db/mysql.yaml", "port: 1\n");
    write("db/pg.yaml", "port: 2\n");
    write("model/enc/small.yaml", "defaults:\n- /act: relu\ndim: 4\n");
    write("model/enc/big.yaml", "dim: 8\n");
    write("act/relu.yaml", "# @package _global_\nact: relu\n");
  }
  ~Composer() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = std::filesystem::path(folder_) / name;
    std::filesystem::create_directories(path.parent_path());
    write_file_atomically(path.string(), text);
  }
  ComposeRequest request(std::vector<std::string> overrides = {}) const {
    ComposeRequest request;
    request.config_path = folder_;
    request.config_name = "config";
    request.overrides = std::move(overrides);
    return request;
  }
  std::string show(std::vector<std::string> overrides = {}) const {
    return show_config(compose(request(std::move(overrides))), ConfigPart::kJob, std::nullopt, true);
  }
  std::string failure(std::vector<std::string> overrides) const {
    try {
      compose(request(std::move(overrides)));
    } catch (const ConfigError& error) {
      return error.what();
    }
    ADD_FAILURE() << "was accepted";
    return {};
  }
  std::string folder_;
};

TEST_F(Composer, DefaultsPackagesAndHeaders) {
  EXPECT_EQ(show(), "db:\n  port: 1\nact: relu\nmodel:\n  encoder:\n    dim: 4\nname: app\nport: 1\n");
}

TEST_F(Composer, GroupChoices) {
  EXPECT_EQ(show({"db=pg", "model/enc@model.encoder=big"}),
            "db:\n  port: 2\nmodel:\n  encoder:\n    dim: 8\nname: app\nport: 2\n");
  EXPECT_NE(failure({"db=pgg"}).find("pg"), std::string::npos);
  EXPECT_NE(failure({"model/enc=big"}).find("model/enc@model.encoder"), std::string::npos);
  EXPECT_NE(failure({"~db=pg"}).find("No match"), std::string::npos);
}

// As in Hydra, `+group=option` is looked for beside the config that was named.
TEST_F(Composer, AddedGroupsAreRelativeToTheConfigsFolder) {
  write("exp/a.yaml", "x: 1\n");
  write("exp/act/tanh.yaml", "act: tanh\n");
  ComposeRequest wanted = request({"+act=tanh"});
  wanted.config_name = "exp/a";
  EXPECT_EQ(show_config(compose(wanted), ConfigPart::kJob, std::nullopt, true),
            "exp:\n  x: 1\n  act:\n    act: tanh\n");
  wanted.overrides = {"+db=pg"};
  try {
    compose(wanted);
    ADD_FAILURE() << "was accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("exp/db/pg"), std::string::npos) << error.what();
  }
}

TEST_F(Composer, EveryLeafKnowsWhereItWasWritten) {
  const Composed composed = compose(request({"name=x"}));
  EXPECT_NE(find_path(composed.job, "db.port")->origin().text().find("db/mysql.yaml:1:"), std::string::npos);
  EXPECT_NE(find_path(composed.job, "name")->origin().text().find("name=x"), std::string::npos);
}

TEST_F(Composer, HydraSection) {
  const Composed composed = compose(request({"name=x", "hydra.run.dir=out"}));
  EXPECT_EQ(composed.task_overrides, std::vector<std::string>{"name=x"});
  EXPECT_EQ(python_str(*find_path(composed.hydra, "run.dir")), "out");
  EXPECT_EQ(python_str(*find_path(composed.hydra, "job.override_dirname")), "name=x");
  EXPECT_EQ(python_str(*find_path(composed.hydra, "runtime.choices.db")), "mysql");
  EXPECT_NE(failure({"hydra.foo=1"}).find("HydraConf"), std::string::npos);
}

TEST_F(Composer, CirclesAndMissingPiecesAreErrors) {
  write("config.yaml", "defaults: [a]\n");
  write("a.yaml", "defaults: [b]\n");
  write("b.yaml", "defaults: [a]\n");
  EXPECT_NE(failure({}).find("circle"), std::string::npos);
  write("config.yaml", "defaults:\n- db: ???\n");
  EXPECT_NE(failure({}).find("db=<OPTION>"), std::string::npos);
  write("config.yaml", "defaults:\n- nosuch: x\n");
  EXPECT_NE(failure({}).find("config.yaml:2"), std::string::npos);
}

TEST_F(Composer, WarnsWhenAValueNamesAnOption) {
  const Composed composed = compose(request({"++model.enc=big"}));
  const bool warned = std::any_of(composed.warnings.begin(), composed.warnings.end(),
                                  [](const Warning& w) { return w.text.find("model/enc=big") != std::string::npos; });
  EXPECT_TRUE(warned);
}

TEST_F(Composer, ApplicationRunsSweepsAndReportsFailures) {
  Application application;
  application.config_path = folder_;
  application.config_name = "config";
  application.task = [](const JobContext& context) {
    const std::string name = python_str(*context.config.find("name"));
    if (name == "bad") throw Error(Code::kFailed, "boom");
    context.out << name << " " << python_str(get(context.config, "port", context.resolvers)) << "\n";
    return true;
  };
  std::ostringstream out, err;
  const std::string sweep = "hydra.sweep.dir=" + folder_ + "/mr";
  EXPECT_THROW(run_application(application, {"-m", "name=good,bad", sweep, "--", "db=pg"}, out, err), SweepError);
  EXPECT_NE(out.str().find("good 2\n"), std::string::npos);
  EXPECT_NE(err.str().find("boom"), std::string::npos);
  EXPECT_EQ(read_file(folder_ + "/mr/0/.hydra/overrides.yaml"), "- name=good\n- db=pg\n");
  EXPECT_TRUE(file_exists(folder_ + "/mr/multirun.yaml"));
  try {
    run_application(application, {"--cgf", "job"}, out, err);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUsage);
    EXPECT_NE(std::string(error.what()).find("--cfg"), std::string::npos);
  }
}

}  // namespace
}  // namespace fathom::config
