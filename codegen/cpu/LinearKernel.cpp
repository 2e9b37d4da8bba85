// Kernels whose anchor is a matrix product: panels of 16 output columns, shared among the workers.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "codegen/schedule/ProductShifts.h"
#include "codegen/schedule/WeightPacking.h"
#include "ir/formats/Packing.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

// Rows that pass over a panel together; their activations stay in the second cache. A multiple of
// what the microkernels take at once: 3, 4, 6, 8, or 16 (AMX).
constexpr int64_t kRowBlock = 96;
constexpr int64_t kLanes = 16;
// Bytes of weights in a chunk of work that a worker fetches: some microseconds. A single row reads
// longer stretches of memory faster.
constexpr int64_t kChunkBytes = 16 << 10, kChunkBytesSingle = 64 << 10;
// Panels that many rows are multiplied with in one call, which prepares the rows once (AMX); and
// how many rows are many.
constexpr int64_t kCallPanels = 8, kManyRows = 16;
// How far ahead of the row that an epilogue finishes its results are fetched.
constexpr int64_t kRowsAhead = 4;
// Panels of a pair of groups of quantized results; and rows that are quantized together, so many
// that qk_quantize_columns has always enough to do at once.
constexpr int64_t kPairPanels = 2, kRowsQuantized = 8;

/// Writes a kernel around a matrix product: panels of the product, and what the epilogue makes of
/// them.
class Product {
public:
  /// `shifts` are the column offsets at which the epilogue reads the product: the kernel's columns
  /// are its results', and each panel of them needs a panel of the product for each.
  Product(Kernel &kernel, const formats::Packing &packing, ArrayRef<int64_t> shifts)
      : kernel(kernel), code(kernel.code), linear(cast<LinearOp>(kernel.anchor)),
        microkernel("qk_gemm_" + formats::packing_symbol(packing)), shifts(shifts),
        quantized(isa<Q8RowsType>(linear.getInput().getType())),
        inputs(colsOf(linear.getInput().getType())),
        rowBytes(quantized ? quern_q8_row_bytes(inputs) : inputs * 4),
        panelBytes(packing.panel_bytes(inputs)), cols(colsOf(kernel.yield.getOperand(0).getType())),
        panels(llvm::divideCeil(cols, kLanes)),
        grain(llvm::any_of(kernel.yield.getOperandTypes(), llvm::IsaPred<Q8RowsType>) ? kPairPanels
                                                                                      : 1),
        together(kernel.single ? 1 : std::min(kCallPanels, panels)),
        tileFloats((kernel.single ? 1 : kRowBlock) * kLanes),
        rows(kernel.count(rowsOf(linear.getInput().getType()))) {
    for (size_t i = 0; i < shifts.size(); ++i)
      tiles.push_back(code.scratch<float>(together * tileFloats));
    for (mlir::Value value : kernel.yield.getValues())
      finished.push_back(
          isa<Q8RowsType>(value.getType())
              ? code.scratch<float>(kernel.single ? cols : kRowsQuantized * together * kLanes)
              : Pointer<float>());
    if (kernel.last)
      columns = code.scratch<float>(kLanes);
  }

  /// One row; the output projection may have none, where no logits are wanted.
  void writeSingle() {
    code.when(code.less(code.c(0), rows), [&] {
      scheduleGuided(code.c(panels), code.c(chunk(kChunkBytesSingle)), [&](Value from, Value to) {
        code.loop(from, to, [&](Value panel) {
          Value col = code.mul(panel, kLanes);
          multiply(code.c(0), panel, code.c(1), code.c(1));
          finishRow(code.c(0), code.c(0), col, code.c(0), col);
        });
        Value col = code.mul(from, kLanes);
        quantize(code.c(0), code.c(1), col, code.mul(code.sub(to, from), kLanes), col);
      });
    });
  }

