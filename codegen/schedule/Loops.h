// The stretches of a bucket's calls that repeat, a model's layers, as loops: what changes from turn
// to turn is a table of numbers.
#ifndef QUERN_CODEGEN_SCHEDULE_LOOPS_H
#define QUERN_CODEGEN_SCHEDULE_LOOPS_H

#include "codegen/schedule/Calls.h"

#include <optional>

namespace quern::codegen {

/// calls[first, end()) are `turns` times the same `period` calls, alike.
struct Loop {
  size_t first = 0, period = 0, turns = 0;

  /// Of each call of a turn, of each operand: the column of `table` that has its number, or nothing
  /// where the number is the same in every turn.
  std::vector<std::vector<std::optional<size_t>>> columns;
  /// [turns][width], by rows, as they are read. Operands whose numbers are the same in all turns
  /// share a column.
  std::vector<int64_t> table;
  size_t width = 0;

  size_t end() const { return first + period * turns; }
};

/// The loops of a bucket's calls, in order; fails with a diagnostic where the bucket says that
/// calls repeat which are not alike.
mlir::FailureOr<std::vector<Loop>> loopsOf(mlir::func::FuncOp bucket, llvm::ArrayRef<Call> calls);

} // namespace quern::codegen

#endif // QUERN_CODEGEN_SCHEDULE_LOOPS_H
