// The C++ side of AnchorInterface.td: what passes and targets ask of the op that a region's loops
// are built around. `rows`, the anchor of regions without such an op, answers in
// ir/quern/Anchors.cpp.
#ifndef QUERN_IR_INTERFACES_ANCHORINTERFACE_H
#define QUERN_IR_INTERFACES_ANCHORINTERFACE_H

#include "mlir/IR/OpDefinition.h"

#include <cstdint>
#include <optional>

namespace quern {

enum class Anchor : uint32_t; // generated from AnchorInterface.td, in ir/quern/QuernDialect.h

/// Ops that may be computed in passing, before the anchor or after it.
enum class Joins {
  nothing,
  headwise,    ///< what has HeadwiseOpInterface, of heads as wide as the anchor's
  elementwise, ///< what is Elementwise
  combining,   ///< what is Elementwise, and the sum of a token's experts
  permuting,   ///< what is Elementwise, and one transposition of a row's columns
  rowwise,     ///< what is Elementwise or RowWise
};

/// Whether `op` is one of those.
bool joins(Joins which, mlir::Operation *op);

/// What an anchor does to the state that sequences carry between steps.
struct StateUse {
  mlir::Value state{}; ///< null: it touches none
  bool reads = false;
  bool writes = false;
  int64_t window = 0; ///< positions of a kv state that a token sees, its own included; 0: all
};

/// How an anchor reads its one weight that is a matrix (quantized, and packed in panels).
struct MatrixUse {
  mlir::OpOperand *operand = nullptr; ///< null: it has none
  /// Products are summed up, so that errors of the elements average out. Otherwise they go into the
  /// result as they are, and the matrix keeps eight bits.
  bool summed = true;
  /// Slices of the outermost dimension that are read for each row of the result; 0: all of them,
  /// once a step.
  int64_t slices = 0;
};

/// 2 x multiply-adds.
struct Flops {
  uint64_t row = 0;      ///< for each row
  uint64_t position = 0; ///< and for each position that a row attends to
};

/// What workers that share the work of a single token's row leave for one another: rows of sums
/// with a maximum and a weight each, a row a head. No rows: they leave nothing.
struct Partials {
  int64_t rows = 0;
  int64_t columns = 0;
};

/// In the place of a number of parts: a row of the results is finished by one worker, as a whole.
inline constexpr int64_t kWholeRow = 0;

/// The answers of an anchor. None has a default: an op that leaves one out does not compile.
struct AnchorFacts {
  Joins prologue;
  Joins epilogue;
  StateUse state;
  MatrixUse matrix;
  Flops flops;
  Partials partials;
  /// Equal parts of a row of the region's results that workers finish apart from one another (or
  /// kWholeRow): each can be quantized where it is finished, if it is whole pairs of groups. Null
  /// where columns leave the loops as floats.
  std::optional<int64_t> rowParts;

  /// The region has a place among those on the same state, and keeps it.
  bool staysInPlace() const { return state.reads || state.writes; }
};

/// What the interface promises: facts and memory effects agree, and the matrix is a weight.
llvm::LogicalResult verifyAnchor(mlir::Operation *op);

} // namespace quern

#include "ir/quern/AnchorInterface.h.inc"

#endif // QUERN_IR_INTERFACES_ANCHORINTERFACE_H
