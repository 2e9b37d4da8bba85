// The pipelines' command line.
#include "compiler/pipeline/Pipeline.h"
#include "passes/fuse/Passes.h"
#include "passes/normalize/Passes.h"
#include "passes/order/Passes.h"
#include "passes/plan/Passes.h"
#include "passes/quantize/Passes.h"
#include "passes/raise/Passes.h"
#include "passes/schedule/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace quern {

namespace {
/// The flags that every pipeline has.
template <typename Flags> struct CommonFlags : PassPipelineOptions<Flags> {
  template <typename T> using Option = detail::PassOptions::Option<T>;

  Option<std::string> quant{*this, "quant", llvm::cl::desc("keep, or the format of matrices"),
                            llvm::cl::init(PipelineOptions().quant)};
  Option<std::string> kv{*this, "kv", llvm::cl::desc("the format of kv state"),
                         llvm::cl::init(PipelineOptions().kv)};
  Option<int64_t> maxTokens{*this, "max-tokens", llvm::cl::desc("largest step, in tokens"),
                            llvm::cl::init(PipelineOptions().max_tokens)};
  Option<int64_t> maxSeqs{*this, "max-seqs", llvm::cl::desc("most sequences of a step"),
                          llvm::cl::init(PipelineOptions().max_seqs)};

  // Here a fusion is switched off by its pass's own option.
  PipelineOptions options() const { return {quant, kv, maxTokens, maxSeqs, /*without=*/""}; }
};

struct PhaseFlags : CommonFlags<PhaseFlags> {};

struct ToFlags : CommonFlags<ToFlags> {
  Option<Phase> to{
      *this, "phase", llvm::cl::desc("the phase to end with"), llvm::cl::init(Phase::order),
      llvm::cl::values(
          clEnumValN(Phase::raise, "raise", ""), clEnumValN(Phase::normalize, "normalize", ""),
          clEnumValN(Phase::fuse, "fuse", ""), clEnumValN(Phase::quantize, "quantize", ""),
          clEnumValN(Phase::schedule, "schedule", ""), clEnumValN(Phase::plan, "plan", ""),
          clEnumValN(Phase::order, "order", ""))};
};
} // namespace

void registerPipelines() {
  registerRaisePasses();
  registerNormalizePasses();
  registerFusePasses();
  registerQuantizePasses();
  registerSchedulePasses();
  registerPlanPasses();
  registerOrderPasses();
  for (const PhaseInfo &phase : phases())
    if (phase.build)
      PassPipelineRegistration<PhaseFlags>(
          ("quern-" + phase.name + "-phase").str(),
          ("The " + phase.name + " phase; after it, " + phase.holds).str(),
          [&phase](OpPassManager &pm, const PhaseFlags &flags) {
            phase.build(pm, flags.options());
          });
  PassPipelineRegistration<ToFlags>("quern-to", "Every phase up to `phase`",
                                    [](OpPassManager &pm, const ToFlags &flags) {
                                      buildPipeline(pm, flags.options(), flags.to);
                                    });
}

} // namespace quern
