// Reductions of one element: loops around an op's body, what they carry in between.
//
// Sums and extremes of floats along a dimension of 16 elements or more have 16 lanes, lane i taking
// elements i, i+16, ..., which are then combined in a tree: the same order on every variant.
// Everything else is combined in the order of its elements.
#include "codegen/cpu/Body.h"
#include "codegen/cpu/ElementTypes.h"

#include <cmath>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

constexpr int64_t kLanes = 16;

class Reduction {
public:
  Reduction(Elements &elements, linalg::GenericOp op, ArrayRef<Value> point)
      : elements(elements), code(elements.code), op(op), point(point),
        extents(elements.extents(op)) {
    for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray()))
      if (kind == utils::IteratorType::reduction)
        dims.push_back(dim);
  }

  SmallVector<Value> write() {
    SmallVector<Value> init;
    for (OpOperand &operand : op.getDpsInitsMutable())
      init.push_back(elements.element(operand.get(), elements.operandIndices(op, operand, point)));
    join();
    if (findCombiner())
      return {inLanes(init.front())};
    return sequential(init);
  }

private:
  /// Loops of which one number takes the place: dimensions that every operand has next to each
  /// other, whole, or not at all.
  struct Loop {
    SmallVector<unsigned> dims;
    Value extent;
  };

  bool joins(unsigned first, unsigned second) {
    for (OpOperand &operand : op->getOpOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.get().getType());
      AffineMap map = op.getMatchingIndexingMap(&operand);
      if (!type || (!map.isFunctionOfDim(first) && !map.isFunctionOfDim(second)))
        continue;
      ArrayRef<AffineExpr> results = map.getResults();
      auto place = llvm::find(results, getAffineDimExpr(first, op.getContext()));
      auto next = llvm::find(results, getAffineDimExpr(second, op.getContext()));
      if (place == results.end() || next != place + 1)
        return false;
      auto at = static_cast<int64_t>(place - results.begin());
      if (elements.indices.size(type, at) != extents[first] ||
          elements.indices.size(type, at + 1) != extents[second])
        return false;
      for (const AffineExpr *result = results.begin(); result != results.end(); ++result)
        if (result != place && result != next &&
            (result->isFunctionOfDim(first) || result->isFunctionOfDim(second)))
          return false;
    }
    return true;
  }

  void join() {
    const bool indexed = op.getBody()
                             ->walk([](linalg::IndexOp) { return WalkResult::interrupt(); })
                             .wasInterrupted();
    for (unsigned dim : dims) {
      if (!loops.empty() && !indexed && joins(loops.back().dims.back(), dim)) {
        loops.back().dims.push_back(dim);
        loops.back().extent = elements.indices.mul(loops.back().extent, extents[dim]);
      } else {
        loops.push_back({{dim}, extents[dim]});
      }
    }
  }

  void set(const Loop &loop, Value number) {
    SmallVector<Value> sizes =
        llvm::map_to_vector(loop.dims, [&](unsigned dim) { return extents[dim]; });
    for (auto [dim, index] : llvm::zip_equal(loop.dims, elements.indices.split(number, sizes)))
      point[dim] = index;
  }

  /// All loops but the last `left`, one in the other.
  SmallVector<Value> nest(size_t left, size_t next, ValueRange carried,
                          llvm::function_ref<SmallVector<Value>(ValueRange)> inner) {
    if (next + left == loops.size())
      return inner(carried);
    return elements.loop(elements.indices.constant(0), loops[next].extent,
                         elements.indices.constant(1), carried,
                         [&](Value number, ValueRange carried) {
                           set(loops[next], number);
                           return nest(left, next + 1, carried, inner);
                         });
  }

  SmallVector<Value> sequential(ValueRange init) {
    return nest(0, 0, init, [&](ValueRange carried) {
      Body body(elements, op, point);
      for (auto [argument, value] : llvm::zip_equal(op.getRegionOutputArgs(), carried))
        body.bind(argument, value);
      return llvm::map_to_vector(op.getBody()->getTerminator()->getOperands(),
                                 [&](mlir::Value value) { return body.get(value); });
    });
  }

  /// Whether the op is of the form result = combine(result, term), for a combination of floats
  /// that lanes serve.
  bool findCombiner() {
    if (op.getNumResults() != 1 || loops.empty())
      return false;
    std::optional<int64_t> last = Indices::known(loops.back().extent);
    if (last && *last < kLanes)
      return false;
    BlockArgument carried = op.getRegionOutputArgs().front();
    combiner = op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
    if (!combiner || combiner->getNumOperands() != 2 || !carried.hasOneUse() ||
        combiner->getBlock() != op.getBody())
      return false;
    Type type = combiner->getResult(0).getType();
    if (!type.isF32() && !type.isF64())
      return false;
    if (isa<arith::AddFOp>(combiner))
      identity = 0;
    else if (isa<arith::MulFOp>(combiner))
      identity = 1;
    else if (isa<arith::MaximumFOp>(combiner))
      identity = -INFINITY;
    else if (isa<arith::MinimumFOp>(combiner))
      identity = INFINITY;
    else
      return false;
    if (combiner->getOperand(0) != carried && combiner->getOperand(1) != carried)
      return false;
    term = combiner->getOperand(combiner->getOperand(0) == carried ? 1 : 0);
    return true;
  }

  Value combine(Value l, Value r) {
    OperationState state(code.b.getLoc(), combiner->getName(), {l, r}, {l.getType()});
    return code.b.create(state)->getResult(0);
  }

  Value shuffle(Value vector, int64_t from, int64_t count) {
    auto lanes = llvm::to_vector_of<int32_t>(llvm::seq(from, from + count));
    return LLVM::ShuffleVectorOp::create(code.b, vector, vector, lanes);
  }

  Value inLanes(Value init) {
    Type type = combiner->getResult(0).getType();
    auto vector = VectorType::get({kLanes}, type);
    Value start = arith::ConstantOp::create(
        code.b, DenseElementsAttr::get(vector, FloatAttr::get(type, identity).getValue()));
    Value lanes = code.scratch(type, kLanes);
    const Loop &last = loops.back();
    auto store = [&](Value from, Value lane) {
      set(last, elements.indices.add(from, lane));
      Body body(elements, op, point);
      code.store(body.get(term), code.at(lanes, type, lane));
    };
    auto loaded = [&] { return code.load(vector, lanes); };
    Indices &indices = elements.indices;
    Value sum = nest(1, 0, start, [&](ValueRange carried) {
                  Value left = indices.rem(last.extent, indices.constant(kLanes));
                  Value whole = indices.sub(last.extent, left);
                  Value sum =
                      elements
                          .loop(indices.constant(0), whole, indices.constant(kLanes), carried,
                                [&](Value from, ValueRange carried) {
                                  code.rolledLoop(kLanes, [&](Value lane) { store(from, lane); });
                                  return SmallVector<Value>{combine(carried.front(), loaded())};
                                })
                          .front();
                  if (Indices::known(left) == 0)
                    return SmallVector<Value>{sum};
                  code.store(start, lanes);
                  code.loop(indices.constant(0), left, [&](Value lane) { store(whole, lane); });
                  return SmallVector<Value>{combine(sum, loaded())};
                }).front();
    for (int64_t half = kLanes / 2; half >= 1; half /= 2)
      sum = combine(shuffle(sum, 0, half), shuffle(sum, half, half));
    sum = LLVM::ExtractElementOp::create(code.b, sum, code.c(0));
    return combine(init, sum);
  }

  Elements &elements;
  Code &code;
  linalg::GenericOp op;
  SmallVector<Value, 6> point;
  IndexList extents;
  SmallVector<unsigned> dims; ///< that are reduced
  SmallVector<Loop> loops;
  Operation *combiner = nullptr;
  mlir::Value term;
  double identity = 0;
};

} // namespace

SmallVector<Value> quern::cpu::reduce(Elements &elements, linalg::GenericOp op,
                                      ArrayRef<Value> point) {
  return Reduction(elements, op, point).write();
}
