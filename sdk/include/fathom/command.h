// Kind `command`: what a plugin adds to the program's command line.
//
//   class Normalize final : public fathom::Command {
//    public:
//     struct Options { … std::string file = "-"; std::string whitelist; bool inverse = false; … };
//     static std::vector<std::string> positionals() { return {"file"}; }   // options that need no flag, in order
//     explicit Normalize(const Options& options);
//     void run(const fathom::CommandIo& io) override;
//   };
//   r.add<Normalize>("tts.normalize", "numbers, dates and sums of money as words");
//
// `fathom tts normalize numbers.txt --whitelist mine.tsv` then makes and runs it. An option `sup_data_path` is the flag
// --sup-data-path; a bool takes no value (--inverse, --no-inverse), a list is given several times or with commas, and
// whatever else than text, numbers and lists of them is JSON. The last of the positionals may be a list. Results go to
// io.print(), messages to fathom::log, and failures are thrown. A command of a plugin without torch starts in
// milliseconds.
#pragma once

#include "fathom/abi/command.h"
#include "fathom/plugin.h"

namespace fathom {

namespace command_detail {
const void* table();
}

// What a running command has of the program; any thread may use it.
class CommandIo {
 public:
  explicit CommandIo(const fathom_command_io* io) : io_(filled(io)) {}
  // For stdout, as it is; results only.
  void print(std::string_view text) const { check(io_.print(io_.ctx, to_abi(text))); }
  void print_line(std::string_view text) const { print(std::string(text) + "\n"); }
  // `done` of `total` of `what` ("clips"); total 0: not known.
  void progress(std::string_view what, uint64_t done, uint64_t total) const {
    if (io_.progress != nullptr) io_.progress(io_.ctx, to_abi(what), done, total);
  }
  // Whether the user asked to end; what has been done by then is kept.
  bool stopped() const { return io_.stopped != nullptr && io_.stopped(io_.ctx) != 0; }
  // Throws Error(kInterrupted) when the user asked to end.
  void check_stopped() const {
    if (stopped()) throw Error(Code::kInterrupted, "interrupted");
  }
  int threads() const { return io_.threads > 0 ? io_.threads : 1; }

 private:
  fathom_command_io io_;
};

class Command {
 public:
  using ComponentKind = SimpleKind<Command, FATHOM_KIND_COMMAND, &command_detail::table>;
  virtual ~Command() = default;
  virtual void run(const CommandIo& io) = 0;

  template <typename T>
  static void describe(Json& schema) {
    if constexpr (requires { T::positionals(); }) schema["positionals"] = T::positionals();
  }
};

namespace command_detail {
inline const void* table() {
  static const fathom_command_v1 table = {sizeof(fathom_command_v1), [](void* self, const fathom_command_io* io) {
                                            return guard([&] { static_cast<Command*>(self)->run(CommandIo(io)); });
                                          }};
  return &table;
}
}  // namespace command_detail

}  // namespace fathom
