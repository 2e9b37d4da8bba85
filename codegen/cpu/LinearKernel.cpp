// Kernels whose anchor is a matrix product: panels of 16 output columns, shared among the workers.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/Rows.h"

#include "codegen/cpu/microkernels/Microkernels.h"
#include "ir/formats/Format.h"
#include "ir/formats/Packing.h"
#include "runtime/abi/StepArgs.h"

#include "llvm/ADT/SetVector.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

// Rows that pass over a panel together; their activations stay in the second cache. A multiple of
// what the microkernels take at once, 4 or 6 (AVX2), 8, or 16 (AMX).
constexpr int64_t kRowBlock = 96;
constexpr int64_t kLanes = 16;
// Bytes of weights in a piece of work that a worker fetches: some microseconds. A single row reads
// longer stretches of memory faster.
constexpr int64_t kPieceBytes = 16 << 10, kPieceBytesSingle = 64 << 10;
// Panels of float weights that many rows are multiplied with in one call, which prepares the rows
// once (AMX).
constexpr int64_t kFloatPanels = 8;

/// The column offsets at which the epilogue reads the product: 0, and for a gated activation over a
/// merged product also the width of the gate.
void collectShifts(mlir::Value value, mlir::Value product, int64_t shift,
                   llvm::SmallSetVector<int64_t, 2> &shifts) {
  if (value == product) {
    shifts.insert(shift);
    return;
  }
  Operation *def = value.getDefiningOp();
  if (!def)
    return;
  if (auto slice = dyn_cast<SliceOp>(def))
    shift += static_cast<int64_t>(slice.getOffset());
  for (mlir::Value operand : def->getOperands())
    collectShifts(operand, product, shift, shifts);
}

std::string symbolOf(const formats::Packing &packing) {
  std::string name = formats::packing_name(packing);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

/// How the weight's panels are laid out; an error where no kernel reads its format.
FailureOr<formats::Packing> packingOf(Operation *user, mlir::Value weight) {
  StringRef format = cast<WeightType>(weight.getType()).getFormat().getValue();
  const formats::Format *found = formats::find_format({format.data(), format.size()});
  if (!found) {
    user->emitError("the cpu target has no kernel for weights in the format '") << format << "'";
    return failure();
  }
  return found->packing();
}

} // namespace

LogicalResult Kernel::generateLinear() {
  auto linear = cast<LinearOp>(anchor);
  FailureOr<formats::Packing> packing = packingOf(linear, linear.getWeight());
  if (failed(packing))
    return failure();
  std::string microkernel = "qk_gemm_" + symbolOf(*packing);
  bool quantized = isa<Q8RowsType>(linear.getInput().getType());
  int64_t inputs = colsOf(linear.getInput().getType());
  int64_t padded = quantized ? (inputs + 31) / 32 * 32 : inputs;
  int64_t rowBytes = quantized ? quern_q8_row_bytes(inputs) : inputs * 4;
  int64_t panelBytes = packing->panel_bytes(inputs);

  // The kernel's columns are its results'; each panel of them needs a panel of the product for each
  // shift.
  int64_t cols = colsOf(yield.getOperand(0).getType());
  llvm::SmallSetVector<int64_t, 2> shifts;
  for (mlir::Value value : yield.getValues()) {
    if (colsOf(value.getType()) != cols)
      return op.emitError("results of one linear kernel have the same columns");
    collectShifts(value, linear.getResult(), 0, shifts);
  }
  for (int64_t shift : shifts)
    if (shift % kLanes)
      return op.emitError("a linear's epilogue slices it at multiples of ") << kLanes;

  Value input = pointer(linear.getInput());
  Value weights = pointer(linear.getWeight());
  Value rows = count(rowsOf(linear.getInput().getType()));
  int64_t panels = (cols + kLanes - 1) / kLanes;
  int64_t pieceBytes = single ? kPieceBytesSingle : kPieceBytes;
  // Panels of a call, and calls of a piece of work.
  int64_t together = single || quantized ? 1 : std::min(kFloatPanels, panels);
  int64_t calls = (panels + together - 1) / together;
  int64_t piece = std::max<int64_t>(1, pieceBytes / (panelBytes * together * shifts.size()));
  // The product of a panel and a shift, and of the next.
  int64_t tileFloats = (single ? 1 : kRowBlock) * kLanes;
  SmallVector<Value> tiles;
  for (size_t i = 0; i < shifts.size(); ++i)
    tiles.push_back(code.scratch(code.f32(), together * tileFloats));

  Value columns = last ? code.scratch(code.f32(), kLanes) : Value();

  // The product of `height` rows from `row` on with `many` panels from `panel` on.
  auto multiply = [&](Value row, Value panel, Value many, Value height) {
    Value x = code.atBytes(input, code.mul(row, rowBytes));
    for (auto [i, shift] : llvm::enumerate(shifts)) {
      Value w = code.atBytes(weights, code.mul(code.add(panel, shift / kLanes), panelBytes));
      Value stride = code.c(quantized ? rowBytes : inputs), k = code.c(padded);
      if (single)
        code.call(microkernel + "_m1", {w, x, stride, k, tiles[i]});
      else if (quantized)
        code.call(microkernel + "_rows", {w, x, stride, k, height, tiles[i]});
      else
        code.call(microkernel + "_rows", {w, code.c(panelBytes), many, x, stride, k, height,
                                          tiles[i], code.c(tileFloats)});
    }
  };
  // What becomes of its panel `at`, the columns [col, col + 16).
  auto finish = [&](Value row, Value at, Value col, Value height) {
    Value lanes =
        cols % kLanes ? code.min(code.c(kLanes), code.sub(code.c(cols), col)) : code.c(kLanes);
    Value first = code.mul(at, tileFloats);
    auto finishRow = [&](Value m) {
      Value target = code.add(row, m);
      Rows values(*this, target);
      values.bind(linear.getResult(), [&](Value c, int64_t shift) {
        size_t which = std::find(shifts.begin(), shifts.end(), shift) - shifts.begin();
        Value lane = code.add(code.add(first, code.mul(m, kLanes)), code.sub(c, col));
        Value y = code.loadF(tiles[which], lane);
        if (!linear.getBias())
          return y;
        return code.fadd(y, code.loadF(pointer(linear.getBias()), code.add(c, shift)));
      });
      for (auto [i, value] : llvm::enumerate(yield.getValues())) {
        Value out = code.at(result(i), code.f32(), code.add(code.mul(target, cols), col));
        if (last)
          out = code.call("qk_columns_at", code.ptr(), {args, out, columns});
        mlir::Value yielded = value;
        code.loop(code.c(0), lanes, [&](Value lane) {
          code.storeF(values.element(yielded, code.add(col, lane)), out, lane);
        });
        if (last)
          code.call("qk_keep_best", {args, worker, out, lanes, col});
      }
    };
    if (single)
      finishRow(code.c(0));
    else
      code.loop(code.c(0), height, finishRow);
  };
  // Rows of many columns are far apart: each would miss the caches, one after the other.
  auto prefetch = [&](Value row, Value col, Value height) {
    code.loop(code.c(0), height, [&](Value m) {
      for (size_t i = 0; i < yield.getValues().size(); ++i) {
        Value column = code.add(code.mul(code.add(row, m), cols), col);
        code.call("qk_prefetch", {code.at(result(i), code.f32(), column)});
      }
    });
  };

  if (single) { // One row; the output projection may have none, where no logits are wanted.
    code.when(code.less(code.c(0), rows), [&] {
      deal(code.c(panels), piece, [&](Value from, Value to) {
        code.loop(from, to, [&](Value panel) {
          multiply(code.c(0), panel, code.c(1), code.c(1));
          finish(code.c(0), code.c(0), code.mul(panel, kLanes), code.c(1));
        });
      });
    });
    return success();
  }
  deal(code.mul(code.ceilDiv(rows, kRowBlock), calls), piece, [&](Value from, Value to) {
    code.loop(from, to, [&](Value item) {
      Value row = code.mul(code.div(item, calls), kRowBlock);
      Value panel = code.mul(code.rem(item, calls), together);
      Value height = code.min(code.c(kRowBlock), code.sub(rows, row));
      Value many = code.min(code.c(together), code.sub(code.c(panels), panel));
      auto column = [&](Value at) { return code.mul(code.add(panel, at), kLanes); };
      auto each = [&](function_ref<void(Value)> body) {
        together == 1 ? body(code.c(0)) : code.loop(code.c(0), many, body);
      };
      each([&](Value at) { prefetch(row, column(at), height); });
      multiply(row, panel, many, height);
      each([&](Value at) { finish(row, at, column(at), height); });
    });
  });
  return success();
}

