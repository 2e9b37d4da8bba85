#include "runtime/cli/Endings.h"

#include "runtime/artifact/AtomicFile.h"
#include "runtime/artifact/MappedRange.h"
#include "runtime/cli/Report.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <initializer_list>
#include <new>
#include <unistd.h>

namespace quern::cli {
namespace {

std::atomic<bool> interrupt{false};

void say(std::initializer_list<const char *> texts) {
  for (const char *text : texts)
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0)
      return; // there is nobody to tell
}

void die_of(int signal) {
  std::signal(signal, SIG_DFL);
  raise(signal); // delivered when the handler returns
}

void on_end(int signal) {
  artifact::AtomicFile::remove_temporaries();
  die_of(signal);
}

void on_bus_error(int signal, siginfo_t *info, void *) {
  const char *path = artifact::MappedRange::file_at(info->si_addr);
  if (!path)
    return die_of(signal);
  say({"error: ", path,
       ": was cut short, or could not be read, while it was in use\n"
       "hint: wait until nothing writes to it, then run again\n"});
  artifact::AtomicFile::remove_temporaries();
  _exit(kFailed);
}

// An exception that nothing caught: on a thread of its own, or inside a library that was built
// without them.
[[noreturn]] void on_terminate() {
  if (const std::exception_ptr thrown = std::current_exception()) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::bad_alloc &) {
      end_with_error("out of memory");
    } catch (const std::exception &error) {
      end_with_error(error.what());
    } catch (...) {
    }
  }
  end_with_error("the program cannot go on; this is a bug of Quern");
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART; // a write that is under way when Ctrl-C is caught goes on
  struct sigaction before;
  // What was ignored stays ignored: nohup.
  if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
    sigaction(signal, &action, nullptr);
}

// Files that are opened later must not take the numbers of standard ones that were closed. Writing
// to that of stdout fails, as it would have: what is printed is not lost in silence.
void open_standard_files() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (fcntl(fd, F_GETFD) < 0)
      (void)open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY); // the lowest number free
}

} // namespace

void catch_interrupt() {
  handle(SIGINT, [](int signal) {
    if (interrupt.exchange(true))
      on_end(signal);
  });
}

bool interrupted() { return interrupt; }

void end_if_interrupted() {
  if (!interrupt)
    return;
  std::fflush(nullptr);
  on_end(SIGINT);
}

void end_with_error(const char *what, const char *hint) {
  say({"error: ", what, "\n"});
  if (hint)
    say({"hint: ", hint, "\n"});
  artifact::AtomicFile::remove_temporaries();
  _exit(kFailed);
}

void end_with_errors() {
  open_standard_files();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    handle(signal, on_end);
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
  std::set_terminate(on_terminate);
}

} // namespace quern::cli
