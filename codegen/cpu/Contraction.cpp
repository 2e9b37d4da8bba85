// See Contraction.h.
#include "codegen/cpu/Contraction.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

constexpr int64_t kLanes = 16;
// Rows that pass over a group of panels together.
constexpr int64_t kRowBlock = 96;
// Inputs that are summed at once: all of them up to kMostInputs, else so many at a time.
constexpr int64_t kMostInputs = 512, kInputBlock = 256;
// Floats of a group of panels, which stay in the second cache; and how many panels that is at most.
constexpr int64_t kGroupFloats = 32 << 10, kMostPanels = 8;
// With fewer rows packing costs more than it gives.
constexpr int64_t kLeastRows = 4;

/// Whether the map has these dimensions, and nothing else of them, next to each other and whole: so
/// that one number can stand for them. The place of the first.
std::optional<size_t> findRun(Elements &elements, OpOperand &operand, AffineMap map,
                              ArrayRef<unsigned> dims, ArrayRef<Value> extents) {
  ArrayRef<AffineExpr> results = map.getResults();
  auto first = llvm::find(results, getAffineDimExpr(dims.front(), map.getContext()));
  const auto place = static_cast<size_t>(first - results.begin());
  if (place + dims.size() > results.size())
    return std::nullopt;
  auto type = cast<RankedTensorType>(operand.get().getType());
  for (auto [i, dim] : llvm::enumerate(dims))
    if (results[place + i] != getAffineDimExpr(dim, map.getContext()) ||
        elements.indices.size(type, static_cast<int64_t>(place + i)) != extents[dim])
      return std::nullopt;
  for (auto [i, result] : llvm::enumerate(results))
    if (i < place || i >= place + dims.size())
      for (unsigned dim : dims)
        if (result.isFunctionOfDim(dim))
          return std::nullopt;
  return place;
}

/// result + a * b, and nothing else, of float32.
bool isProduct(linalg::GenericOp op) {
  Block &body = *op.getBody();
  if (op.getNumDpsInputs() != 2 || op.getNumResults() != 1 || body.getOperations().size() != 3)
    return false;
  auto sum = body.getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  BlockArgument carried = body.getArgument(2);
  if (!sum || !sum.getType().isF32() || (sum.getLhs() != carried && sum.getRhs() != carried))
    return false;
  auto product =
      (sum.getLhs() == carried ? sum.getRhs() : sum.getLhs()).getDefiningOp<arith::MulFOp>();
  if (!product)
    return false;
  mlir::Value a = body.getArgument(0), b = body.getArgument(1);
  return (product.getLhs() == a && product.getRhs() == b) ||
         (product.getLhs() == b && product.getRhs() == a);
}

class Writer {
public:
  Writer(Kernel &kernel, Elements &elements, Contraction of,
         llvm::function_ref<void(ArrayRef<Value>, Value)> finish)
      : kernel(kernel), code(kernel.code), elements(elements), indices(elements.indices), of(of),
        finish(finish), extents(elements.extents(of.op)), point(of.op.getNumLoops()),
        inputs(count(of.reduced)), rows(count(of.rows)), columns(count(of.columns)) {
    std::optional<int64_t> known = Indices::known(inputs);
    whole = known && *known > 0 && *known <= kMostInputs;
    block = whole ? *known : kInputBlock;
    together = std::clamp<int64_t>(kGroupFloats / (block * kLanes), 1, kMostPanels);
    if (std::optional<int64_t> all = Indices::known(columns))
      together = std::max<int64_t>(1, std::min<int64_t>(together, llvm::divideCeil(*all, kLanes)));
    panels = code.scratch<float>(together * block * kLanes);
    sums = code.scratch<float>(together * kRowBlock * kLanes);
    if (!whole)
      parts = code.scratch<float>(together * kRowBlock * kLanes);
    findRows();
    if (!direct)
      packed = code.scratch<float>(kRowBlock * block);
  }

  void write() {
    Value groups = code.ceilDiv(columns, together * kLanes);
    Value blocks = code.ceilDiv(rows, kRowBlock);
    Value items = indices.mul(indices.mul(count(of.batch), blocks), groups);
    auto [from, to] = code.share(items, kernel.worker, kernel.workers);
    code.loop(from, to, [&](Value item) {
      Value group = code.rem(item, groups), rest = code.div(item, groups);
      set(of.batch, code.div(rest, blocks));
      firstRow = code.mul(code.rem(rest, blocks), kRowBlock);
      height = code.min(code.c(kRowBlock), code.sub(rows, firstRow));
      firstColumn = code.mul(group, together * kLanes);
      many = code.min(code.c(together), code.ceilDiv(code.sub(columns, firstColumn), kLanes));
      multiply();
      finishRows();
    });
  }

private:
  Value count(ArrayRef<unsigned> dims) {
    Value all = indices.constant(1);
    for (unsigned dim : dims)
      all = indices.mul(all, extents[dim]);
    return all;
  }

  void set(ArrayRef<unsigned> dims, Value number) {
    SmallVector<Value> sizes =
        llvm::map_to_vector(dims, [&](unsigned dim) { return extents[dim]; });
    for (auto [dim, index] : llvm::zip_equal(dims, indices.split(number, sizes)))
      point[dim] = index;
  }

