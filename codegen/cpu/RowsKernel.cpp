// Kernels without an anchor: rows that are computed each by itself.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "runtime/abi/StepArgs.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateRows() {
  mlir::Value first = yield.getValues().front();
  auto [from, to] = code.share(count(rowsOf(first.getType())), worker, workers);
  code.loop(from, to, [&](Value row) {
    RowValues values(*this, row);
    // Float rows first: what else is computed from them reads them back instead of computing them
    // again.
    for (bool quantized : {false, true})
      for (auto [i, value] : llvm::enumerate(yield.getValues())) {
        if (isa<Q8RowsType>(value.getType()) != quantized)
          continue;
        int64_t cols = colsOf(value.getType());
        if (quantized) {
          const int64_t blocks = cast<Q8RowsType>(value.getType()).getBlocks();
          const int64_t bytes = blocks * quern_q8_row_bytes(cols / blocks);
          values.write(value, code.atBytes(result<QkQ8Row>(i), code.mul(row, bytes)));
        } else {
          values.write(value, code.c(0), cols, code.at(result(i), code.mul(row, cols)));
        }
        if (last)
          code.call("qk_update_argmax", {args, worker, result(i), code.c(cols), code.c(0)});
      }
  });
  return success();
}
