// --quern-raise-linears: products with a weight, in whatever order their dimensions are.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/analysis/Sizes.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Product.h"
#include "passes/raise/Rows.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISELINEARS
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-linears"};

/// A product of tensors smaller than this stays code of its own, as import has it.
constexpr int64_t kLeast = 8;

class LinearRaiser {
public:
  explicit LinearRaiser(linalg::GenericOp op) : op(op), builder(op) {}

  bool raise() {
    if (op.getNumDpsInputs() != 2 || op->getNumResults() != 1 || op.getNumReductionLoops() == 0 ||
        !isMultiplyAdd(op) || !isZero(op.getDpsInits()[0]) ||
        !cast<RankedTensorType>(op.getResult(0).getType()).getElementType().isF32())
      return false;
    for (unsigned weight : {1u, 0u})
      if (isWeight(behindMoves(op.getInputs()[weight])))
        return raise(weight);
    return false;
  }

  std::string why;

private:
  bool miss(std::string reason) {
    why = std::move(reason);
    return false;
  }

  static Value behindMoves(Value value) {
    for (;;) {
      value = behindReshapes(value);
      if (!permutationOf(value.getDefiningOp()))
        return value;
      value = value.getDefiningOp<linalg::GenericOp>().getInputs()[0];
    }
  }

