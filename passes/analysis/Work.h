// How many steps the loops of general ops take.
#ifndef QUERN_PASSES_ANALYSIS_WORK_H
#define QUERN_PASSES_ANALYSIS_WORK_H

#include "ir/symbols/Bounds.h"

#include "mlir/IR/Operation.h"

#include <cstdint>

namespace quern {

/// Steps of an op, by whatever sizes a caller chooses, that no machine takes: a day of a machine
/// that takes a billion a second.
inline constexpr int64_t kMostSteps = int64_t{1} << 46;
/// The same where every size is as great as it may be. Callers seldom choose all of them so.
inline constexpr int64_t kMostStepsAtBounds = int64_t{1} << 56;

/// Steps that a general op's loops take at these sizes, at most, those of loops with fixed bounds
/// in its body among them; kTooMany (Sizes.h) where there are more. Of ops that compute each
/// element by itself 1: elements that nobody reads are not computed, and those that are written
/// take memory, which has a bound of its own.
int64_t stepsOf(mlir::Operation *op, const symbols::Maxima &sizes);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_WORK_H
