// A bucket's schedule as every target's code reads it: which kernels run in order, on what, who
// runs them and where workers wait. Nothing of this is decided here: the order phase did.
#ifndef QUERN_CODEGEN_SCHEDULE_CALLS_H
#define QUERN_CODEGEN_SCHEDULE_CALLS_H

#include "passes/analysis/Calls.h"

#include <string>
#include <vector>

namespace quern::codegen {

using quern::Call;
using quern::Operand;

/// The calls of a bucket; fails with a diagnostic on what the plan and order phases do not leave.
/// `symbols` are the module's.
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