  /// Blocks of rows, one after the other, each with all panels.
  void writeMany() {
    Value items = code.mul(code.ceilDiv(rows, kRowBlock), panels);
    int64_t few = chunk(kChunkBytes);
    Value chunks = code.select(code.less(rows, code.c(kManyRows)), code.c(few),
                               code.c(std::max(few, together)));
    auto at = code.scratch<int64_t>(1);
    scheduleGuided(items, chunks, [&](Value from, Value to) {
      auto next = [&] { return code.load(code.i64(), at); };
      code.store(from, at);
      code.whilst([&] { return code.less(next(), to); },
                  [&] {
                    Value item = next();
                    Value row = code.mul(code.div(item, panels), kRowBlock);
                    Value panel = code.rem(item, panels);
                    Value many = code.min(code.min(code.c(together), code.sub(to, item)),
                                          code.sub(code.c(panels), panel));
                    writeBlock(row, code.min(code.c(kRowBlock), code.sub(rows, row)), panel, many);
                    code.store(code.add(item, many), at);
                  });
    });
  }

private:
  /// Panels of a chunk of work of so many bytes of weights.
  int64_t chunk(int64_t bytes) const {
    return std::max<int64_t>(1, bytes / (panelBytes * static_cast<int64_t>(shifts.size())));
  }

  /// Kernel::scheduleGuided of panels, in grains.
  void scheduleGuided(Value count, Value chunk, std::function<void(Value, Value)> body) {
    kernel.scheduleGuided(
        code.div(count, grain), code.ceilDiv(chunk, grain),
        [&](Value from, Value to) { body(code.mul(from, grain), code.mul(to, grain)); });
  }

  /// `height` rows from `row` on, `many` panels from `panel` on.
  void writeBlock(Value row, Value height, Value panel, Value many) {
    auto each = [&](std::function<void(Value at, Value col)> body) {
      auto do_at = [&](Value at) { body(at, code.mul(code.add(panel, at), kLanes)); };
      together == 1 ? do_at(code.c(0)) : code.loop(code.c(0), many, do_at);
    };
    auto finish = [&](Value m, Value slot) {
      // A row's results are far from the last row's: each would miss the caches.
      Value ahead = code.add(code.add(row, m), kRowsAhead);
      each([&](Value, Value col) {
        for (size_t i = 0; i < finished.size(); ++i)
          if (!finished[i])
            code.call("qk_prefetch", {resultAt(i, ahead, col)});
      });
      each([&](Value at, Value col) {
        finishRow(row, m, col, at, code.mul(code.add(code.mul(slot, together), at), kLanes));
      });
    };
    multiply(row, panel, many, height);
    if (grain == 1)
      return code.loop(code.c(0), height, [&](Value m) { finish(m, code.c(0)); });
    code.loop(code.c(0), height, code.c(kRowsQuantized), [&](Value first) {
      Value end = code.min(code.add(first, kRowsQuantized), height);
      code.loop(first, end, [&](Value m) { finish(m, code.sub(m, first)); });
      quantize(code.add(row, first), code.sub(end, first), code.mul(panel, kLanes),
               code.mul(many, kLanes), code.c(0));
    });
  }

  /// Leaves in `tiles` the product of rows and panels.
  void multiply(Value row, Value panel, Value many, Value height) {
    if (quantized)
      multiply<QkQ8Row, QkQ8Product>(row, panel, many, height);
    else
      multiply<float, QkFloatProduct>(row, panel, many, height);
  }
  template <class X, class Operands>
  void multiply(Value row, Value panel, Value many, Value height) {
    auto x = code.atBytes(kernel.pointer<X>(linear.getInput()), code.mul(row, rowBytes));
    auto weights = kernel.pointer<QkPanel>(linear.getWeight());
    for (auto [i, shift] : llvm::enumerate(shifts)) {
      auto w = code.atBytes(weights, code.mul(code.add(panel, shift / kLanes), panelBytes));
      Value k = code.c(quantized ? llvm::alignTo(inputs, 32) : inputs);
      if (kernel.single)
        code.call(microkernel + "_m1", {w, x, k, tiles[i]});
      else
        code.call(microkernel + "_rows",
                  {code.pack<Operands>({.panel = w,
                                        .panel_bytes = code.c(panelBytes),
                                        .panels = many,
                                        .x = x,
                                        .x_stride = code.c(quantized ? rowBytes : inputs),
                                        .rows = height,
                                        .k = k,
                                        .acc = tiles[i],
                                        .acc_stride = code.c(tileFloats)})});
    }
  }

