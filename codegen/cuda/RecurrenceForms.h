// The two forms in which a linear recurrence is computed, and what both read of a row.
#ifndef QUERN_CODEGEN_CUDA_RECURRENCEFORMS_H
#define QUERN_CODEGEN_CUDA_RECURRENCEFORMS_H

#include "codegen/cuda/RowValues.h"

#include <optional>

namespace quern::cuda {

/// Where a head's columns lie in the rows that a recurrence reads.
struct HeadColumns {
  LinearRecurrenceOp of;

  /// The first of block `block`, in rows with `columns` for each of `theirs` heads, which heads of
  /// the state may share.
  std::string begin(int64_t columns, int64_t theirs, int64_t block = 0);
  /// Of the head's values.
  std::string values(int64_t block = 0) { return begin(of.valueDim(), of.heads(), block); }
  /// Of a decay, a or b, with `columns` for each of their heads.
  std::string shared(mlir::Value rows, int64_t columns) {
    return begin(columns, of.heads() / of.headsThatShare(rows, columns));
  }
};

/// Columns of a head that are shared out together where a token comes after the other: a lane's
/// each.
inline constexpr int64_t kSlice = 32;

/// How sequences that bring many tokens to a step are computed: some tokens at a time
/// (codegen/cuda/device/RecurrenceChunks.cuh), by a block for some columns of a head.
struct Chunks {
  int64_t tokens, columns;
  bool byKey;

  /// Tokens of a sequence from which on they pay: its first chunk costs what some ten tokens cost
  /// one after the other.
  static constexpr int64_t kLeast = 16;

  /// Nothing where tokens come one after the other however many there are: with integer weights,
  /// whose bits do not depend on how sequences are cut; and where there is nothing for a product of
  /// matrices, or no room (docs/decisions/0025-prompts-recur-in-chunks-beside-floats.md).
  static std::optional<Chunks> of(LinearRecurrenceOp scan);
  /// Declares `using Chunks` in the kernel.
  void declare(Kernel &kernel) const;
  /// Computes tokens [first, end) of `seq`, of the columns of `head` that begin with this of its
  /// slices, which are all ints of the kernel, and continues with what comes next.
  mlir::LogicalResult write(Kernel &kernel, const std::string &slice) const;
};

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_RECURRENCEFORMS_H
