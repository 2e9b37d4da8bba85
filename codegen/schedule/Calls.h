// A bucket's schedule as every target's code reads it: which kernels run in order, on what, and
// where workers wait.
#ifndef QUERN_CODEGEN_SCHEDULE_CALLS_H
#define QUERN_CODEGEN_SCHEDULE_CALLS_H

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

#include <string>
#include <vector>

namespace quern::codegen {

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
  llvm::SmallVector<Operand, 8> operands;

  /// True where the calls differ in numbers only.
  bool alike(const Call &other) const;
};

/// The calls of a planned bucket, in order; fails with a diagnostic on what the plan phase does not
/// leave. `symbols` are the module's.
mlir::FailureOr<std::vector<Call>> callsOf(mlir::func::FuncOp bucket,
                                           const mlir::SymbolTable &symbols);

/// True where the bucket is for one token of one sequence, so that its kernels are specialised for
/// it.
bool isSingle(mlir::func::FuncOp bucket);

/// What a kernel is specialised for: nothing, one token of one sequence, and besides that its
/// result is all that the entry gives, of which the largest column may be all that is asked for.
enum class Form { Many, One, Last };

/// The form of its kernel that a call of the bucket is of.
Form formOf(mlir::func::FuncOp bucket, const Call &call);

/// The name of a bucket in the artifact and of its function: quern_step_decode1.
std::string bucketSymbol(mlir::func::FuncOp bucket);

} // namespace quern::codegen

#endif // QUERN_CODEGEN_SCHEDULE_CALLS_H
