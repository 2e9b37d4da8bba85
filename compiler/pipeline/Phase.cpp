#include "compiler/pipeline/Phase.h"

#include "passes/fuse/Passes.h"
#include "passes/normalize/Passes.h"
#include "passes/order/Passes.h"
#include "passes/plan/Passes.h"
#include "passes/quantize/Passes.h"
#include "passes/raise/Passes.h"
#include "passes/schedule/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using mlir::OpPassManager;

namespace quern {

llvm::ArrayRef<llvm::StringRef> fusions() {
  static constexpr llvm::StringRef kNames[] = {"raise",
                                               "merge-sibling-linears",
                                               "fuse-linear-epilogues",
                                               "fuse-attention-prologues",
                                               "fuse-convolutions",
                                               "fuse-recurrences",
                                               "fuse-embeddings",
                                               "fuse-anchors",
                                               "fuse-rows",
                                               "quantize-activations"};
  return kNames;
}

static bool isOn(llvm::StringRef fusion, const PipelineOptions &options) {
  assert(llvm::is_contained(fusions(), fusion));
  const auto off = llvm::to_vector(llvm::split(options.without, ','));
  return !llvm::is_contained(off, fusion) && !llvm::is_contained(off, "all");
}

static void buildRaise(OpPassManager &pm, const PipelineOptions &options) {
  if (isOn("raise", options))
    buildRaisePhase(pm);
}
static void buildNormalize(OpPassManager &pm, const PipelineOptions &) { buildNormalizePhase(pm); }
static void buildFuse(OpPassManager &pm, const PipelineOptions &options) {
  buildFusePhase(pm, [&](llvm::StringRef fusion) { return isOn(fusion, options); });
}
static void buildQuantize(OpPassManager &pm, const PipelineOptions &options) {
  buildQuantizePhase(pm, {.quant = options.quant}, {.kv = options.kv},
                     {.join = isOn("quantize-activations", options)});
}
static void buildSchedule(OpPassManager &pm, const PipelineOptions &options) {
  buildSchedulePhase(pm, {.maxTokens = options.max_tokens, .maxSeqs = options.max_seqs});
}
static void buildPlan(OpPassManager &pm, const PipelineOptions &) { buildPlanPhase(pm); }
static void buildOrder(OpPassManager &pm, const PipelineOptions &) { buildOrderPhase(pm); }

static constexpr PhaseInfo kPhases[] = {
    {Phase::import, "import", "the model as its author wrote it, in the dialect's ops", nullptr},
    {Phase::raise, "raise", "what a general program means is said in the model's own ops",
     buildRaise},
    {Phase::normalize, "normalize",
     "symbols agree; dead and duplicate code is gone; references to weights and states come first",
     buildNormalize},
    {Phase::fuse, "fuse",
     "every op lies in a fused region with one anchor; linears of one input are merged", buildFuse},
    {Phase::quantize, "quantize",
     "every weight has a format; linears with integer weights read integer rows", buildQuantize},
    {Phase::schedule, "schedule",
     "each bucket is a list of dispatches of shared kernels on packed weights", buildSchedule},
    {Phase::plan, "plan",
     "every weight, state and buffer has an offset; the arena is proven against the most live "
     "bytes",
     buildPlan},
    {Phase::order, "order",
     "each dispatch says who runs it and whether workers wait before it; what repeats is said; no "
     "hazard is left",
     buildOrder},
    {Phase::emit, "emit", "code for each variant, packed weights, manifest and proof", nullptr},
};

llvm::ArrayRef<PhaseInfo> phases() { return kPhases; }

const PhaseInfo &info(Phase phase) { return kPhases[static_cast<size_t>(phase)]; }

std::optional<Phase> parsePhase(llvm::StringRef name) {
  for (const PhaseInfo &entry : kPhases)
    if (entry.name == name)
      return entry.phase;
  return std::nullopt;
}

} // namespace quern
