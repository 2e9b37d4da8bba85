// Passes of the plan phase.
#ifndef QUERN_PASSES_PLAN_PASSES_TD
#define QUERN_PASSES_PLAN_PASSES_TD

include "mlir/Pass/PassBase.td"

def PlanWeights : Pass<"quern-plan-weights", "::mlir::ModuleOp"> {
  let summary = "give every packed weight its place in the weights section";
  let description = [{
    In the order of first use, so that a step reads the section from front to back; each at a multiple of 64 bytes. The module's
    `quern.weights_bytes` is the section's size, a multiple of 4096.
  }];
}

def PlanStates : Pass<"quern-plan-states", "::mlir::ModuleOp"> {
  let summary = "give every state its place in a page or a slot";
  let description = [{
    The kv states whose attention has the same window (0: none that a sequence of the model's context could leave; all positions are kept) are a group and share its pages: layer after layer, each
    H*D*64 keys and H*64*V values in float32. Groups are numbered in the order of their first state. The other states lie in
    a slot's fixed-size part, float32, each at a multiple of 64 bytes. The module's `quern.page_bytes` has the page size of every
    group, `quern.kv_windows` its window, `quern.slot_bytes` the fixed size of a slot.
  }];
}

def PlanArena : Pass<"quern-plan-arena", "::mlir::ModuleOp"> {
  let summary = "give every result of a dispatch its place in the bucket's arena";
  let description = [{
    Results that are live at the same time get disjoint places, each sized for the bucket's largest step, at multiples of 64 bytes. An
    entry's results lie in the caller's memory: offset -1. `quern.arena` is what the bucket needs, `quern.arena_bound`
    the most bytes that are live at once, below which no plan can get.
  }];
  let statistics = [
    Statistic<"numBuffers", "buffers", "buffers placed">,
    Statistic<"numOptimal", "optimal", "buckets whose arena is the bound">,
  ];
}

def VerifyPlan : Pass<"quern-verify-plan", "::mlir::ModuleOp"> {
  let summary = "check what holds after the plan phase";
  let description = [{
    - weights, states and buffers have aligned offsets inside their section, page, slot or arena;
    - no two weights, no two states and no two live buffers overlap: checked dispatch by dispatch, apart from how the plan was made;
    - no attention looks further back than the window of its state's kv group;
    - `quern.arena_bound` is the most bytes live at once. An arena more than 1 % above it is a warning.
  }];
}

#endif // QUERN_PASSES_PLAN_PASSES_TD