  Value read(OpOperand &operand) {
    return elements.element(operand.get(), elements.operandIndices(of.op, operand, point));
  }

  /// Whether rows lie in memory as the microkernel reads them.
  void findRows() {
    AffineMap map = of.op.getMatchingIndexingMap(of.left);
    if (!elements.memory(of.left->get()) ||
        !cast<RankedTensorType>(of.left->get().getType()).getElementType().isF32())
      return;
    auto inner = findRun(elements, *of.left, map, of.reduced, extents);
    auto row = findRun(elements, *of.left, map, of.rows, extents);
    if (!inner || !row || *inner + of.reduced.size() != map.getNumResults() || *row > *inner)
      return;
    IndexList sizes = indices.sizes(cast<RankedTensorType>(of.left->get().getType()));
    stride = indices.product(ArrayRef(sizes).drop_front(*row + of.rows.size()));
    direct = true;
  }

  void multiply() {
    if (whole)
      return multiplyBlock(code.c(0), inputs, sums);
    Value floats = code.c(together * kRowBlock * kLanes);
    code.loop(code.c(0), floats, [&](Value i) { code.storeF(code.cf(0), sums, i); });
    code.loop(code.c(0), inputs, code.c(kInputBlock), [&](Value from) {
      multiplyBlock(from, code.min(code.c(kInputBlock), code.sub(inputs, from)), parts);
      code.loop(code.c(0), floats, [&](Value i) {
        code.storeF(code.fadd(code.loadF(sums, i), code.loadF(parts, i)), sums, i);
      });
    });
  }

  /// `k` inputs from `from` on.
  void multiplyBlock(Value from, Value k, Pointer<float> to) {
    packPanels(from, k);
    Pointer<const float> x = packed;
    if (direct) {
      set(of.rows, firstRow);
      set(of.reduced, from);
      Value place = indices.linear(elements.operandIndices(of.op, *of.left, point),
                                   indices.sizes(cast<RankedTensorType>(of.left->get().getType())));
      x = code.at(Pointer<const float>(elements.memory(of.left->get())), place);
    } else {
      packRows(from, k);
    }
    code.call("qk_gemm_f32_rows",
              {code.pack<QkFloatProduct>({.panel = Pointer<const QkPanel>(panels),
                                          .panel_bytes = code.c(block * kLanes * 4),
                                          .panels = many,
                                          .x = x,
                                          .x_stride = direct ? stride : code.c(block),
                                          .rows = height,
                                          .k = k,
                                          .acc = to,
                                          .acc_stride = code.c(kRowBlock * kLanes)})});
  }

  void packPanels(Value from, Value k) {
    if (of.runs != 0)
      return packRuns(from, k);
    // Neighbours of all panels together: rows of the right side are often pages apart.
    code.loop(code.c(0), k, [&](Value i) {
      set(of.reduced, code.add(from, i));
      code.loop(code.c(0), many, [&](Value panel) {
        Value column = code.add(firstColumn, code.mul(panel, kLanes));
        Value lanes = code.min(code.c(kLanes), code.sub(columns, column));
        auto to = code.at(panels, code.mul(code.add(code.mul(panel, block), i), kLanes));
        overLanes(
            lanes,
            [&](Value lane) {
              set(of.columns, code.add(column, lane));
              code.storeF(read(*of.right), to, lane);
            },
            [&](Value lane) { code.storeF(code.cf(0), to, lane); });
      });
    });
  }

  /// Columns that are neighbours in parts only, a part of a panel at a time.
  void packRuns(Value from, Value k) {
    ArrayRef<unsigned> outer = ArrayRef(of.columns).take_front(of.runs);
    ArrayRef<unsigned> inner = ArrayRef(of.columns).drop_front(of.runs);
    Value run = count(inner), all = code.mul(many, kLanes);
    Value end = code.min(all, code.sub(columns, firstColumn));
    auto at = code.scratch<int64_t>(1);
    auto next = [&] { return code.load(code.i64(), at); };
    auto each = [&](Value place, Value length, llvm::function_ref<Value(Value)> value) {
      Value panel = code.div(place, kLanes), lane = code.rem(place, kLanes);
      code.loop(code.c(0), k, [&](Value i) {
        auto to =
            code.at(panels, code.add(code.mul(code.add(code.mul(panel, block), i), kLanes), lane));
        set(of.reduced, code.add(from, i));
        code.rolledLoop(kLanes, [&](Value l) {
          code.when(code.less(l, length), [&] { code.storeF(value(l), to, l); });
        });
      });
      code.store(code.add(place, length), at);
    };
    code.store(code.c(0), at);
    code.whilst([&] { return code.less(next(), end); },
                [&] {
                  Value place = next(), column = code.add(firstColumn, place);
                  set(outer, code.div(column, run));
                  Value first = code.rem(column, run);
                  Value length = code.min(code.sub(run, first), code.sub(end, place));
                  length = code.min(length, code.sub(code.c(kLanes), code.rem(place, kLanes)));
                  each(place, length, [&](Value l) {
                    set(inner, code.add(first, l));
                    return read(*of.right);
                  });
                });
    code.whilst([&] { return code.less(next(), all); },
                [&] { each(next(), code.sub(all, next()), [&](Value) { return code.cf(0); }); });
  }

