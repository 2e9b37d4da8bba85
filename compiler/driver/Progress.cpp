#include "compiler/driver/Progress.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace quern::driver {
namespace {

constexpr int kWidth = 30;
constexpr std::chrono::milliseconds kInterval(100);
// Of the table of times.
constexpr int kNameWidth = 32;
constexpr double kNoteworthy = 0.0005; // what would be printed as zero is not

} // namespace

Progress::Progress(bool wanted) : draws_(wanted && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::part(const std::string &name) {
  finish();
  parts_.push_back({{name, 0}, {}});
  running_ = true;
  begun_ = Clock::now();
  draw(0);
}

void Progress::done(double fraction) {
  if (Clock::now() - shown_ >= kInterval)
    draw(fraction);
}

void Progress::step(std::string_view name, double seconds) {
  std::vector<Step> &steps = parts_.back().steps;
  auto step = std::ranges::find(steps, name, &Step::name);
  if (step == steps.end())
    step = steps.insert(steps.end(), {std::string(name), 0});
  step->seconds += seconds;
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
  const auto line = [](const char *indent, const std::string &name, double seconds) {
    std::fprintf(stderr, "%s%-*s %9.3f s\n", indent,
                 kNameWidth - static_cast<int>(std::strlen(indent)), name.c_str(), seconds);
  };
  for (const Part &part : parts_) {
    line("", part.name, part.seconds);
    for (const Step &step : part.steps)
      if (step.seconds >= kNoteworthy)
        line("  ", step.name, step.seconds);
    sum += part.seconds;
  }
  line("", "total", sum);
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
