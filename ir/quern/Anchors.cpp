// What anchors answer (ir/interfaces/AnchorInterface.h): each of them, and `rows`.
#include "ir/quern/QuernDialect.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace quern;

#include "ir/quern/AnchorInterface.cpp.inc"

namespace {

uint64_t elements(ArrayRef<int64_t> shape) {
  uint64_t count = 1;
  for (int64_t dim : shape)
    count *= static_cast<uint64_t>(dim);
  return count;
}

/// Of a product with all of the weight.
Flops perElement(TypedValue<WeightType> weight) {
  return {.row = 2 * elements(weight.getType().getShape())};
}

/// Regions without an anchor's op: norms, rotations and what is elementwise, row by row.
AnchorFacts rowsFacts() {
  return {.prologue = Joins::rowwise,
          .epilogue = Joins::rowwise,
          .state = {},
          .matrix = {},
          .flops = {},
          .partials = {},
          .rowParts = kWholeRow};
}

/// General tensor programs: regions are built whole, and nothing is counted or joined.
AnchorFacts genericFacts() {
  return {.prologue = Joins::nothing,
          .epilogue = Joins::nothing,
          .state = {},
          .matrix = {},
          .flops = {},
          .partials = {},
          .rowParts = {}};
}

template <class Region> AnchorOpInterface anchorOpOf(Region region) {
  for (auto op : region.getBody().front().template getOps<AnchorOpInterface>())
    if (op.anchor() == region.getAnchor())
      return op;
  return {};
}

template <class Region> AnchorFacts factsOf(Region region) {
  if (AnchorOpInterface op = anchorOpOf(region))
    return op.facts();
  return region.getAnchor() == Anchor::generic ? genericFacts() : rowsFacts();
}

} // namespace

// Columns are dealt to workers in any number of whole panels.
AnchorFacts LinearOp::facts() {
  return {.prologue = Joins::nothing,
          .epilogue = Joins::elementwise,
          .state = {},
          .matrix = {.operand = &getWeightMutable()},
          .flops = perElement(getWeight()),
          .partials = {},
          .rowParts = 1};
}

int64_t AttentionOp::headRuns() {
  constexpr int64_t kMostHeads = 32;
  if (!getState().getType().getShared())
    return 1;
  int64_t heads = static_cast<int64_t>(getHeads()) / getState().getType().getShape()[0], runs = 1;
  while (heads / runs > kMostHeads || heads % runs)
    ++runs;
  return runs;
}

// A worker takes the heads that share keys and values. Scores and sums of values are the work; it
// grows with the sequence.
AnchorFacts AttentionOp::facts() {
  ArrayRef<int64_t> shape = getState().getType().getShape(); // [kv heads, key dim, value dim]
  auto heads = static_cast<int64_t>(getHeads());
  return {
      .prologue = Joins::headwise,
      .epilogue = Joins::nothing,
      .state = {.state = getState(), .reads = true, .window = static_cast<int64_t>(getWindow())},
      .matrix = {},
      .flops = {.position = 2 * static_cast<uint64_t>(heads * (shape[1] + shape[2]))},
      .partials = {.rows = heads, .columns = shape[2]},
      .rowParts = shape[0] * headRuns()};
}

// As of attention over state, of which there is none here.
AnchorFacts AttentionRowsOp::facts() {
  const auto heads = static_cast<int64_t>(getHeads());
  return {.prologue = Joins::headwise,
          .epilogue = Joins::nothing,
          .state = {},
          .matrix = {},
          .flops = {.position = 2 * static_cast<uint64_t>(heads * (keyDim() + valueDim()))},
          .partials = {},
          .rowParts = static_cast<int64_t>(getKvHeads())};
}

AnchorFacts KvAppendOp::facts() {
  return {.prologue = Joins::headwise,
          .epilogue = Joins::nothing,
          .state = {.state = getState(), .writes = true},
          .matrix = {},
          .flops = {},
          .partials = {},
          .rowParts = std::nullopt};
}

// Decay, k v^T and S^T r for each element of the state; the rank-one correction is two more,
// reading what a delta corrects one, and so is what a decay is the exponential of.
AnchorFacts LinearRecurrenceOp::facts() {
  uint64_t state = elements(getState().getType().getShape());
  auto each = static_cast<uint64_t>(1 + products() + reads());
  if (getA())
    each += 2;
  if (getBeta())
    each += static_cast<uint64_t>(products());
  if (getRate())
    ++each;
  return {.prologue = Joins::elementwise,
          .epilogue = Joins::elementwise,
          .state = {.state = getState(), .reads = true, .writes = true},
          .matrix = {},
          .flops = {.row = 2 * each * state},
          .partials = {},
          .rowParts = std::nullopt};
}

