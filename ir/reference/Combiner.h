// Ops that put many numbers together (internal to ir/reference).
#ifndef QUERN_IR_REFERENCE_COMBINER_H
#define QUERN_IR_REFERENCE_COMBINER_H

#include "ir/reference/Lanes.h"

#include <cstdint>
#include <vector>

namespace quern::reference {

/// Whether the op gives the same whichever way it is put together from many numbers, rounding
/// apart.
bool combines(mlir::Operation *op);

/// Puts the numbers, in their order, to the elements at `places`, by such an op. Floats are not
/// rounded.
void combine(mlir::Operation *op, Tensor &to, const Lanes &numbers,
             const std::vector<int64_t> &places);

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_COMBINER_H
