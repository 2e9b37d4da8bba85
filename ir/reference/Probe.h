// Probes: what a module computes on made-up batches, for comparing it with itself after a pass.
#ifndef QUERN_IR_REFERENCE_PROBE_H
#define QUERN_IR_REFERENCE_PROBE_H

#include "ir/reference/Interpreter.h"
#include "ir/reference/Trials.h"

#include "mlir/IR/BuiltinOps.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace quern::reference {

/// A few steps that share state, and a name for messages.
struct Scenario {
  std::string name;
  std::vector<Batch> steps;
};

/// Scenarios with random tokens in [0, vocab): one sequence decoded, a prompt and its continuation,
/// several sequences decoded, and ragged steps in which sequences come and pause. All carry state
/// from step to step.
std::vector<Scenario> scenarios(uint64_t seed, int32_t vocab);

/// The outputs of every step of a scenario, as one bucket ran it, or the results of a trial.
struct Run {
  std::string bucket; ///< empty: the entry is not scheduled
  std::vector<Output> outputs;
  std::vector<std::pair<std::string, Tensor>> results = {}; ///< and what callers call them
};

/// Entry -> scenario's or trial's name -> its runs.
using Probe = std::map<std::string, std::map<std::string, std::vector<Run>>>;

/// Runs every entry of the module in float64. One that takes a batch: on every scenario, and where
/// it is scheduled by every bucket; steps that a bucket does not admit go to the first that does,
/// and a scenario that has a step which no bucket admits is left out. Any other: on its trials.
/// Fails if the module has an entry that no scenario or trial fits.
/// `exact_formats` as Interpreter::Options has it.
absl::StatusOr<Probe> probe(mlir::ModuleOp module, uint64_t seed, const Trials &trials,
                            bool exact_formats = false);

/// How far two probes are apart, and where.
struct Difference {
  /// The largest distance of two numbers, in standard deviations of what the scenario, or a result
  /// of a trial, gave before. Infinite where one is not finite, integers are not the same, or
  /// shapes, entries or scenarios do not match. An integer that was a float so near an edge that
  /// the order of a sum moves it over it would be no pass's fault; random inputs do not lie there.
  double largest = 0;
  /// The largest root mean square distance of a run.
  double rms = 0;
  /// Where the largest is: "entry step, bucket decode, ragged, step 1, row 0, column 7: 1.5
  /// became 1.7".
  std::string where;
};

/// Compares all runs of `after` with the first run of `before` of the same entry and scenario.
Difference compare(const Probe &before, const Probe &after);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_PROBE_H