  /// The epilogue for row m of the block from `row` on, columns [col, col + 16), of which panel
  /// `at` of the tiles has the product. What is to be quantized is left at `held` of `finished`.
  void finishRow(Value row, Value m, Value col, Value at, Value held) {
    Value target = code.add(row, m);
    Value product = code.add(code.mul(at, tileFloats), code.mul(m, kLanes));
    RowValues values(kernel, target);
    values.bind(linear.getResult(), [&](Value c, int64_t shift) {
      size_t which = llvm::find(shifts, shift) - shifts.begin();
      Value y = code.loadF(tiles[which], code.add(product, code.sub(c, col)));
      if (!linear.getBias())
        return y;
      return code.fadd(y, code.loadF(kernel.pointer(linear.getBias()), code.add(c, shift)));
    });
    Value lanes =
        cols % kLanes ? code.min(code.c(kLanes), code.sub(code.c(cols), col)) : code.c(kLanes);
    for (auto [i, value] : llvm::enumerate(kernel.yield.getValues())) {
      mlir::Value yielded = value;
      Pointer<float> out;
      if (finished[i]) {
        yielded = value.getDefiningOp<QuantizeRowsOp>().getInput();
        out = code.at(finished[i], held);
      } else {
        out = resultAt(i, target, col);
      }
      if (kernel.last)
        out = Pointer<float>(code.call("qk_columns_at", {kernel.args, out, columns}));
      code.loop(code.c(0), lanes, [&](Value lane) {
        code.storeF(values.element(yielded, code.add(col, lane)), out, lane);
      });
      if (kernel.last)
        code.call("qk_update_argmax", {kernel.args, kernel.worker, out, lanes, col});
    }
  }

  /// Quantizes `count` columns from `col` on of `many` rows from `row` on, which lie at `held` of
  /// `finished`.
  void quantize(Value row, Value many, Value col, Value count, Value held) {
    for (auto [i, floats] : llvm::enumerate(finished)) {
      if (!floats)
        continue;
      int64_t bytes = quern_q8_row_bytes(cols);
      code.call("qk_quantize_columns",
                {code.pack<QkColumns>(
                    {.x = code.at(floats, held),
                     .x_stride = code.c(together * kLanes),
                     .rows = many,
                     .first = col,
                     .count = count,
                     .k = code.c(cols),
                     .to = code.atBytes(kernel.result<QkQ8Row>(i), code.mul(row, bytes)),
                     .to_stride = code.c(bytes)})});
    }
  }

  Pointer<float> resultAt(unsigned index, Value row, Value col) {
    return code.at(kernel.result(index), code.add(code.mul(row, cols), col));
  }

  Kernel &kernel;
  Code &code;
  LinearOp linear;
  std::string microkernel;
  ArrayRef<int64_t> shifts;
  bool quantized;
  int64_t inputs, rowBytes, panelBytes;
  int64_t cols, panels;
  int64_t grain;      ///< panels of which chunks of work are made
  int64_t together;   ///< panels of a call
  int64_t tileFloats; ///< from the product of a panel to that of the next
  Value rows;
  SmallVector<Pointer<float>> tiles;    ///< a shift's products
  SmallVector<Pointer<float>> finished; ///< a result's floats, if it is quantized; else null
  Pointer<float> columns;               ///< where columns go of which only the largest is asked for
};

} // namespace

LogicalResult Kernel::generateLinear() {
  auto linear = cast<LinearOp>(anchor);
  FailureOr<formats::Packing> packing = codegen::packingOf(linear, linear.getWeight());
  if (failed(packing))
    return failure();
  const FailureOr<SmallVector<int64_t>> shifts = codegen::productShifts(op);
  if (failed(shifts))
    return failure();
  Product product(*this, *packing, *shifts);
  single ? product.writeSingle() : product.writeMany();
  return success();
}
