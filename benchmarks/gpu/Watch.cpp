#include "benchmarks/gpu/Watch.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace quern::kit {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// For the handler, which may do little more than write.
std::atomic<int> file = -1;
std::atomic<const std::string *> line = nullptr;

void leave(const std::string *text) {
  if (text != nullptr && file >= 0) [[maybe_unused]]
    const ssize_t written = write(file, text->data(), text->size());
  _exit(1);
}
void fault(int) {
  constexpr const char kWords[] = "the process was ended by a fault\n";
  [[maybe_unused]] const ssize_t written = write(2, kWords, sizeof kWords - 1);
  leave(line.exchange(nullptr));
}

} // namespace

Watch::Watch(const std::string &path, double seconds) : seconds_(seconds) {
  file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  for (const int signal : kSignals)
    std::signal(signal, fault);
  thread_ = std::thread([this] { wait(); });
}

Watch::~Watch() {
  end();
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
  for (const int signal : kSignals)
    std::signal(signal, SIG_DFL);
  close(file.exchange(-1));
}

void Watch::begin(std::string never, std::string fault) {
  const std::lock_guard lock(mutex_);
  line = nullptr;
  never_ = std::move(never);
  fault_ = std::move(fault);
  line = &fault_;
  ++cases_;
  running_ = true;
  changed_.notify_all();
}

void Watch::end() {
  const std::lock_guard lock(mutex_);
  line = nullptr;
  running_ = false;
  changed_.notify_all();
}

void Watch::wait() {
  std::unique_lock lock(mutex_);
  while (!over_) {
    if (!running_) {
      changed_.wait(lock);
      continue;
    }
    const unsigned long long watched = cases_;
    const bool ended = changed_.wait_for(lock, std::chrono::duration<double>(seconds_),
                                         [&] { return over_ || !running_ || cases_ != watched; });
    if (!ended)
      leave(&never_);
  }
}

} // namespace quern::kit
