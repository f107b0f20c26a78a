// Plugins as files: what is refused, why, and what sound ones do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/base/file.h"
#include "core/plugins/elf_section.h"
#include "core/plugins/kind.h"
#include "core/plugins/loader.h"
#include "core/plugins/registry.h"
#include "core/plugins/search_path.h"
#include "fathom/abi/logger.h"
#include "tests/support/folder_test.h"

namespace fathom::plugins {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint32_t kLogger = kind_bit(FATHOM_KIND_LOGGER);
const fs::path kOdd = fs::path(FATHOM_BINARY_DIR) / "tests/plugins/odd";

class PluginFiles : public FolderTest {
 protected:
  std::string put(const std::string& name, const std::string& as = {}) {
    const fs::path to = folder_ / (as.empty() ? name + ".so" : as);
    fs::copy_file(kOdd / name / (name + ".so"), to);
    return to;
  }
  std::string put_text(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
    ::chmod((folder_ / name).c_str(), 0644);
    return folder_ / name;
  }
  void use_folder(PluginRegistry& registry) {
    SearchRequest request;
    request.plugin_dirs = {folder_};
    registry.use_search_path(resolve_search_path(request));
  }
  // What the description alone already rules out.
  std::string refusal_of(const std::string& file) {
    const auto inspected = inspect_plugin(file);
    return inspected.refusal ? inspected.refusal->sentence(file) : "";
  }
  // The error of making odd.Logger when only this plugin is there.
  Error error_of_loading(const std::string& name, const std::string& component = "odd.Logger") {
    for (const auto& other : plugin_files(folder_)) fs::remove(other);
    put(name);
    auto* registry = new PluginRegistry();  // plugins are never unloaded, nor is what refers to them
    use_folder(*registry);
    try {
      registry->load(kLogger, component, "logger.0");
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << name << " was taken";
    return Error(Code::kInternal, "");
  }
};

// --- refused without being loaded

TEST_F(PluginFiles, TextFileNamedSo) {
  EXPECT_THAT(refusal_of(put_text("notes.so", "these are notes, long enough to be a header if they were one")),
              AllOf(HasSubstr("notes.so"), HasSubstr("no ELF file"), HasSubstr("fathom_add_plugin")));
  EXPECT_THAT(refusal_of(put_text("empty.so", "")), HasSubstr("empty"));
}

TEST_F(PluginFiles, TruncatedAnywhere) {
  const std::string whole = read_file(kOdd / "sound/sound.so");
  ASSERT_EQ(refusal_of(put("sound")), "");
  for (size_t size : {size_t{3}, size_t{20}, size_t{63}, size_t{64}, size_t{500}, whole.size() / 2, whole.size() - 1}) {
    EXPECT_THAT(refusal_of(put_text("cut.so", whole.substr(0, size))), HasSubstr("cannot be used")) << size;
  }
}

// Every byte of the headers replaced by extremes: the reader may refuse or not, but it must answer.
TEST_F(PluginFiles, DamagedHeadersNeverCrash) {
  const std::string whole = read_file(kOdd / "sound/sound.so");
  const uint64_t table = *reinterpret_cast<const uint64_t*>(whole.data() + 40);
  const std::string file = put_text("damaged.so", whole);
  size_t answered = 0;
  const auto damage = [&](size_t at) {
    for (const char value : {'\x00', '\x7f', '\xff'}) {
      std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
      out.seekp(static_cast<std::streamoff>(at)).put(value).flush();
      try {
        read_elf_section(file, kDescriptionSection);
        exported_symbols(file);
      } catch (const Error&) {
      }
      ++answered;
      out.seekp(static_cast<std::streamoff>(at)).put(whole[at]).flush();
    }
  };
  for (size_t at = 0; at < 64; ++at) damage(at);
  for (size_t at = table; at < whole.size(); at += 3) damage(at);
  EXPECT_GT(answered, 1000u);
}

TEST_F(PluginFiles, Executable) {
  EXPECT_NE(refusal_of("/proc/self/exe"), "");
  EXPECT_THAT(refusal_of(folder_ / "gone.so"), HasSubstr("cannot"));
}

TEST_F(PluginFiles, DescriptionMissingOrBad) {
  EXPECT_THAT(refusal_of(put("no_description")), HasSubstr("carries no plugin description"));
  EXPECT_THAT(refusal_of(put("description_no_json")), HasSubstr("not JSON"));
  EXPECT_THAT(refusal_of(put("description_incomplete")), AllOf(HasSubstr("malformed"), HasSubstr("version")));
  EXPECT_THAT(refusal_of(put("description_empty")), HasSubstr("malformed"));
  EXPECT_THAT(refusal_of(put("unknown_torch_use")), HasSubstr("torch_use"));
}

TEST_F(PluginFiles, WrongVersionsAreSeenWithoutLoading) {
  const HostVersions& here = host_versions();
  EXPECT_THAT(refusal_of(put("wrong_abi_described")), AllOf(HasSubstr("ABI 99"), HasSubstr("this program has 0.")));
  EXPECT_THAT(refusal_of(put("wrong_libtorch")),
              AllOf(HasSubstr("libtorch 1.13.1"), HasSubstr(here.libtorch), HasSubstr("rebuild")));
  EXPECT_THAT(refusal_of(put("newer_stable")), AllOf(HasSubstr("99.0.0 or newer"), HasSubstr(here.libtorch)));
  EXPECT_THAT(refusal_of(put("wrong_tag")), AllOf(HasSubstr("itanium-libc++"), HasSubstr(here.cxx_tag)));
  EXPECT_EQ(refusal_of(put("older_stable")), "");
}

TEST_F(PluginFiles, ARefusedPluginIsNamedAsTheProvider) {
  const std::string file = put("wrong_libtorch");
  PluginRegistry registry;
  use_folder(registry);
  try {
    registry.find(kLogger, "odd.Logger", "logger.name");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_EQ(error.where(), "logger.name");
    EXPECT_THAT(error.seen(), AllOf(HasSubstr(file), HasSubstr("1.13.1")));
  }
}

TEST_F(PluginFiles, WorldWritable) {
  const std::string file = put("sound");
  ::chmod(file.c_str(), 0666);
  EXPECT_THAT(refusal_of(file), HasSubstr("everybody may write"));
  ::chmod(file.c_str(), 0644);
  EXPECT_EQ(refusal_of(file), "");

  SearchRequest request;
  request.plugin_dirs = {folder_};
  ::chmod(folder_.c_str(), 0777);
  try {
    resolve_search_path(request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_THAT(error.message(), HasSubstr("everybody may write"));
  }
  // Below it, too: whoever may rename a parent may replace the plugin.
  fs::create_directory(folder_ / "below");
  ::chmod((folder_ / "below").c_str(), 0755);
  EXPECT_NE(writable_by_everybody(folder_ / "below"), "");
  ::chmod(folder_.c_str(), 01777);
  EXPECT_EQ(writable_by_everybody(folder_ / "below"), "");
  // As a default folder it is left out, not fatal.
  ::chmod(folder_.c_str(), 0755);
  fs::create_directories(folder_ / "fathom/plugins");
  ::chmod((folder_ / "fathom/plugins").c_str(), 0777);
  SearchRequest user;
  user.user_data_home = folder_;
  const SearchPath path = resolve_search_path(user);
  EXPECT_TRUE(path.folders.empty());
  ASSERT_EQ(path.refused.size(), 1u);
  EXPECT_THAT(path.refused[0].reason, HasSubstr("everybody"));
}

TEST_F(PluginFiles, RelativeEmptyAndMissingFolders) {
  const auto code_of = [](SearchRequest request) {
    try {
      resolve_search_path(request);
      return 0;
    } catch (const Error& error) {
      return static_cast<int>(error.code());
    }
  };
  SearchRequest named, environment, missing, twice;
  named.plugin_dirs = {"build/lib"};
  environment.environment_path = folder_.string() + ":";
  missing.plugin_dirs = {(folder_ / "none").string()};
  EXPECT_EQ(code_of(named), FATHOM_USAGE);
  EXPECT_EQ(code_of(environment), FATHOM_USAGE);
  EXPECT_EQ(code_of(missing), FATHOM_NO_INPUT);
  twice.plugin_dirs = {folder_, folder_.string() + "/."};
  EXPECT_EQ(resolve_search_path(twice).folders.size(), 1u);
}

TEST_F(PluginFiles, OrderOfFolders) {
  for (const char* name : {"named", "listed", "prefix/bin", "prefix/lib/fathom/plugins", "data/fathom/plugins"})
    fs::create_directories(folder_ / name);
  SearchRequest request;
  request.plugin_dirs = {folder_ / "named"};
  request.environment_path = folder_ / "listed";
  request.program = folder_ / "prefix/bin/fathom";
  request.user_data_home = folder_ / "data";
  std::vector<std::string> order;
  for (const auto& folder : resolve_search_path(request).folders) order.push_back(fs::relative(folder.path, folder_));
  EXPECT_THAT(order, ::testing::ElementsAre("named", "listed", "prefix/lib/fathom/plugins", "data/fathom/plugins"));
}

TEST_F(PluginFiles, TwoPluginsGiveOneName) {
  const std::string first = put("sound"), second = put("twin");
  PluginRegistry registry;
  use_folder(registry);
  try {
    registry.find(kLogger, "odd.Logger");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(first), HasSubstr(second)));
  }
  // A link to a plugin is the same plugin.
  fs::remove(second);
  fs::create_symlink(first, folder_ / "link.so");
  PluginRegistry again;
  use_folder(again);
  EXPECT_EQ(again.plugins().size(), 1u);
  EXPECT_EQ(again.find(kLogger, "odd.Logger").file, first);
}

TEST_F(PluginFiles, ListingLoadsNothing) {
  put("throws");
  put("second");
  PluginRegistry registry;
  use_folder(registry);
  EXPECT_EQ(registry.plugins().size(), 2u);
  for (const auto& plugin : registry.plugins()) {
    EXPECT_FALSE(plugin.loaded);
    EXPECT_EQ(plugin.refusal, "");
  }
  const std::string maps = [] {
    std::ifstream in("/proc/self/maps");
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  EXPECT_THAT(maps, Not(HasSubstr(folder_.string())));
}

// --- refused on loading

TEST_F(PluginFiles, NoEntrySymbol) {
  const Error error = error_of_loading("no_entry");
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr("fathom_plugin_entry_v1"));
  EXPECT_THAT(error.where(), HasSubstr("no_entry.so"));
}

TEST_F(PluginFiles, WrongMagicOrShortDescriptor) {
  EXPECT_THAT(error_of_loading("wrong_magic").message(), HasSubstr("magic"));
  EXPECT_THAT(error_of_loading("short_descriptor").message(), HasSubstr("size"));
}

TEST_F(PluginFiles, WrongAbiThatTheDescriptionHides) {
  EXPECT_THAT(error_of_loading("wrong_abi_hidden").message(), HasSubstr("ABI 99"));
}

TEST_F(PluginFiles, ThrowsOrFailsWhileRegistering) {
  EXPECT_THAT(error_of_loading("throws").message(), AllOf(HasSubstr("exception"), HasSubstr("no licence found")));
  EXPECT_THAT(error_of_loading("throws_int").message(), HasSubstr("unknown type"));
  EXPECT_THAT(error_of_loading("fails").message(), HasSubstr("the dongle is missing"));
  EXPECT_THAT(error_of_loading("bad_component").message(), HasSubstr("create"));
}

TEST_F(PluginFiles, RegistersOtherThanItDescribes) {
  EXPECT_THAT(error_of_loading("registers_nothing").message(), HasSubstr("does not register"));
  EXPECT_THAT(error_of_loading("other_name").message(), HasSubstr("somebody_else"));
}

TEST_F(PluginFiles, UndefinedSymbolIsASentence) {
  const Error error = error_of_loading("undefined");
  EXPECT_THAT(error.message(), AllOf(HasSubstr("odd::defined_nowhere"), Not(HasSubstr("undefined symbol"))));
  EXPECT_THAT(error.next(), HasSubstr("rebuild"));
}

TEST_F(PluginFiles, ARefusalOnLoadingIsRemembered) {
  put("throws");
  auto* registry = new PluginRegistry();
  use_folder(*registry);
  EXPECT_THROW(registry->load(kLogger, "odd.Logger"), Error);
  EXPECT_THAT(registry->plugins().at(0).refusal, HasSubstr("no licence found"));
  EXPECT_FALSE(registry->contains(kLogger, "odd.Logger"));
}

// --- sound ones

TEST_F(PluginFiles, SoundPluginsLoadLazilyAndShutDownInReverse) {
  put("sound");
  put("second");
  const fs::path log = folder_ / "shutdown.log";
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("FATHOM_TEST_SHUTDOWN_LOG", log.c_str(), 1);
    use_folder(registry());
    Handle<fathom_logger_v1>(registry().create(kLogger, {{"name", "second.Logger"}}, "logger"));
    const bool lazy = registry().plugins().at(0).loaded && !registry().plugins().at(1).loaded;
    Handle<fathom_logger_v1>(registry().create(kLogger, {{"_target_", "odd.Logger"}}, "logger"));
    std::exit(lazy ? 0 : 1);  // shutdown runs at exit
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(log), "odd\nsecond\n");
}

TEST_F(PluginFiles, BuiltWithTheSdkItDescribesItself) {
  const std::string file = kOdd / "described/test_sound_plugin.so";
  const auto inspected = inspect_plugin(file);
  ASSERT_FALSE(inspected.refusal) << inspected.refusal->reason;
  EXPECT_EQ(inspected.info.name, "sound_test");
  EXPECT_EQ(inspected.info.version, "1.2.3");
  ASSERT_EQ(inspected.info.provides.size(), 1u);
  EXPECT_EQ(inspected.info.provides[0].aliases, std::vector<std::string>{"test.repeat"});
  EXPECT_EQ(inspected.info.provides[0].schema["options"][0]["name"], "separator");
  EXPECT_EQ(inspected.info.element_types[0]["name"], "SoundTestType");
  EXPECT_EQ(exported_symbols(file), std::vector<std::string>{"fathom_plugin_entry_v1"});
}

}  // namespace
}  // namespace fathom::plugins
