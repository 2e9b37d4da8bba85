// How far back each kv state is looked at.
#ifndef QUERN_PASSES_ANALYSIS_WINDOWS_H
#define QUERN_PASSES_ANALYSIS_WINDOWS_H

#include "ir/quern/QuernDialect.h"

namespace quern {

/// How the anchor that `use` hands a state to reads it: that op, or the one of the kernel that it
/// dispatches. Null where none reads it.
std::optional<StateUse> readingOf(mlir::OpOperand &use);

/// Positions, its own included, that a token sees in a kv state: the widest window of those that
/// read it. 0: all, because one of them sees all, or because none reads it.
llvm::StringMap<int64_t> windowsOfStates(mlir::ModuleOp module);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_WINDOWS_H
