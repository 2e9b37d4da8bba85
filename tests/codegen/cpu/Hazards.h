// What could go wrong among the workers that run a bucket's calls, found from the planned module
// and the addresses that kernels are handed, by other means than those that place the barriers.
#ifndef QUERN_TESTS_CODEGEN_CPU_HAZARDS_H
#define QUERN_TESTS_CODEGEN_CPU_HAZARDS_H

#include "codegen/schedule/Calls.h"

#include <functional>
#include <string>
#include <vector>

namespace quern::test {

/// Whether the code of a call's kernel fetches chunks (qk_next_chunk).
using Fetches = std::function<bool(const codegen::Call &)>;

/// All that is wrong with `calls` as a way to run the bucket's dispatches on several workers, in
/// words; empty if nothing is. Two calls without a barrier between them may not touch the same
/// bytes, where one writes, nor both fetch chunks, which count from the last barrier on. A call
/// that every worker runs for itself writes only memory of its own and fetches nothing. Every
/// kernel finds, where it is told to read, what the dispatch reads; it does not write where it
/// reads.
std::vector<std::string> hazards(mlir::func::FuncOp bucket, const mlir::SymbolTable &symbols,
                                 llvm::ArrayRef<codegen::Call> calls, const Fetches &fetches);

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_CPU_HAZARDS_H
