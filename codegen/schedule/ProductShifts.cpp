// See ProductShifts.h.
#include "codegen/schedule/ProductShifts.h"

#include "ir/formats/PackingLayout.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace quern::codegen {
namespace {

void collect(Value value, Value product, int64_t shift, llvm::SmallSetVector<int64_t, 2> &shifts) {
  if (value == product) {
    shifts.insert(shift);
    return;
  }
  Operation *def = value.getDefiningOp();
  if (!def)
    return;
  if (auto slice = dyn_cast<SliceOp>(def))
    shift += static_cast<int64_t>(slice.getOffset());
  for (Value operand : def->getOperands())
    collect(operand, product, shift, shifts);
}

} // namespace

FailureOr<SmallVector<int64_t>> productShifts(KernelOp kernel) {
  Value product = kernel.anchorOp()->getResult(0);
  auto yield = cast<YieldOp>(kernel.getBody().front().getTerminator());
  const int64_t cols = colsOf(yield.getOperand(0).getType());
  llvm::SmallSetVector<int64_t, 2> shifts;
  for (Value value : yield.getValues()) {
    if (colsOf(value.getType()) != cols)
      return kernel.emitError("results of one linear kernel have the same columns");
    collect(value, product, 0, shifts);
  }
  for (int64_t shift : shifts)
    if (shift % formats::kPanelLanes)
      return kernel.emitError("a linear's epilogue slices it at multiples of ")
             << formats::kPanelLanes;
  return SmallVector<int64_t>(shifts.begin(), shifts.end());
}

} // namespace quern::codegen
