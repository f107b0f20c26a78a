#include "host/output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>

#include "core/base/log.h"

namespace fathom::cli {
namespace {

bool use_colour = false;

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error(Code::kIo, std::string("cannot write the output: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

bool environment_says(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

void set_colour(Colour choice) {
  // Plugins draw too (progress), and know the environment alone.
  if (choice == Colour::kNever) ::setenv("NO_COLOR", "1", 1);
  if (choice == Colour::kAlways) ::unsetenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  if (choice == Colour::kAlways)
    use_colour = true;
  else if (choice == Colour::kNever || environment_says("NO_COLOR"))
    use_colour = false;
  else if (environment_says("CLICOLOR_FORCE"))
    use_colour = true;
  else
    use_colour = ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
  set_log_colour(use_colour);
}

void print(std::string_view text) { write_all(STDOUT_FILENO, text); }
void print_line(std::string_view text) { print(std::string(text) + "\n"); }
void print_json(const Json& document) { print_line(json_text(document, 2)); }

void print_error(const Error& error) {
  std::string text = use_colour ? "\033[1;31merror:\033[0m " : "error: ";
  constexpr size_t kLongest = 1000;  // a line that repeats a megabyte of input hides what is wrong with it
  for (std::string_view rest = error.what(); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    text += line.size() <= kLongest ? std::string(line)
                                    : std::string(line.substr(0, kLongest)) + "… (" +
                                          std::to_string(line.size() - kLongest) + " bytes more)";
    text += '\n';
  }
  // Nothing can be said when stderr itself is gone.
  (void)!::write(STDERR_FILENO, text.data(), text.size());
}

int report_exception(const std::exception& error) {
  if (const auto* own = dynamic_cast<const Error*>(&error)) {
    print_error(*own);
    return static_cast<int>(own->code());
  }
  if (const auto* system = dynamic_cast<const std::system_error*>(&error)) {
    // std::filesystem's name their path; a read-only or missing folder is the user's to mend.
    const bool denied =
        system->code() == std::errc::permission_denied || system->code() == std::errc::read_only_file_system;
    const Error own(denied ? Code::kCantCreate : Code::kIo, error.what());
    print_error(own);
    return static_cast<int>(own.code());
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    print_error(Error(Code::kFailed, "out of memory").next("give the program more, or less to do at once"));
    return FATHOM_FAILED;
  }
  print_error(
      Error(Code::kInternal, error.what()).next("this is a defect of fathom: please report it with the command line"));
  return FATHOM_INTERNAL;
}

}  // namespace fathom::cli
