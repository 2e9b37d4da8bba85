// What a weight is to the op that reads it, and where a weight comes from.
#ifndef QUERN_PASSES_ANALYSIS_WEIGHTROLES_H
#define QUERN_PASSES_ANALYSIS_WEIGHTROLES_H

#include "ir/quern/QuernDialect.h"

#include <string>

namespace quern {

/// How an operand that is a weight is read.
enum class WeightRole {
  none,   ///< the operand is no weight
  matrix, ///< a matrix product's or an embedding's: quantized, and packed in panels
  plain,  ///< a vector, a convolution's taps: float32 in plain rows
};

/// The role of `use`, an operand of a model op (not of a quern.fused; see rolesOfInput).
WeightRole weightRole(mlir::OpOperand &use);

/// The role of the fused region's input number `index` inside its body; plain where nothing reads
/// it. An input read both ways is a matrix.
WeightRole roleOfInput(FusedOp fused, unsigned index);
WeightRole roleOfInput(KernelOp kernel, unsigned index);

/// Whether matrix products with such weights multiply integers: the format is known, and not of
/// floats.
bool isQuantized(WeightType type);

/// The names of the declared weights that the expression `weight` is computed from, merged into
/// one.
std::string weightName(mlir::Value weight);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_WEIGHTROLES_H
