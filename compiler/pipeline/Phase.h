// The phases of a compilation, in one table: it drives --to, dumps and timing.
#ifndef QUERN_COMPILER_PIPELINE_PHASE_H
#define QUERN_COMPILER_PIPELINE_PHASE_H

#include "compiler/pipeline/Options.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>

namespace mlir {
class OpPassManager;
}

namespace quern {

enum class Phase { import, raise, normalize, fuse, quantize, schedule, plan, order, emit };

struct PhaseInfo {
  Phase phase;
  llvm::StringLiteral name;
  llvm::StringLiteral holds; ///< what holds after it
  /// Appends the phase's passes, its verifier last. Null where the phase runs none (import, emit).
  void (*build)(mlir::OpPassManager &, const PipelineOptions &);
};

/// Every phase, in order.
llvm::ArrayRef<PhaseInfo> phases();

const PhaseInfo &info(Phase phase);

/// The passes that put together what could be kernels of their own, by their names on quern-opt's
/// command line without "quern-": what --without takes, beside "all".
llvm::ArrayRef<llvm::StringRef> fusions();

/// The phase of that name, if there is one.
std::optional<Phase> parsePhase(llvm::StringRef name);

} // namespace quern

#endif // QUERN_COMPILER_PIPELINE_PHASE_H
