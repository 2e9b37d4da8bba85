// Shapes under which a piece is run: short wherever it does not matter how long a dimension is.
//
// A graph's own sizes may be fixed and large (1500 positions of 768 numbers), and a piece says no
// more of itself at 1500 positions than at three, if none of its ops knows a position from another:
// such a dimension is carried along. All loops over it are parallel, no op asks for its index or
// reads at an index of it, no constant lies along it, nothing is cut from it or put behind it. Then
// the piece of some of the positions is some of the positions of the piece, whichever they are, so
// that what holds for any three holds for all. That is proven by what the ops read and write, and
// not tried.
#ifndef QUERN_PASSES_RAISE_SHORTSHAPES_H
#define QUERN_PASSES_RAISE_SHORTSHAPES_H

#include "ir/reference/Sizes.h"
#include "passes/raise/Piece.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

#include <optional>

namespace quern::raise {

/// The shapes under these sizes, of which dimensions that are carried along have a few elements
/// each, but enough in all for the result to tell functions apart. A leaf's dimensions that stand,
/// from the last one on, where the result has as many elements are as long as the result's. None
/// where no dimension gets shorter.
std::optional<ShapesOfValues> shortShapes(const Piece &piece, reference::Sizes &sizes);

/// A copy of the piece's op, its results of these shapes, as numbers; none of what reads shapes in
/// its operands is needed then.
void cloneWithShapes(mlir::OpBuilder &builder, mlir::Operation *op, mlir::IRMapping &mapping,
                     const ShapesOfValues &shapes);

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_SHORTSHAPES_H
