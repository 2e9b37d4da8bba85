#include "passes/analysis/Work.h"

#include "passes/analysis/Sizes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

#include <algorithm>

using namespace mlir;

namespace quern {
namespace {

int64_t product(int64_t a, int64_t b) {
  int64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? kTooMany : std::min(result, kTooMany);
}

int64_t mostOf(RankedTensorType type, unsigned dim, const symbols::Maxima &sizes) {
  if (!type.isDynamicDim(dim))
    return std::min(type.getDimSize(dim), kTooMany);
  const ArrayRef<StringAttr> names = dimNames(type);
  const unsigned number = type.getDynamicDimIndex(dim);
  const auto known = number < names.size() ? dimOf(names[number].getValue(), sizes)
                                           : std::optional<symbols::Dim>();
  return known ? quern::mostOf(*known, sizes) : 1;
}

/// Steps of the loops of fixed bounds in a body, all of them together for each point of it.
int64_t stepsInside(Region &region) {
  int64_t most = 1;
  region.walk([&](scf::ForOp loop) {
    int64_t steps = 1;
    for (Operation *at = loop; at && region.isAncestor(at->getParentRegion());
         at = at->getParentOp())
      if (auto around = dyn_cast<scf::ForOp>(at)) {
        APInt low, high, step;
        if (matchPattern(around.getLowerBound(), m_ConstantInt(&low)) &&
            matchPattern(around.getUpperBound(), m_ConstantInt(&high)) &&
            matchPattern(around.getStep(), m_ConstantInt(&step)) && step.getSExtValue() > 0 &&
            high.sgt(low))
          steps = product(steps, static_cast<int64_t>((high.getZExtValue() - low.getZExtValue()) /
                                                      step.getZExtValue()));
      }
    most = std::max(most, steps);
  });
  return most;
}

} // namespace

int64_t stepsOf(Operation *op, const symbols::Maxima &sizes) {
  auto linalg = dyn_cast<linalg::LinalgOp>(op);
  if (!linalg)
    return 1;
  int64_t steps = stepsInside(op->getRegion(0));
  if (linalg.getNumReductionLoops() == 0)
    return steps;
  SmallVector<int64_t> lengths(linalg.getNumLoops(), 1);
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type)
      continue;
    for (auto [i, expr] : llvm::enumerate(linalg.getMatchingIndexingMap(&operand).getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expr))
        lengths[loop.getPosition()] = mostOf(type, static_cast<unsigned>(i), sizes);
  }
  for (int64_t length : lengths)
    steps = product(steps, length);
  return steps;
}

} // namespace quern
