// Kernels whose anchor looks rows of a table up.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "codegen/schedule/WeightPacking.h"
#include "ir/formats/Packing.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateEmbedding() {
  auto embedding = cast<EmbeddingOp>(anchor);
  FailureOr<formats::Packing> packing = codegen::packingOf(embedding, embedding.getWeight());
  if (failed(packing))
    return failure();
  int64_t cols = colsOf(embedding.getType());
  int64_t panelBytes = packing->panel_bytes(cols);
  auto row = code.scratch<float>(cols);
  auto positions = embedding.getIds().getDefiningOp<PositionsOp>();
  auto [from, to] = code.share(count(rowsOf(embedding.getType())), worker, workers);
  code.loop(from, to, [&](Value token) {
    Value id;
    if (positions)
      id = code.add(index(offsetof(QuernStepArgs, positions), token),
                    static_cast<int64_t>(positions.getOffset()));
    else
      id = code.toI64(code.load(code.i32(), code.at(pointer<int32_t>(embedding.getIds()), token)));
    code.call("qk_decode_row_" + formats::packing_symbol(*packing),
              {pointer<QkPanel>(embedding.getWeight()), id, code.c(cols), code.c(panelBytes), row});
    RowValues values(*this, token);
    values.bind(embedding.getResult(),
                [&](Value c, int64_t shift) { return code.loadF(row, code.add(c, shift)); });
    for (auto [i, value] : llvm::enumerate(yield.getValues())) {
      int64_t width = colsOf(value.getType());
      values.write(value, code.c(0), width, code.at(result(i), code.mul(token, width)));
    }
  });
  return success();
}
