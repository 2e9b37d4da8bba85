#include "passes/target/Target.h"

#include "ir/formats/PackingLayout.h"
#include "passes/target/BlockScratch.h"
#include "runtime/abi/StepArgs.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MathExtras.h"

namespace quern::target {
namespace {

constexpr Bucket kBuckets[] = {
    {"decode1", Limit::one, Limit::one},
    {"decode", Limit::seqs, Limit::seqs},
    {"prefill", Limit::tokens, Limit::seqs},
};

int64_t scratchOfBlocks(const Partials &partials) { return BlockScratch{partials}.bytes(); }

// Workers are cores, each with a stack and caches of its own.
AnchorTraits cpuTraits(Anchor anchor) {
  switch (anchor) {
  case Anchor::linear:
  case Anchor::expert_linear:
  case Anchor::block_linear:
  case Anchor::attention:
  case Anchor::attention_rows:
    return {.fetchesWork = true};
  case Anchor::rows:
  case Anchor::route:
  case Anchor::embedding:
    return {.replicable = true};
  case Anchor::kv_append:
  case Anchor::linear_recurrence:
  case Anchor::causal_conv1d:
  case Anchor::token_shift:
  case Anchor::scan:
  case Anchor::long_conv:
  case Anchor::generic:
    return {};
  }
  llvm_unreachable("an anchor that the cpu has no traits for");
}

// Workers are blocks of threads: work is shared out by their number, and what they leave for each
// other lies in the memory of the device.
AnchorTraits cudaTraits(Anchor) { return {}; }

// Weights, and with them packings and rows of activations, are the same for both.
constexpr Target kTargets[] = {
    {.name = "cpu",
     .buckets = kBuckets,
     .panelColumns = formats::kPanelLanes,
     .pairColumns = 32,
     .q8RowBytes = quern_q8_row_bytes,
     .scratchBytes = scratchOfBlocks,
     .traits = cpuTraits,
     .replicatedArena = 1 << 20, // of the stack
     .kvBesideBf16 = StateFormat::f32},
    {.name = "cuda",
     .buckets = kBuckets,
     .panelColumns = formats::kPanelLanes,
     .pairColumns = 32,
     .q8RowBytes = quern_q8_row_bytes,
     .scratchBytes = scratchOfBlocks,
     .traits = cudaTraits,
     .replicatedArena = 0,
     .kvBesideBf16 = StateFormat::bf16},
};

} // namespace

llvm::ArrayRef<Target> all() { return kTargets; }

const Target *find(llvm::StringRef name) {
  const Target *found = llvm::find_if(kTargets, [&](const Target &t) { return t.name == name; });
  return found == std::end(kTargets) ? nullptr : found;
}

const Target &of(mlir::Operation *op) {
  auto module = llvm::dyn_cast<mlir::ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<mlir::ModuleOp>();
  auto name = module->getAttrOfType<mlir::StringAttr>(attrs::kTarget);
  const Target *target = name ? find(name.getValue()) : &all().front();
  if (!target)
    llvm::reportFatalUsageError("there is no target '" + name.getValue() + "'");
  return *target;
}

} // namespace quern::target
