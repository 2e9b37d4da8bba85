// How messages name an op.
#ifndef QUERN_IR_REFERENCE_DESCRIBE_H
#define QUERN_IR_REFERENCE_DESCRIBE_H

#include "mlir/IR/Operation.h"

#include <string>

namespace quern::reference {

/// `quern.linear (model.layers.3.mlp.up_proj)`: the op and the source's name for it, or for
/// `named_by`.
std::string describe(mlir::Operation *op, mlir::Operation *named_by = nullptr);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_DESCRIBE_H