LogicalResult Kernel::generateEmbedding() {
  auto embedding = cast<EmbeddingOp>(anchor);
  FailureOr<formats::Packing> packing = packingOf(embedding, embedding.getWeight());
  if (failed(packing))
    return failure();
  int64_t cols = colsOf(embedding.getType());
  int64_t panelBytes = packing->panel_bytes(cols);
  Value row = code.scratch(code.f32(), cols);
  auto positions = embedding.getIds().getDefiningOp<PositionsOp>();
  auto [from, to] = code.share(count(rowsOf(embedding.getType())), worker, workers);
  code.loop(from, to, [&](Value token) {
    Value id;
    if (positions)
      id = code.add(index(offsetof(QuernStepArgs, positions), token),
                    static_cast<int64_t>(positions.getOffset()));
    else
      id = code.toI64(
          code.load(code.i32(), code.at(pointer(embedding.getIds()), code.i32(), token)));
    code.call("qk_decode_row_" + symbolOf(*packing),
              {pointer(embedding.getWeight()), id, code.c(cols), code.c(panelBytes), row});
    Rows values(*this, token);
    values.bind(embedding.getResult(),
                [&](Value c, int64_t shift) { return code.loadF(row, code.add(c, shift)); });
    for (auto [i, value] : llvm::enumerate(yield.getValues())) {
      Value target = code.at(result(i), code.f32(), code.mul(token, colsOf(value.getType())));
      values.write(value, code.c(0), colsOf(value.getType()), target);
    }
  });
  return success();
}

LogicalResult Kernel::generateRows() {
  mlir::Value first = yield.getValues().front();
  auto [from, to] = code.share(count(rowsOf(first.getType())), worker, workers);
  code.loop(from, to, [&](Value row) {
    Rows values(*this, row);
    // Float rows first: what else is computed from them reads them back instead of computing them
    // again.
    for (bool quantized : {false, true})
      for (auto [i, value] : llvm::enumerate(yield.getValues())) {
        if (isa<Q8RowsType>(value.getType()) != quantized)
          continue;
        int64_t cols = colsOf(value.getType());
        int64_t bytes = quantized ? quern_q8_row_bytes(cols) : cols * 4;
        values.write(value, code.c(0), cols, code.atBytes(result(i), code.mul(row, bytes)));
        if (last)
          code.call("qk_keep_best", {args, worker, result(i), code.c(cols), code.c(0)});
      }
  });
  return success();
}
