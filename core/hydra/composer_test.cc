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
#include "core/hydra/shell_completion.h"

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

// ${hydra:…} is this run's section: also below a resolver, in a text, and for the output folder once it is known.
TEST_F(Composer, TheHydraResolverAnswersWithTheRun) {
  write("config.yaml",
        "defaults:\n- db: mysql\n- _self_\nwho: ${hydra:job.config_name}\nchosen: ${hydra:runtime.choices.db}\n"
        "text: in ${hydra:overrides.task}\nlevel: ${hydra:verbose}\nnum: ${hydra:job.num}\n"
        "there: ${hydra:runtime.output_dir}\n");
  Application application;
  application.config_path = folder_;
  application.config_name = "config";
  std::ostringstream out, err;
  run_application(application, {"--cfg", "job", "--resolve", "db=pg"}, out, err);
  EXPECT_EQ(out.str(),
            "db:\n  port: 2\nwho: config\nchosen: pg\ntext: in ['db=pg']\nlevel: false\nnum: null\nthere: null\n");
  application.task = [&](const JobContext& context) {
    EXPECT_EQ(python_str(get(context.config, "there", context.resolvers)), folder_ + "/out");
    EXPECT_EQ(python_str(get(context.config, "chosen", context.resolvers)), "mysql");
    return true;
  };
  run_application(application, {"hydra.run.dir=" + folder_ + "/out"}, out, err);
}

TEST_F(Composer, CirclesThroughTheHydraResolverAreErrors) {
  write("config.yaml", "a: ${hydra:job.name}\n");
  const Composed composed = compose(request({"hydra.job.name='${a}'"}));
  try {
    get(composed.job, "a", job_resolvers(composed));
    ADD_FAILURE() << "was read";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("Recursive interpolation"), std::string::npos) << error.what();
  }
}

TEST_F(Composer, JobEnvSetHoldsWhileTheJobRuns) {
  write("config.yaml", "a: ${oc.env:FATHOM_TEST_A,unset}\nb: ${oc.env:FATHOM_TEST_B,unset}\n");
  ::setenv("FATHOM_TEST_B", "before", 1);
  Application application;
  application.config_path = folder_;
  application.config_name = "config";
  application.nemo_runner = true;
  application.task = [](const JobContext& context) {
    context.out << python_str(get(context.config, "a", context.resolvers)) << " "
                << python_str(get(context.config, "b", context.resolvers)) << "\n";
    return true;
  };
  std::ostringstream out, err;
  run_application(application, {"+hydra.job.env_set.FATHOM_TEST_A=in", "+hydra.job.env_set.FATHOM_TEST_B=job"}, out,
                  err);
  run_application(application, {}, out, err);
  EXPECT_EQ(out.str(), "in job\nunset before\n");
  EXPECT_EQ(std::getenv("FATHOM_TEST_A"), nullptr);
  ::unsetenv("FATHOM_TEST_B");
}

TEST_F(Composer, KeysOfTheProgramNeedNoPlus) {
  ComposeRequest wanted = request({"model_path=x.nemo"});
  wanted.program_keys = {"model_path"};
  EXPECT_EQ(python_str(*compose(wanted).job.find("model_path")), "x.nemo");
  wanted.overrides = {"modle_path=x.nemo"};
  try {
    compose(wanted);
    ADD_FAILURE() << "was accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(error.candidates().find("model_path"), std::string::npos) << error.what();
  }
}

TEST_F(Composer, RefusedGroupsNameTheWordOrTheFile) {
  EXPECT_NE(failure({"db=pgg"}).find("command line: db=pgg"), std::string::npos);
  EXPECT_NE(failure({"+act=rellu"}).find("command line: +act=rellu"), std::string::npos);
  EXPECT_NE(failure({"model/enc=big"}).find("command line: model/enc=big"), std::string::npos);
  EXPECT_NE(failure({"~act"}).find("command line: ~act"), std::string::npos);
  write("exp/one.yaml", "# @package _global_\ndefaults:\n- override /db: pgg\n");
  EXPECT_NE(failure({"+exp=one"}).find("exp/one.yaml:3"), std::string::npos) << failure({"+exp=one"});
}