AnchorFacts CausalConv1dOp::facts() {
  return {.prologue = Joins::nothing,
          .epilogue = Joins::elementwise,
          .state = {.state = getState(), .reads = true, .writes = true},
          .matrix = {},
          .flops = perElement(getWeight()),
          .partials = {},
          .rowParts = std::nullopt};
}

// A product of its own for each block: as `linear` in small. What of a row is finished apart is not
// whole columns of all blocks.
AnchorFacts BlockLinearOp::facts() {
  return {.prologue = Joins::nothing,
          .epilogue = Joins::permuting,
          .state = {},
          .matrix = {.operand = &getWeightMutable()},
          .flops = perElement(getWeight()),
          .partials = {},
          .rowParts = std::nullopt};
}

AnchorFacts TokenShiftOp::facts() {
  return {.prologue = Joins::nothing,
          .epilogue = Joins::elementwise,
          .state = {.state = getState(), .reads = true, .writes = true},
          .matrix = {},
          .flops = {},
          .partials = {},
          .rowParts = std::nullopt};
}

// A complex product with the pole and one, of which the real part is wanted, with the residue.
AnchorFacts LongConvOp::facts() {
  const auto cols = static_cast<uint64_t>(colsOf(getInput().getType()));
  const auto each = static_cast<uint64_t>(6 * modes() + (getSkip() ? 1 : 0));
  return {.prologue = Joins::elementwise,
          .epilogue = Joins::elementwise,
          .state = {.state = getState(), .reads = true, .writes = true},
          .matrix = {},
          .flops = {.row = 2 * each * cols},
          .partials = {},
          .rowParts = std::nullopt};
}

// The body's ops are some a column.
AnchorFacts ScanOp::facts() {
  const auto ops = static_cast<uint64_t>(getBody().front().getOperations().size());
  return {.prologue = Joins::elementwise,
          .epilogue = Joins::nothing,
          .state = {.state = getState(), .reads = true, .writes = true},
          .matrix = {},
          .flops = {.row = ops * static_cast<uint64_t>(columns())},
          .partials = {},
          .rowParts = std::nullopt};
}

AnchorFacts EmbeddingOp::facts() {
  return {.prologue = Joins::nothing,
          .epilogue = Joins::elementwise,
          .state = {},
          .matrix = {.operand = &getWeightMutable(), .summed = false, .slices = 1},
          .flops = {},
          .partials = {},
          .rowParts = std::nullopt};
}

AnchorOpInterface FusedOp::anchorOp() { return anchorOpOf(*this); }
AnchorOpInterface KernelOp::anchorOp() { return anchorOpOf(*this); }

AnchorFacts FusedOp::anchorFacts() { return factsOf(*this); }
AnchorFacts KernelOp::anchorFacts() { return factsOf(*this); }

bool quern::joins(Joins which, Operation *op) {
  switch (which) {
  case Joins::nothing:
    return false;
  case Joins::headwise:
    return isa<HeadwiseOpInterface>(op);
  case Joins::elementwise:
    return op->hasTrait<Elementwise>();
  case Joins::combining:
    return op->hasTrait<Elementwise>() || isa<CombineOp>(op);
  case Joins::permuting:
    return op->hasTrait<Elementwise>() || isa<TransposeOp>(op);
  case Joins::rowwise:
    return op->hasTrait<Elementwise>() || op->hasTrait<RowWise>();
  }
  llvm_unreachable("ops that join are of one of these kinds");
}

LogicalResult quern::verifyAnchor(Operation *op) {
  AnchorFacts facts = cast<AnchorOpInterface>(op).facts();
  auto effects = cast<MemoryEffectOpInterface>(op);
  if (facts.state.reads != effects.hasEffect<MemoryEffects::Read>() ||
      facts.state.writes != effects.hasEffect<MemoryEffects::Write>())
    return op->emitOpError("has other effects on state than its facts say");
  if (facts.staysInPlace() && !isa_and_nonnull<StateType>(facts.state.state.getType()))
    return op->emitOpError("has effects on a state that its facts do not name");
  if (facts.matrix.operand && !isa<WeightType>(facts.matrix.operand->get().getType()))
    return op->emitOpError("has a matrix that is no weight");
  return success();
}
