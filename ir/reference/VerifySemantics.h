// Semantic verification of passes: runs the module before and after each pass and names the first
// pass that changed its numbers.
#ifndef QUERN_IR_REFERENCE_VERIFYSEMANTICS_H
#define QUERN_IR_REFERENCE_VERIFYSEMANTICS_H

#include "mlir/Pass/PassManager.h"

#include <cstdint>
#include <string>
#include <vector>

namespace quern::reference {

struct VerifySemanticsOptions {
  /// Of the tokens of the trial batches (Probe.h) and the inputs of trial calls (Trials.h).
  uint64_t seed = 1;
  /// How far any output may move in a pass, in standard deviations of the outputs. The module is
  /// run in float64, so reordered sums stay far below; what passes fold into float32 weights and
  /// constants does not. A lossy pass is held to this with formats that round nothing
  /// (Interpreter::Options::exact_formats).
  double tolerance = 1e-4;
  /// Passes that may round numbers by choosing formats, by argument ("quern-assign-formats"); a
  /// trailing * matches any rest. What such a pass leaves is the measure of the passes after it.
  std::vector<std::string> lossy = {"quern-quantize*"};
  /// How far a lossy pass may move the outputs by its formats' rounding, root mean square, in
  /// standard deviations.
  double lossy_tolerance = 0.5;
};

/// Watches `pm`, to which all passes have been added: the first pass that changes the meaning of
/// the module, or after which it cannot be run, is named in an error on the module, and the
/// pipeline fails at its end. Turns the context's multithreading off. Passes on parts of the module
/// are watched as well as passes on the whole.
void verify_semantics(mlir::PassManager &pm, VerifySemanticsOptions options);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_VERIFYSEMANTICS_H