TEST_F(Composer, LinksThatLeadBackOrNowhereHoldNothingUp) {
  namespace fs = std::filesystem;
  fs::create_directories(folder_ + "/ex");
  fs::create_directory_symlink(".", folder_ + "/ex/latest");
  fs::create_directory_symlink("..", folder_ + "/ex/up");
  fs::create_directory_symlink("../db", folder_ + "/ex/db");
  fs::create_directory_symlink("nowhere", folder_ + "/ex/broken");
  fs::create_directory_symlink("self", folder_ + "/ex/self");
  const Composed composed = compose(request());
  const std::vector<std::string> groups = composed.repository->all_groups("ex");
  EXPECT_EQ(groups, std::vector<std::string>{"ex/db"});
  EXPECT_EQ(composed.repository->group_options("ex/db"), (std::vector<std::string>{"mysql", "pg"}));
  EXPECT_EQ(composed.repository->all_groups("ac"), std::vector<std::string>{"act"});
}

TEST_F(Composer, HelpIsShownWhateverTheConfigIs) {
  write("broken.yaml", "a: [\n");
  Application application;
  application.config_path = folder_;
  application.help = "how to\n";
  for (const char* name : {"broken", "nosuch"}) {
    std::ostringstream out, err;
    run_application(application, {"--help", "-cn", name}, out, err);
    EXPECT_EQ(out.str(), "how to\n");
    EXPECT_NE(err.str().find(name), std::string::npos) << err.str();
  }
}

TEST_F(Composer, CompletionOffersKeysGroupsAndOptions) {
  const Composed composed = compose(request());
  const auto ways = [&](const std::string& word) { return complete_word(composed, word); };
  using Words = std::vector<std::string>;
  EXPECT_EQ(ways("+db="), (Words{"+db=mysql", "+db=pg"}));
  EXPECT_EQ(ways("db=p"), Words{"db=pg"});
  EXPECT_EQ(ways("~db=p"), Words{"~db=pg"});
  EXPECT_EQ(ways("++db="), Words{});
  EXPECT_EQ(ways("db=mysql,p"), Words{"db=mysql,pg"});
  EXPECT_EQ(ways("model/enc@model.encoder=b"), Words{"model/enc@model.encoder=big"});
  EXPECT_EQ(ways("model"), (Words{"model.", "model/enc="}));
  EXPECT_EQ(ways("++model.encoder.d"), Words{"++model.encoder.dim="});
  EXPECT_EQ(ways("name="), Words{"name=app"});
  EXPECT_EQ(ways("hydra.run."), Words{"hydra.run.dir="});
  EXPECT_EQ(ways("model."), Words{"model.encoder."});
  EXPECT_EQ(ways("db.port=2"), Words{});
}

TEST(ShellCompletion, LinesAreReadAsTheShellQuotesThem) {
  using Words = std::vector<std::string>;
  const std::string breaks = " \t\n\"'><=;|&(:";
  EXPECT_EQ(read_typed_line("fathom  train ", breaks).words, (Words{"fathom", "train", ""}));
  EXPECT_EQ(read_typed_line("p -cp 'my confs' \"a\\\"b\" c\\ d '' x", breaks).words,
            (Words{"p", "-cp", "my confs", "a\"b", "c d", "", "x"}));
  const auto reply = [&](const std::string& line, const std::string& candidate) {
    return shell_reply(read_typed_line(line, breaks), candidate, "bash");
  };
  EXPECT_EQ(reply("fathom train db=p", "db=pg"), "pg");
  EXPECT_EQ(reply("fathom train mod", "model."), "model.");
  EXPECT_EQ(reply("fathom train -cp my", "my confs/"), "my\\ confs/");
  EXPECT_EQ(reply("fathom train -cp 'my", "my confs/"), "my confs/");
  EXPECT_EQ(shell_reply(read_typed_line("fathom train db=p", ""), "db=pg", "zsh"), "db=pg");
}

}  // namespace
}  // namespace fathom::config
