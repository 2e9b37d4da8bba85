// Kernels without an anchor: rows that are computed each by itself, by a block.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"
#include "passes/target/Target.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateRows() {
  const std::string symbol = rowsOf(yield.getValues().front().getType()).str();
  setWork([symbol](const BucketShape &shape) { return shape.most(symbol); });
  text.open("for (int row = worker; row < ", count(symbol), "; row += workers)");
  {
    RowValues values(*this, "row");
    // Float rows first: what else is computed from them reads them back instead of computing them
    // again.
    for (bool quantized : {false, true})
      for (auto [i, value] : llvm::enumerate(yield.getValues())) {
        if (isa<Q8RowsType>(value.getType()) != quantized)
          continue;
        const int64_t cols = colsOf(value.getType());
        if (quantized) {
          values.write(value, absl::StrCat(result(i), " + i64(row) * ",
                                           rowBytes(value.getType(), target::of(op))));
          continue;
        }
        values.write(value, "0", cols, absl::StrCat(result(i), " + i64(row) * ", cols));
        if (last) {
          values.sync();
          include("Argmax.cuh");
          text.line("update_argmax<", cols, ">(step, ", result(i), ");");
        }
      }
    if (sharedBytes() != 0)
      sync();
  }
  text.close();
  return success();
}

} // namespace quern::cuda
