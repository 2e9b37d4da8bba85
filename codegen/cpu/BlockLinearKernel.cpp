// Kernels whose anchor is a product with a block-diagonal matrix: each block has panels of its own
// and multiplies its own columns of the rows.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "codegen/schedule/WeightPacking.h"
#include "ir/formats/Packing.h"
#include "runtime/abi/StepArgs.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

// As in LinearKernel.cpp: rows that pass over a panel together, panels that are multiplied in one
// call, bytes of weights in a chunk of work.
constexpr int64_t kRowBlock = 96;
constexpr int64_t kLanes = 16;
constexpr int64_t kCallPanels = 8;
constexpr int64_t kChunkBytes = 16 << 10;

class BlockProduct {
public:
  BlockProduct(Kernel &kernel, const formats::Packing &packing)
      : kernel(kernel), code(kernel.code), linear(cast<BlockLinearOp>(kernel.anchor)),
        microkernel("qk_gemm_" + formats::packing_symbol(packing)),
        quantized(isa<Q8RowsType>(linear.getInput().getType())), blocks(shape()[0]),
        outputs(shape()[1]), inputs(shape()[2]), panels(llvm::divideCeil(outputs, kLanes)),
        panelBytes(packing.panel_bytes(inputs)), together(std::min(kCallPanels, panels)),
        calls(llvm::divideCeil(panels, together)), height(kernel.single ? 1 : kRowBlock),
        rows(kernel.count(rowsOf(linear.getInput().getType()))),
        tiles(code.scratch<float>(together * height * kLanes)) {
    input = linear.getInput();
    while (auto slice = input.getDefiningOp<SliceOp>()) {
      column += static_cast<int64_t>(slice.getOffset());
      input = slice.getInput();
    }
  }

  /// The chunks of work are runs of panels of a block, times blocks of rows.
  void write() {
    Value items = code.mul(code.ceilDiv(rows, height), blocks * calls);
    kernel.scheduleGuided(
        items, code.c(std::max<int64_t>(1, kChunkBytes / (panelBytes * together))),
        [&](Value from, Value to) {
          code.loop(from, to, [&](Value item) {
            Value row = code.mul(code.div(item, blocks * calls), height);
            Value run = code.rem(item, blocks * calls);
            Value block = code.div(run, calls), panel = code.mul(code.rem(run, calls), together);
            writeRun(row, code.min(code.c(height), code.sub(rows, row)), block, panel,
                     code.min(code.c(together), code.sub(code.c(panels), panel)));
          });
        });
  }

private:
  ArrayRef<int64_t> shape() { return linear.getWeight().getType().getShape(); }

  void writeRun(Value row, Value tall, Value block, Value panel, Value many) {
    if (quantized)
      multiply<QkQ8Row, QkQ8Product>(row, tall, block, panel, many);
    else
      multiply<float, QkFloatProduct>(row, tall, block, panel, many);
    code.loop(code.c(0), tall, [&](Value m) {
      code.loop(code.c(0), many, [&](Value at) {
        finish(code.add(row, m), block, code.mul(code.add(panel, at), kLanes),
               code.add(code.mul(at, height * kLanes), code.mul(m, kLanes)));
      });
    });
  }

  template <class X, class Operands>
  void multiply(Value row, Value tall, Value block, Value panel, Value many) {
    // Quantized, a block is a row of its own.
    const int64_t own = quern_q8_row_bytes(inputs), all = colsOf(input.getType());
    Value start =
        quantized
            ? code.mul(code.add(code.mul(row, blocks), block), own)
            : code.mul(code.add(code.mul(row, all), code.add(code.mul(block, inputs), column)), 4);
    auto x = code.atBytes(kernel.pointer<X>(input), start);
    auto w = code.atBytes(kernel.pointer<QkPanel>(linear.getWeight()),
                          code.mul(code.add(code.mul(block, panels), panel), panelBytes));
    Value k = code.c(quantized ? llvm::alignTo(inputs, 32) : inputs);
    if (kernel.single) {
      code.loop(code.c(0), many, [&](Value at) {
        code.call(microkernel + "_m1", {code.atBytes(w, code.mul(at, panelBytes)), x, k,
                                        code.at(tiles, code.mul(at, kLanes))});
      });
      return;
    }
    code.call(microkernel + "_rows",
              {code.pack<Operands>({.panel = w,
                                    .panel_bytes = code.c(panelBytes),
                                    .panels = many,
                                    .x = x,
                                    .x_stride = code.c(quantized ? blocks * own : all),
                                    .rows = tall,
                                    .k = k,
                                    .acc = tiles,
                                    .acc_stride = code.c(height * kLanes)})});
  }

  /// The epilogue of a row for the columns of a block from `from` on, whose product lies at
  /// `product` of the tiles.
  void finish(Value row, Value block, Value from, Value product) {
    Value col = code.add(code.mul(block, outputs), from);
    RowValues values(kernel, row);
    values.bind(linear.getResult(), [&](Value c, int64_t shift) {
      Value at = code.add(c, shift);
      Value y = code.loadF(tiles, code.add(product, code.sub(at, col)));
      return linear.getBias() ? code.fadd(y, code.loadF(kernel.pointer(linear.getBias()), at)) : y;
    });
    Value lanes = outputs % kLanes ? code.min(code.c(kLanes), code.sub(code.c(outputs), from))
                                   : code.c(kLanes);
    // Where a transposition joined, what follows it is computed where it puts the columns.
    Value productColumn;
    TransposeOp transpose = transposition();
    if (transpose)
      values.bind(transpose.getResult(), [&](Value, int64_t) {
        return values.element(transpose.getInput(), productColumn);
      });
    for (auto [i, value] : llvm::enumerate(kernel.yield.getValues())) {
      mlir::Value yielded = value;
      auto out = code.at(kernel.result(i), code.mul(row, blocks * outputs));
      code.loop(code.c(0), lanes, [&](Value lane) {
        productColumn = code.add(col, lane);
        Value to = transpose ? transposed(transpose, productColumn) : productColumn;
        code.storeF(values.element(yielded, to), out, to);
      });
    }
  }

  TransposeOp transposition() {
    auto found = kernel.op.getBody().front().getOps<TransposeOp>();
    return found.empty() ? TransposeOp() : *found.begin();
  }
  /// The column of the result that column `from` of the operand becomes.
  Value transposed(TransposeOp op, Value from) {
    const auto groups = static_cast<int64_t>(op.getGroups());
    const int64_t width = blocks * outputs / groups;
    return code.add(code.mul(code.rem(from, width), groups), code.div(from, width));
  }

  Kernel &kernel;
  Code &code;
  BlockLinearOp linear;
  std::string microkernel;
  bool quantized;
  int64_t blocks, outputs, inputs; ///< the last two of a block
  int64_t panels;                  ///< of a block
  int64_t panelBytes;
  int64_t together; ///< panels of a call
  int64_t calls;    ///< for a block's panels
  int64_t height;   ///< rows of a call
  Value rows;
  Pointer<float> tiles; ///< [together][height][kLanes]
  mlir::Value input;    ///< what the op's input is a slice of
  int64_t column = 0;   ///< where that begins
};

} // namespace

LogicalResult Kernel::generateBlockLinear() {
  auto linear = cast<BlockLinearOp>(anchor);
  FailureOr<formats::Packing> packing = codegen::packingOf(linear, linear.getWeight());
  if (failed(packing))
    return failure();
  BlockProduct(*this, *packing).write();
  return success();
}
