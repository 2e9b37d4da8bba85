// Kernels whose anchor looks rows of a table up: a block a row.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"
#include "codegen/cuda/WeightPacking.h"
#include "codegen/schedule/WeightPacking.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateEmbedding() {
  auto embedding = cast<EmbeddingOp>(anchor);
  FailureOr<formats::Packing> packing = codegen::packingOf(embedding, embedding.getWeight());
  if (failed(packing))
    return failure();
  include("Packings.cuh");
  const std::string symbol = rowsOf(embedding.getType()).str();
  setWork([symbol](const BucketShape &shape) { return shape.most(symbol); });
  text.open("for (int row = worker; row < ", count(symbol), "; row += workers)");
  if (auto positions = embedding.getIds().getDefiningOp<PositionsOp>())
    text.line("const int id = ",
              plus(index("positions", "row"), static_cast<int64_t>(positions.getOffset())), ";");
  else
    text.line("const int id = ", pointer(embedding.getIds()), "[row];");
  RowValues values(*this, "row");
  values.bind(embedding.getResult(), [&](const std::string &col, int64_t shift) {
    return absl::StrCat("decoded<", packingText(*packing), ", ", colsOf(embedding.getType()), ">(",
                        pointer(embedding.getWeight()), ", id, ", plus(col, shift), ")");
  });
  for (auto [i, value] : llvm::enumerate(yield.getValues())) {
    const int64_t width = colsOf(value.getType());
    values.write(value, "0", width, absl::StrCat(result(i), " + i64(row) * ", width));
  }
  if (sharedBytes() != 0)
    sync();
  text.close();
  return success();
}

} // namespace quern::cuda
