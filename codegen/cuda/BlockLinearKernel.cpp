// Kernels whose anchor is a product with a block-diagonal matrix: a block of threads takes a panel
// of one of its blocks and some rows.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"
#include "codegen/cuda/WeightPacking.h"
#include "codegen/schedule/WeightPacking.h"
#include "runtime/abi/CudaStep.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateBlockLinear() {
  auto linear = cast<BlockLinearOp>(anchor);
  FailureOr<formats::Packing> packing = codegen::packingOf(linear, linear.getWeight());
  if (failed(packing))
    return failure();
  constexpr int64_t kLanes = formats::kPanelLanes, kMostRows = 8;
  ArrayRef<int64_t> shape = linear.getWeight().getType().getShape();
  const int64_t blocks = shape[0], outputs = shape[1], inputs = shape[2];
  const int64_t panels = formats::Packing::panels(outputs), height = single ? 1 : kMostRows;
  const bool quantized = isa<Q8RowsType>(linear.getInput().getType());
  mlir::Value input = linear.getInput();
  int64_t column = 0;
  while (auto slice = input.getDefiningOp<SliceOp>()) {
    column += static_cast<int64_t>(slice.getOffset());
    input = slice.getInput();
  }
  const std::string symbol = rowsOf(linear.getInput().getType()).str();
  setWork([=](const BucketShape &of) {
    return llvm::divideCeil(of.most(symbol), height) * blocks * panels;
  });
  include("BlockProduct.cuh");
  text.line("using Product = BlockProduct<", packingText(*packing), ", ", inputs, ", ", height,
            ", ", quantized ? "true" : "false", ">;");
  const std::string sums = shared("float", QUERN_CUDA_THREADS / kLanes * height * kLanes, "sums");
  text.line("const int rows = ", count(symbol), ";");
  text.line("const int items = ceil_div(rows, ", height, ") * ", blocks * panels, ";");
  text.open("for (int item = worker; item < items; item += workers)");
  text.line("const int row = item / ", blocks * panels, " * ", height, ", at = item % ",
            blocks * panels, ", block = at / ", panels, ", panel = at % ", panels, ";");
  text.line("const int height = least(", height, ", rows - row);");
  const int64_t own = quantized ? quern_q8_row_bytes(inputs) : inputs * 4;
  const int64_t all = quantized ? own * blocks : colsOf(input.getType()) * 4;
  text.line("Product::multiply(", pointer(linear.getWeight()), " + i64(at) * ",
            packing->panel_bytes(inputs), ", reinterpret_cast<const u8 *>(", pointer(input),
            ") + i64(row) * ", all, " + block * ", own, column == 0 ? "" : " + ",
            column == 0 ? "" : absl::StrCat(column * 4), ", ", all, ", height, ", sums, ");");
  text.open("for (int i = thread(); i < height * ", kLanes, "; i += kThreads)");
  text.line("const int m = i / ", kLanes, ", channel = panel * ", kLanes, " + i % ", kLanes,
            ", col = block * ", outputs, " + channel;");
  if (outputs % kLanes != 0) {
    text.open("if (channel >= ", outputs, ")");
    text.line("continue;");
    text.close();
  }
  RowValues values(*this, "(row + m)");
  bool alone = true; // no other column of the result is asked for
  values.bind(linear.getResult(), [&](const std::string &col, int64_t shift) {
    alone &= col == "col" && shift == 0;
    std::string y = absl::StrCat(sums, "[i]");
    if (linear.getBias())
      absl::StrAppend(&y, " + ", pointer(linear.getBias()), "[col]");
    return y;
  });
  // Where a transposition joined, what follows it is computed where it puts the columns.
  std::string to = "col";
  for (auto transpose : op.getBody().front().getOps<TransposeOp>()) {
    const auto groups = static_cast<int64_t>(transpose.getGroups());
    const int64_t width = blocks * outputs / groups;
    to = "to";
    text.line("const int to = col % ", width, " * ", groups, " + col / ", width, ";");
    values.bind(transpose.getResult(), [&, transpose](const std::string &col, int64_t shift) {
      alone &= col == "to" && shift == 0;
      return values.element(transpose->getOperand(0), "col");
    });
  }
  for (auto [i, value] : llvm::enumerate(yield.getValues()))
    text.line(result(i), "[i64(row + m) * ", blocks * outputs, " + ", to,
              "] = ", values.element(value, to), ";");
  text.close();
  sync();
  text.close();
  if (!alone)
    return op.emitError("has an epilogue that reads other columns: the cuda target has no code "
                        "for it");
  return success();
}

} // namespace quern::cuda