  /// Which loop each dimension of an operand is, loops of one step being none (~0u); nothing where
  /// a dimension is more than one loop.
  std::optional<SmallVector<unsigned>> loopsOf(unsigned operand) {
    const AffineMap map = op.getIndexingMapsArray()[operand];
    const SmallVector<int64_t> ranges = op.getStaticLoopRanges();
    SmallVector<AffineExpr> loops;
    for (unsigned i = 0; i < map.getNumDims(); ++i)
      loops.push_back(ranges[i] == 1 ? builder.getAffineConstantExpr(0)
                                     : builder.getAffineDimExpr(i));
    const AffineMap simple =
        simplifyAffineMap(map.replaceDimsAndSymbols(loops, {}, map.getNumDims(), 0));
    SmallVector<unsigned> found;
    for (AffineExpr expr : simple.getResults()) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      auto constant = dyn_cast<AffineConstantExpr>(expr);
      if (!dim && !(constant && constant.getValue() == 0))
        return std::nullopt;
      found.push_back(dim ? dim.getPosition() : ~0u);
    }
    return found;
  }

  bool raise(unsigned weight) {
    const auto rowLoops = loopsOf(1 - weight), weightLoops = loopsOf(weight), made = loopsOf(2);
    if (!rowLoops || !weightLoops || !made)
      return miss("its windows are of more than one place, or not next to each other");
    std::optional<unsigned> inner, outer;
    for (unsigned loop : *weightLoops) {
      if (loop == ~0u)
        continue;
      auto &found = llvm::is_contained(*made, loop) ? outer : inner;
      if (found || (&found == &outer) == llvm::is_contained(*rowLoops, loop))
        return miss("its weight is no matrix");
      found = loop;
    }
    if (!inner || !outer)
      return miss("its weight is no matrix");
    // All loops of the rows but the inner one, in the result's order.
    SmallVector<unsigned> order, back;
    for (unsigned loop : *made)
      if (loop != *outer && loop != ~0u && !llvm::is_contained(*rowLoops, loop))
        return miss("its rows lack a dimension of its result");
    return replace(weight, *rowLoops, *weightLoops, *made, *inner, *outer);
  }

  bool replace(unsigned weight, ArrayRef<unsigned> rowLoops, ArrayRef<unsigned> weightLoops,
               ArrayRef<unsigned> made, unsigned inner, unsigned outer) {
    const Location loc = op.getLoc();
    Value rows = op.getInputs()[1 - weight];
    const auto type = cast<RankedTensorType>(rows.getType());
    const auto result = cast<RankedTensorType>(op.getResult(0).getType());
    auto place = [](ArrayRef<unsigned> loops, unsigned loop) {
      return static_cast<unsigned>(llvm::find(loops, loop) - loops.begin());
    };
    // Rows with the inner dimension last, the others in the result's order, those of one step
    // first.
    SmallVector<unsigned> order;
    for (auto [i, loop] : llvm::enumerate(rowLoops))
      if (loop == ~0u)
        order.push_back(static_cast<unsigned>(i));
    for (unsigned loop : made)
      if (loop != ~0u && loop != outer)
        order.push_back(place(rowLoops, loop));
    order.push_back(place(rowLoops, inner));
    if (order.size() != rowLoops.size())
      return miss("its rows are summed over more than its weight's inputs");
    Value matrix = matrixOf(op.getInputs()[weight], weightLoops, inner);
    const int64_t inputs = type.getDimSize(place(rowLoops, inner));
    const int64_t outputs = result.getDimSize(place(made, outer));
    if (!matrix || inputs < kLeast || outputs < kLeast)
      return miss("its weight is small, or under moves that mix its dimensions");
    SmallVector<DimSize> dims; // of the result, with the outer dimension last
    for (auto [i, loop] : llvm::enumerate(made))
      if (loop != outer)
        dims.push_back(dimOf(result, static_cast<unsigned>(i)));
    dims.push_back({outputs, {}});
    const RankedTensorType last = tensorOf(dims, result.getElementType());
    const RankedTensorType of = rowsOfTensor(last);
    if (!of)
      return miss("the number of its rows is no product of sizes");
    Value moved = permuted(builder, loc, rows, order);
    // An image is convolved where it lies: moving it to rows and back takes longer than what a
    // linear gains (measured: a recogniser of text, 36 ms instead of 31).
    if (permutationOf(moved.getDefiningOp()))
      return miss(
          "what is summed over is not its rows' last dimension, under a transposition either");
    Value in = asTensor(builder, loc, moved, rowsType(builder.getContext(), rowsOf(of), inputs));
    auto linear = LinearOp::create(builder, loc, of, in, matrix, /*bias=*/Value());
    if (!isAccepted(linear, why))
      return false;
    Value tensor = asTensor(builder, loc, linear, last);
    SmallVector<unsigned> back;
    unsigned next = 0;
    for (unsigned loop : made)
      back.push_back(loop == outer ? static_cast<unsigned>(dims.size() - 1) : next++);
    kRemarks.hit(op) << say("a linear of {0} to {1}", inputs, outputs);
    op.getResult(0).replaceAllUsesWith(permuted(builder, loc, tensor, back));
    return true;
  }

  /// The dimensions of more than one element.
  static SmallVector<int64_t> sidesOf(ArrayRef<int64_t> shape) {
    SmallVector<int64_t> sides;
    llvm::copy_if(shape, std::back_inserter(sides), [](int64_t size) { return size != 1; });
    return sides;
  }

  /// The weight [outputs, inputs] that is, under moves, `value`.
  Value matrixOf(Value value, ArrayRef<unsigned> loops, unsigned inner) {
    // Dimensions of the value from outside, without those of one element: is the inner one first?
    bool innerFirst = false, seen = false;
    for (unsigned loop : loops)
      if (loop != ~0u && !std::exchange(seen, true))
        innerFirst = loop == inner;
    // Reshapes between have to leave the two dimensions as they are.
    const auto sides = sidesOf(cast<RankedTensorType>(value.getType()).getShape());
    if (sides.size() != 2)
      return {};
    for (;;) {
      if (auto reshape = value.getDefiningOp<ReshapeOp>()) {
        value = reshape.getInput();
        const auto inside = sidesOf(cast<RankedTensorType>(value.getType()).getShape());
        if (inside.size() != 2 || (inside[0] != sides[0] && inside[0] != sides[1]) ||
            inside != sidesOf(cast<RankedTensorType>(reshape.getType()).getShape()))
          return {};
        continue;
      }
      auto order = permutationOf(value.getDefiningOp());
      if (!order)
        break;
      auto move = value.getDefiningOp<linalg::GenericOp>();
      const auto from = cast<RankedTensorType>(move.getInputs()[0].getType());
      SmallVector<unsigned> large;
      for (unsigned dim : *order)
        if (from.getDimSize(dim) != 1)
          large.push_back(dim);
      if (large.size() != 2)
        return {};
      innerFirst ^= large[0] > large[1];
      value = move.getInputs()[0];
    }
    auto tensor = value.getDefiningOp<WeightTensorOp>();
    const auto type = cast<WeightType>(tensor.getWeight().getType());
    const SmallVector<int64_t> shape = sidesOf(type.getShape());
    if (shape.size() != 2)
      return {};
    Value weight = tensor.getWeight();
    if (shape.size() != type.getShape().size())
      weight = WeightReshapeOp::create(builder, op.getLoc(),
                                       WeightType::get(type.getContext(), shape, type.getFormat()),
                                       weight);
    if (!innerFirst)
      return weight;
    return WeightTransposeOp::create(
        builder, op.getLoc(),
        WeightType::get(type.getContext(), {shape[1], shape[0]}, type.getFormat()), weight);
  }

  linalg::GenericOp op;
  OpBuilder builder;
};

struct RaiseLinearsPass : impl::RaiseLinearsBase<RaiseLinearsPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      for (auto generic : llvm::to_vector(entry.getOps<linalg::GenericOp>())) {
        LinearRaiser raiser(generic);
        if (raiser.raise()) {
          ++numRaised;
        } else if (!raiser.why.empty()) {
          ++numMissed;
          kRemarks.miss(generic) << say("a product with a weight, but {0}", raiser.why);
        }
      }
      eraseDead(entry.getBody().front());
    }
  }
};
} // namespace
} // namespace quern
