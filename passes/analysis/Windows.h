// How far back attention looks in each kv state.
#ifndef QUERN_PASSES_ANALYSIS_WINDOWS_H
#define QUERN_PASSES_ANALYSIS_WINDOWS_H

#include "ir/quern/QuernDialect.h"

namespace quern {

/// The attentions that read the state which `use` hands to an op: that op, or those in the kernel
/// it dispatches.
llvm::SmallVector<AttentionOp> attentionsOn(mlir::OpOperand &use);

/// Positions, its own included, that a token sees in a kv state: the widest window of the
/// attentions that read it. 0: all, because one of them sees all, or because none reads it.
llvm::StringMap<int64_t> windowsOfStates(mlir::ModuleOp module);

} // namespace quern

#endif