  void packRows(Value from, Value k) {
    code.loop(code.c(0), height, [&](Value m) {
      set(of.rows, code.add(firstRow, m));
      auto to = code.at(packed, code.mul(m, block));
      code.loop(code.c(0), k, [&](Value i) {
        set(of.reduced, code.add(from, i));
        code.storeF(read(*of.left), to, i);
      });
    });
  }

  /// A panel's lanes as a loop of constant length where there are all of them.
  void overLanes(Value lanes, llvm::function_ref<void(Value)> body,
                 llvm::function_ref<void(Value)> beyond) {
    std::optional<int64_t> known = Indices::known(columns);
    auto all = [&] { code.rolledLoop(kLanes, [&](Value lane) { body(lane); }); };
    if (known && *known % kLanes == 0)
      return all();
    code.when(code.equal(lanes, code.c(kLanes)), all);
    code.when(code.less(lanes, code.c(kLanes)), [&] {
      code.loop(code.c(0), lanes, [&](Value lane) { body(lane); });
      if (beyond)
        code.loop(lanes, code.c(kLanes), [&](Value lane) { beyond(lane); });
    });
  }

  void finishRows() {
    for (unsigned dim : of.reduced)
      point[dim] = Value();
    code.loop(code.c(0), height, [&](Value m) {
      set(of.rows, code.add(firstRow, m));
      code.loop(code.c(0), many, [&](Value panel) {
        Value column = code.add(firstColumn, code.mul(panel, kLanes));
        Value lanes = code.min(code.c(kLanes), code.sub(columns, column));
        auto from = code.at(sums, code.mul(code.add(code.mul(panel, kRowBlock), m), kLanes));
        overLanes(lanes,
                  [&](Value lane) {
                    set(of.columns, code.add(column, lane));
                    Value init = read(*of.op.getDpsInitOperand(0));
                    finish(point, code.fadd(init, code.loadF(from, lane)));
                  },
                  {});
      });
    });
  }

  Kernel &kernel;
  Code &code;
  Elements &elements;
  Indices &indices;
  Contraction of;
  llvm::function_ref<void(ArrayRef<Value>, Value)> finish;
  IndexList extents, point;
  Value inputs, rows, columns;
  bool whole = false;   ///< all inputs at once
  bool direct = false;  ///< rows are read where they lie
  int64_t block = 0;    ///< inputs at once
  int64_t together = 0; ///< panels of a group
  Value stride;         ///< from row to row, where they are read where they lie
  Pointer<float> panels, sums, parts, packed;
  Value firstRow, height, firstColumn, many; // of the group being written
};

} // namespace

std::optional<Contraction> quern::cpu::findContraction(Elements &elements, linalg::GenericOp op) {
  if (!isProduct(op))
    return std::nullopt;
  Contraction found{op, op.getDpsInputOperand(0), op.getDpsInputOperand(1), {}, {}, {}, {}};
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (out.getNumResults() == 0 || !out.isProjectedPermutation())
    return std::nullopt;
  SmallVector<unsigned> dims = llvm::map_to_vector(out.getResults(), [](AffineExpr result) {
    return cast<AffineDimExpr>(result).getPosition();
  });
  if (op.getNumParallelLoops() != dims.size())
    return std::nullopt;
  auto has = [&](OpOperand *operand, unsigned dim) {
    return op.getMatchingIndexingMap(operand).isFunctionOfDim(dim);
  };
  if (!has(found.right, dims.back()))
    std::swap(found.left, found.right);
  if (has(found.left, dims.back()) || !has(found.right, dims.back()))
    return std::nullopt;
  IndexList extents = elements.extents(op);
  found.columns = {dims.pop_back_val()};
  AffineMap right = op.getMatchingIndexingMap(found.right);
  while (!dims.empty() && !has(found.left, dims.back()) && has(found.right, dims.back()))
    found.columns.insert(found.columns.begin(), dims.pop_back_val());
  while (!findRun(elements, *found.right, right, ArrayRef(found.columns).drop_front(found.runs),
                  extents) &&
         found.runs + 1 < found.columns.size())
    ++found.runs;
  int64_t rows = 1;
  for (unsigned dim : dims) {
    const bool row = has(found.left, dim) && !has(found.right, dim);
    (row ? found.rows : found.batch).push_back(dim);
    // What is not known is taken for many.
    if (row)
      rows *= Indices::known(extents[dim]).value_or(kLeastRows);
  }
  if (found.rows.empty() || rows < kLeastRows)
    return std::nullopt;
  op.getReductionDims(found.reduced);
  return found;
}

void quern::cpu::writeContraction(Kernel &kernel, Elements &elements,
                                  const Contraction &contraction,
                                  llvm::function_ref<void(ArrayRef<Value>, Value)> finish) {
  Writer(kernel, elements, contraction, finish).write();
}
