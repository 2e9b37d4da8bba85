// How long the steps of code generation take.
#ifndef QUERN_CODEGEN_CPU_STOPWATCH_H
#define QUERN_CODEGEN_CPU_STOPWATCH_H

#include "codegen/cpu/CpuCodegen.h"

#include <chrono>

namespace quern::cpu {

class Stopwatch {
public:
  explicit Stopwatch(const Options &options) : options(options), begun(Clock::now()) {}

  /// The step ends that began with the last one's end.
  void took(std::string_view step) {
    const Clock::time_point now = Clock::now();
    if (options.took)
      options.took(step, std::chrono::duration<double>(now - begun).count());
    begun = now;
  }

private:
  using Clock = std::chrono::steady_clock;
  const Options &options;
  Clock::time_point begun;
};

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_STOPWATCH_H
