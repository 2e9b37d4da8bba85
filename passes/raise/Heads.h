// Heads of keys and values that several heads of queries share.
#ifndef QUERN_PASSES_RAISE_HEADS_H
#define QUERN_PASSES_RAISE_HEADS_H

#include "mlir/IR/Builders.h"

namespace quern::raise {

/// Where heads of [sequences, positions, heads, numbers] are repetitions of fewer, each several
/// times in a row: those; null where they are not. Asked by running what makes them.
mlir::Value beforeRepeat(mlir::OpBuilder &builder, mlir::Value value);

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_HEADS_H
