#include "compiler/pipeline/Pipeline.h"

#include "compiler/pipeline/PassTimes.h"

#include "mlir/Pass/PassManager.h"

#include <chrono>

using namespace mlir;

namespace quern {

void buildPipeline(OpPassManager &pm, const PipelineOptions &options, Phase to, Phase from) {
  for (const PhaseInfo &phase : phases())
    if (phase.phase > from && phase.phase <= to && phase.build)
      phase.build(pm, options);
}

LogicalResult runTo(ModuleOp module, Phase to, const PipelineOptions &options,
                    const PipelineCallbacks &callbacks, Phase from) {
  if (from == Phase::import && callbacks.after)
    callbacks.after(info(from), module, 0);
  for (const PhaseInfo &phase : phases()) {
    if (phase.phase <= from || phase.phase > to || !phase.build)
      continue;
    if (callbacks.before)
      callbacks.before(phase);
    PassManager pm(module.getContext());
    phase.build(pm, options);
    if (callbacks.after_pass)
      pm.addInstrumentation(timePasses(callbacks.after_pass));
    auto start = std::chrono::steady_clock::now();
    if (failed(pm.run(module)))
      return failure();
    std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (callbacks.after)
      callbacks.after(phase, module, taken.count());
  }
  return success();
}

namespace {
struct CallbackStreamer : remark::detail::MLIRRemarkStreamerBase {
  explicit CallbackStreamer(std::function<void(const remark::detail::Remark &)> receive)
      : receive(std::move(receive)) {}
  void streamOptimizationRemark(const remark::detail::Remark &remark) override { receive(remark); }
  std::function<void(const remark::detail::Remark &)> receive;
};
} // namespace

void listenToRemarks(MLIRContext &context,
                     std::function<void(const remark::detail::Remark &)> receive) {
  remark::RemarkCategories all;
  all.all = all.passed = all.missed = all.analysis = all.failed = ".*";
  // It fails only if the context has an engine already, and then this is a bug of the caller.
  if (failed(remark::enableOptimizationRemarks(
          context, std::make_unique<CallbackStreamer>(std::move(receive)),
          std::make_unique<remark::RemarkEmittingPolicyAll>(), all)))
    llvm::report_fatal_error("listenToRemarks was called twice");
}

} // namespace quern
