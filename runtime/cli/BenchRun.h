// Measures one row of the bench table.
#ifndef QUERN_RUNTIME_CLI_BENCHRUN_H
#define QUERN_RUNTIME_CLI_BENCHRUN_H

#include "runtime/session/Engine.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace quern::cli {

/// A test: prefill ("pp512") feeds `tokens` at once, decode ("tg128") one by one; `batch` sequences
/// together, each after `depth` tokens of history.
struct BenchTest {
  bool prefill = true;
  uint64_t tokens = 0;
  uint64_t depth = 0;
  uint64_t batch = 1;

  std::string name() const;
};

/// What the machine allows, probed in the same run by the same threads.
struct Bounds {
  double read_bytes_per_s = 0; ///< of as many bytes as the weights have, or a step if it reads more
  double ops_per_s = 0;        ///< of the products that most of the model's weights take part in
  double float_ops_per_s = 0;  ///< attention's, and those of float weights
};

/// A kernel's part of a repetition.
struct KernelRow {
  std::string name;
  std::string label; ///< what it is in the model; "*" where its dispatches' names differ
  uint64_t calls = 0;
  double seconds = 0;
  double bytes = 0; ///< of weights and state
  double share_of_bound =
      0; ///< the time that bytes and operations need at the bounds, of `seconds`
};

struct BenchRow {
  BenchTest test;
  double tokens_per_s = 0; ///< mean over the repetitions, all sequences together
  double stddev = 0;
  double bytes_per_token = 0;     ///< weights and state that a token makes the schedule move
  double mbu = 0;                 ///< tokens/s * bytes a token, of the bandwidth
  double mfu = 0;                 ///< tokens/s * operations a token, of the arithmetic peak
  double first_token_seconds = 0; ///< prefill: of the whole prompt; decode: of the first step
  double seconds = 0;             ///< a repetition, mean
  double steps = 0;               ///< of the device, in a repetition
  Bounds bounds;
  std::vector<KernelRow> kernels; ///< in the order in which they first run; where asked for
  double host_seconds = 0; ///< of a repetition, before the first kernels of its steps; likewise

  /// Of a repetition, all sequences together.
  double tokens() const { return static_cast<double>(test.tokens * test.batch); }
};

/// One unmeasured repetition, then `repetitions` measured ones, before which `begin` is called. The
/// engine must have room: `batch` slots, twice as many if depth is not 0, of depth + tokens
/// positions. Of the bounds all but reading are given, which is probed here. `kernels`: their times
/// too.
absl::StatusOr<BenchRow> run_bench(session::Engine &engine, const BenchTest &test,
                                   uint64_t repetitions, Bounds bounds, bool kernels,
                                   const std::function<absl::Status()> &begin);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_BENCHRUN_H
