// A planned bucket's schedule as calls: which kernels run in order, on what, and what is said of
// who runs them and where workers wait.
#ifndef QUERN_PASSES_ANALYSIS_CALLS_H
#define QUERN_PASSES_ANALYSIS_CALLS_H

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

#include <string>
#include <vector>

namespace quern {

/// What a kernel is handed: a number, or an address so many bytes behind a base.
struct Operand {
  enum class Base {
    None,       ///< a number: a state's kv group, its offset
    Weights,    ///< the weights section
    Arena,      ///< the arena that workers share
    Replicated, ///< the worker's own one, for what every worker computes
    Input,      ///< the entry's input `index`
    Output,     ///< the entry's result `index`
    Rows        ///< the rows that logits are wanted of
  };
  Base base;
  int64_t number = 0; ///< the bytes, or what the number is
  unsigned index = 0;
};

struct Call {
  KernelOp kernel;
  bool barrier = false;    ///< workers wait for each other before it
  bool replicated = false; ///< every worker runs all of it, on memory of its own
  bool last = false;       ///< its result, one row, is all that the entry gives
  /// Those of the dispatch's inputs, then of its results, then its scratch memory, then, where the
  /// kernel can find faults, the dispatch's number. A state is two numbers, the batch none.
  llvm::SmallVector<Operand, 8> operands;
  DispatchOp dispatch;

  /// True where the calls differ in numbers only.
  bool alike(const Call &other) const { return difference(other).empty(); }
  /// What else they differ in, in words: "another kernel". Empty where it is nothing.
  std::string difference(const Call &other) const;
};

/// The calls of a planned bucket, in order, with the marks of the order phase where there are some;
/// fails with a diagnostic on what the plan phase does not leave. `symbols` are the module's.
mlir::FailureOr<std::vector<Call>> callsOf(mlir::func::FuncOp bucket,
                                           const mlir::SymbolTable &symbols);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_CALLS_H
