// From an imported module to a planned one.
#ifndef QUERN_COMPILER_PIPELINE_PIPELINE_H
#define QUERN_COMPILER_PIPELINE_PIPELINE_H

#include "compiler/pipeline/Phase.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

#include <functional>

namespace quern {

/// Called around phases. Empty ones are not called.
struct PipelineCallbacks {
  /// Before a phase's passes run (for a progress bar).
  std::function<void(const PhaseInfo &)> before;
  /// After they have run and held, with the module and the seconds they took (for dumps, timing).
  /// Also called for `import`, with the module as it came and 0 seconds.
  std::function<void(const PhaseInfo &, mlir::ModuleOp, double seconds)> after;
  /// After each pass, with its name on quern-opt's command line.
  std::function<void(llvm::StringRef pass, double seconds)> after_pass;
};

/// Appends the passes of every phase in (`from`, `to`], in order.
void buildPipeline(mlir::OpPassManager &pm, const PipelineOptions &options, Phase to = Phase::order,
                   Phase from = Phase::import);

/// Runs the phases in (`from`, `to`] on a module of phase `from`. On failure, diagnostics have said
/// what and where (through the context's diagnostic handler), and the module is in an unspecified
/// state.
llvm::LogicalResult runTo(mlir::ModuleOp module, Phase to, const PipelineOptions &options,
                          const PipelineCallbacks &callbacks = {}, Phase from = Phase::import);

/// Hands every remark of later runs in this context to `receive`: what passes did (passed), what
/// they left undone (missed) and measured (analysis), each with its reason. To be called once a
/// context, before passes run.
void listenToRemarks(mlir::MLIRContext &context,
                     std::function<void(const mlir::remark::detail::Remark &)> receive);

/// Registers every pass, a pipeline for each phase (`--quern-fuse-phase`) and
/// `--quern-to="phase=plan"` with the command line of quern-opt.
void registerPipelines();

} // namespace quern

#endif // QUERN_COMPILER_PIPELINE_PIPELINE_H
