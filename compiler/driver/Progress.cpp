#include "compiler/driver/Progress.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace quern::driver {
namespace {

constexpr int kWidth = 30;
constexpr std::chrono::milliseconds kInterval(100);

} // namespace

Progress::Progress(bool wanted) : draws_(wanted && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::part(const std::string &name) {
  finish();
  parts_.push_back({name, 0});
  running_ = true;
  begun_ = Clock::now();
  draw(0);
}

void Progress::done(double fraction) {
  if (Clock::now() - shown_ >= kInterval)
    draw(fraction);
}

void Progress::finish() {
  if (running_)
    parts_.back().seconds = std::chrono::duration<double>(Clock::now() - begun_).count();
  running_ = false;
}

void Progress::say(const std::string &line) {
  clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Progress::print_timing() const {
  double sum = 0;
  for (const Part &part : parts_) {
    std::fprintf(stderr, "%-28s %9.3f s\n", part.name.c_str(), part.seconds);
    sum += part.seconds;
  }
  std::fprintf(stderr, "%-28s %9.3f s\n", "total", sum);
}

void Progress::draw(double fraction) {
  if (!draws_)
    return;
  shown_ = Clock::now();
  drawn_ = true;
  const int full = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * kWidth);
  std::fprintf(stderr, "\r\033[K[%s%s] %s", std::string(full, '#').c_str(),
               std::string(kWidth - full, ' ').c_str(), parts_.back().name.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (!drawn_)
    return;
  std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

} // namespace quern::driver
