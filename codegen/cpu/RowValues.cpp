// See RowValues.h.
#include "codegen/cpu/RowValues.h"

#include "codegen/cpu/microkernels/UnaryFunctions.h"
#include "runtime/abi/StepArgs.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstddef>
#include <numeric>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

bool quern::cpu::isElementwise(Operation *op) {
  return op && (op->hasTrait<Elementwise>() || op->hasTrait<View>() || isa<CombineOp>(op));
}

const RowValues::Placed *RowValues::find(mlir::Value value, Value from, int64_t cols) const {
  auto it = placed.find(value);
  if (it == placed.end())
    return nullptr;
  for (const Placed &place : it->second)
    if (place.cols == colsOf(value.getType()) || (place.from == from && place.cols >= cols))
      return &place;
  return nullptr;
}

Pointer<const float> RowValues::place(mlir::Value value, Value from, int64_t cols) {
  if (const Placed *known = find(value, from, cols))
    return code.at(known->pointer, code.sub(from, known->from));
  Operation *def = value.getDefiningOp();
  if (!def) {
    Value start = code.mul(row, colsOf(value.getType()));
    return code.at(kernel.pointer(value), code.add(start, from));
  }
  // Of a concatenation whole groups are computed, whatever is read of it.
  if (auto concat = dyn_cast<ConcatOp>(def); concat && cols % concat.headColumns() != 0)
    return code.at(place(value, code.c(0), colsOf(value.getType())), from);
  if (auto slice = dyn_cast<SliceOp>(def); slice && slice.getGroups() == 1 &&
                                           slice.getInput().getDefiningOp<ConcatOp>() &&
                                           !bound.count(slice.getInput())) {
    auto all = place(slice.getInput(), code.c(0), colsOf(slice.getInput().getType()));
    return code.at(all, code.add(from, static_cast<int64_t>(slice.getOffset())));
  }
  if (auto slice = dyn_cast<SliceOp>(def);
      slice && slice.getGroups() == 1 && !bound.count(slice.getInput()))
    return place(slice.getInput(), code.add(from, static_cast<int64_t>(slice.getOffset())), cols);
  if (auto gather = dyn_cast<GatherRowsOp>(def)) {
    auto rows = kernel.pointer<int32_t>(gather.getRows());
    Value source = code.toI64(code.load(code.i32(), code.at(rows, row)));
    return RowValues(kernel, source).place(gather.getInput(), from, cols);
  }
  auto target = code.scratch<float>(cols);
  write(value, from, cols, target);
  return target;
}

void RowValues::write(mlir::Value value, Pointer<QkQ8Row> target) {
  auto quantize = value.getDefiningOp<QuantizeRowsOp>();
  int64_t inputs = colsOf(quantize.getInput().getType());
  Pointer<const float> source = place(quantize.getInput(), code.c(0), inputs);
  const int64_t blocks = quantize.getType().getBlocks(), width = inputs / blocks;
  if (blocks == 1) {
    code.call("qk_quantize_row", {source, code.c(inputs), target});
    return;
  }
  code.loop(blocks, [&](Value block) {
    code.call("qk_quantize_row",
              {code.at(source, code.mul(block, width)), code.c(width),
               code.atBytes(target, code.mul(block, quern_q8_row_bytes(width)))});
  });
}

void RowValues::write(mlir::Value value, Value from, int64_t cols, Pointer<float> target) {
  compute(value, from, cols, target);
  placed[value].push_back({target, from, cols});
}

void RowValues::compute(mlir::Value value, Value from, int64_t cols, Pointer<float> target) {
  Operation *def = value.getDefiningOp();
  if (auto norm = dyn_cast_or_null<NormOpInterface>(def))
    return computeNorm(norm, from, cols, target);
  if (auto rope = dyn_cast_or_null<RopeOp>(def))
    return computeRope(rope, from, cols, target);
  if (auto table = dyn_cast_or_null<RopeTableOp>(def))
    return computeRopeTable(table, target);
  if (auto concat = dyn_cast_or_null<ConcatOp>(def))
    return computeConcat(concat, from, cols, target);
  if (auto sum = dyn_cast_or_null<GroupSumOp>(def))
    return computeGroupSum(sum, from, cols, target);
  if (auto pool = dyn_cast_or_null<PoolOp>(def))
    return computePool(pool, from, cols, target);
  if (auto transpose = dyn_cast_or_null<TransposeOp>(def))
    return computeTranspose(transpose, from, cols, target);
  if (isa_and_nonnull<StartsOp>(def)) {
    Value first = code.equal(kernel.index(offsetof(QuernStepArgs, positions), row), code.c(0));
    return code.storeF(code.select(first, code.cf(1), code.cf(0)), target, code.c(0));
  }
  if (!isElementwise(def) && !bound.count(value)) {
    Pointer<const float> source = place(value, from, cols);
    return code.loop(cols, [&](Value i) { code.storeF(code.loadF(source, i), target, i); });
  }
  Element element = reader(value, from, cols);
  code.loop(cols, [&](Value i) { code.storeF(element(code.add(from, i), 0), target, i); });
}

static llvm::StringRef functionOf(UnaryKind kind) {
  switch (kind) {
#define QK_CASE(X, NAME, ...)                                                                      \
  case UnaryKind::NAME:                                                                            \
    return "qk_" #NAME;
    QK_FOR_EACH_UNARY_FUNCTION(QK_CASE, )
#undef QK_CASE
  }
  llvm_unreachable("a unary kind without a function");
}

RowValues::Element RowValues::reader(mlir::Value value, Value from, int64_t cols) {
  return readerOf(value, Window{from, cols});
}

RowValues::Element RowValues::load(const Placed &place) {
  return [this, place](Value col, int64_t shift) {
    return code.loadF(place.pointer, code.sub(code.add(col, shift), place.from));
  };
}

RowValues::Element RowValues::readerOf(mlir::Value value, std::optional<Window> window) {
  if (auto it = bound.find(value); it != bound.end())
    return it->second;
  if (window)
    if (const Placed *known = find(value, window->from, window->cols))
      return load(*known);
  Operation *def = value.getDefiningOp();
  if (!def)
    return [this, value](Value col, int64_t shift) {
      Value start = code.mul(row, colsOf(value.getType()));
      return code.loadF(kernel.pointer(value), code.add(start, code.add(col, shift)));
    };
  if (!isElementwise(def)) {
    assert(window && "an op that looks at several columns is computed into memory");
    Placed place{this->place(value, window->from, window->cols), window->from, window->cols};
    placed[value].push_back(place);
    return load(place);
  }
  return llvm::TypeSwitch<Operation *, Element>(def)
      .Case([&](SliceOp op) -> Element {
        const auto offset = static_cast<int64_t>(op.getOffset());
        const auto groups = static_cast<int64_t>(op.getGroups());
        if (groups != 1 && !oneBlock) {
          const int64_t all = colsOf(op.getInput().getType());
          const int64_t width = colsOf(op.getType()) / groups;
          if (window)
            window = Window{code.c(0), all};
          return [this, offset, width, stride = all / groups,
                  input = readerOf(op.getInput(), window)](Value col, int64_t shift) {
            Value at = code.add(col, shift);
            return input(code.add(code.mul(code.div(at, width), stride), code.rem(at, width)),
                         offset);
          };
        }
        if (window && op.getInput().getDefiningOp<ConcatOp>())
          window = Window{code.c(0), colsOf(op.getInput().getType())};
        else if (window)
          window->from = code.add(window->from, offset);
        return [offset, input = readerOf(op.getInput(), window)](Value col, int64_t shift) {
          return input(col, shift + offset);
        };
      })
      .Case([&](UnaryOp op) -> Element {
        return
            [this, op, input = readerOf(op.getInput(), window)](Value col, int64_t shift) mutable {
              return code.call(functionOf(op.getFn()), {input(col, shift)});
            };
      })
      .Case([&](GatedActOp op) -> Element {
        return [this, op, gate = readerOf(op.getGate(), window),
                up = readerOf(op.getUp(), window)](Value col, int64_t shift) mutable {
          Value x = gate(col, shift), y = up(col, shift);
          if (auto limit = op.getLimit()) {
            const float most = limit->convertToFloat();
            x = arith::MinimumFOp::create(code.b, x, code.cf(most));
            y = arith::MaximumFOp::create(code.b, y, code.cf(-most));
            y = arith::MinimumFOp::create(code.b, y, code.cf(most));
          }
          if (auto alpha = op.getAlpha())
            x = code.fmul(x, code.cf(alpha->convertToFloat()));
          Value act = code.call(functionOf(op.getFn()), {x});
          if (auto alpha = op.getAlpha())
            act = code.fdiv(act, code.cf(alpha->convertToFloat()));
          if (auto more = op.getShift())
            y = code.fadd(y, code.cf(more->convertToFloat()));
          return code.fmul(act, y);
        };
      })
      .Case([&](ScaleOp op) -> Element {
        return
            [this, op, input = readerOf(op.getInput(), window)](Value col, int64_t shift) mutable {
              return code.fmul(input(col, shift), code.cf(op.getFactor().convertToFloat()));
            };
      })
      .Case([&](ClampOp op) -> Element {
        return [this, op, input = readerOf(op.getInput(), window)](Value col,
                                                                   int64_t shift) mutable {
          Value x = input(col, shift);
          x = arith::MaximumFOp::create(code.b, x, code.cf(op.getMin().convertToFloat()));
          return Value(arith::MinimumFOp::create(code.b, x, code.cf(op.getMax().convertToFloat())));
        };
      })
      .Case([&](BinaryOp op) { return readerOf(op, window); })
      .Case([&](CombineOp op) { return readerOf(op, window); })
      .Default([](Operation *op) -> Element {
        llvm::report_fatal_error("the cpu target has no code for the elementwise op " +
                                 op->getName().getStringRef());
      });
}

// True if `value` is seen to be a multiple of n.
static bool isMultiple(Value value, int64_t n) {
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return *constant % n == 0;
  if (n == 1)
    return true;
  if (auto sum = value.getDefiningOp<arith::AddIOp>())
    return isMultiple(sum.getLhs(), n) && isMultiple(sum.getRhs(), n);
  if (auto product = value.getDefiningOp<arith::MulIOp>()) {
    std::optional<int64_t> factor = getConstantIntValue(product.getRhs());
    return factor ? isMultiple(product.getLhs(), n / std::gcd(n, *factor))
                  : isMultiple(product.getLhs(), n) || isMultiple(product.getRhs(), n);
  }
  if (auto argument = dyn_cast<BlockArgument>(value))
    if (auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp()))
      return argument == loop.getInductionVar() && isMultiple(loop.getLowerBound(), n) &&
             isMultiple(loop.getStep(), n);
  return false;
}

// True if a window is seen to hold whole groups of `repeat` columns, or to lie in one.
bool RowValues::isWhole(const Window &window, int64_t repeat) {
  if (window.cols % repeat != 0 && repeat % window.cols != 0)
    return false;
  return isMultiple(window.from, std::min(window.cols, repeat));
}

RowValues::Element RowValues::readerOf(BinaryOp op, std::optional<Window> window) {
  const auto repeat = static_cast<int64_t>(op.getRepeat());
  Element left = readerOf(op.getLhs(), window), right;
  if (isa<WeightType>(op.getRhs().getType())) {
    right = [this, rhs = op.getRhs()](Value col, int64_t shift) {
      return code.loadF(kernel.pointer(rhs), code.add(col, shift));
    };
  } else if (window && repeat != 1) {
    // Shared by `repeat` columns: computed once for each, not once a column.
    const bool whole = !isWhole(*window, repeat);
    Value start = whole ? code.c(0) : code.div(window->from, repeat);
    const int64_t shared =
        whole ? colsOf(op.getRhs().getType()) : std::max<int64_t>(1, window->cols / repeat);
    Placed place{this->place(op.getRhs(), start, shared), start, shared};
    if (!find(op.getRhs(), start, shared))
      placed[op.getRhs()].push_back(place);
    right = load(place);
  } else {
    right = readerOf(op.getRhs(), window);
  }
  return [this, op, repeat, left, right](Value col, int64_t shift) mutable {
    Value l = left(col, shift);
    Value r = repeat == 1 ? right(col, shift) : right(code.div(code.add(col, shift), repeat), 0);
    switch (op.getFn()) {
    case BinaryKind::add:
      return code.fadd(l, r);
    case BinaryKind::sub:
      return code.fsub(l, r);
    case BinaryKind::mul:
      return code.fmul(l, r);
    case BinaryKind::max:
      return Value(arith::MaximumFOp::create(code.b, l, r));
    case BinaryKind::div:
      return code.fdiv(l, r);
    }
    llvm_unreachable("a binary kind without code");
  };
}

RowValues::Element RowValues::readerOf(CombineOp op, std::optional<Window> window) {
  const int64_t cols = colsOf(op.getType()), blocks = colsOf(op.getWeights().getType());
  SmallVector<Element> inputs;
  for (int64_t j = 0; j < blocks; ++j) {
    std::optional<Window> block = window;
    if (block)
      block->from = code.add(block->from, j * cols);
    inputs.push_back(readerOf(op.getInput(), block));
  }
  Pointer<const float> weights = place(op.getWeights(), code.c(0), blocks);
  return [this, cols, inputs, weights](Value col, int64_t shift) {
    Value sum = code.cf(0);
    for (auto [j, input] : llvm::enumerate(inputs)) {
      const auto block = static_cast<int64_t>(j);
      Value weight = code.loadF(weights, code.c(block));
      sum = code.fadd(sum, code.fmul(weight, input(col, shift + block * cols)));
    }
    return sum;
  };
}

void RowValues::computeNorm(NormOpInterface op, Value from, int64_t cols, Pointer<float> target) {
  int64_t group = op.groupSize();
  Value size = code.cf(static_cast<float>(group));
  Pointer<const float> source = place(op.getInput(), from, cols);
  // What a weight or bias holds for the columns that begin at `start`.
  auto vector = [&](mlir::Value weight, Value start) {
    if (!weight)
      return Pointer<const float>();
    bool wide = cast<WeightType>(weight.getType()).getShape()[0] != group;
    Pointer<const float> pointer = kernel.pointer(weight);
    return wide ? code.at(pointer, code.add(from, start)) : pointer;
  };
  auto normalize = [&](Value start) {
    Pointer<const float> x = code.at(source, start);
    Pointer<float> y = code.at(target, start);
    Value mean, squares;
    if (op.isCentered()) {
      mean = code.fdiv(code.call("qk_sum", {x, code.c(group)}), size);
      squares = code.call("qk_sum_squares_around", {x, mean, code.c(group)});
    } else {
      squares = code.call("qk_sum_squares", {x, code.c(group)});
    }
    Value meanSquare = code.fdiv(squares, size), eps = code.cf(op.getEps().convertToFloat());
    Value inverse = op.addsEpsToRoot()
                        ? code.fdiv(code.cf(1), code.fadd(code.call("qk_sqrt", {meanSquare}), eps))
                        : code.call("qk_rsqrt", {code.fadd(meanSquare, eps)});
    auto weight = vector(op.getWeight(), start), bias = vector(op.getBias(), start);
    code.loop(group, [&](Value i) {
      Value v = code.loadF(x, i);
      if (mean)
        v = code.fsub(v, mean);
      v = code.fmul(v, inverse);
      if (weight)
        v = code.fmul(v, code.loadF(weight, i));
      if (bias)
        v = code.fadd(v, code.loadF(bias, i));
      code.storeF(v, y, i);
    });
  };
  if (cols == group)
    return normalize(code.c(0));
  code.loop(cols / group, [&](Value g) { normalize(code.mul(g, group)); });
}

void RowValues::computeRope(RopeOp op, Value from, int64_t cols, Pointer<float> target) {
  int64_t dim = op.getHeadDim(), rotated = colsOf(op.getTable().getType()), half = rotated / 2;
  Pointer<const float> source = place(op.getInput(), from, cols);
  Pointer<const float> table = place(op.getTable(), code.c(0), rotated);
  code.loop(cols / dim, [&](Value head) {
    Pointer<const float> x = code.at(source, code.mul(head, dim));
    Pointer<float> y = code.at(target, code.mul(head, dim));
    code.loop(half, [&](Value i) {
      Value first = op.getInterleaved() ? code.mul(i, 2) : i;
      Value second = code.add(first, op.getInterleaved() ? 1 : half);
      Value cosine = code.loadF(table, i), sine = code.loadF(table, code.add(i, half));
      Value a = code.loadF(x, first), b = code.loadF(x, second);
      code.storeF(code.fsub(code.fmul(a, cosine), code.fmul(b, sine)), y, first);
      code.storeF(code.fadd(code.fmul(a, sine), code.fmul(b, cosine)), y, second);
    });
    if (rotated < dim)
      code.loop(code.c(rotated), code.c(dim),
                [&](Value i) { code.storeF(code.loadF(x, i), y, i); });
  });
}

// Whole groups: `from` and `cols` are multiples of theirs.
void RowValues::computeConcat(ConcatOp op, Value from, int64_t cols, Pointer<float> target) {
  const int64_t groups = static_cast<int64_t>(op.getGroups());
  const int64_t width = op.headColumns(), many = cols / width;
  Value group = code.div(from, width);
  int64_t offset = 0;
  for (mlir::Value input : op.getInputs()) {
    const int64_t own = colsOf(input.getType()) / groups;
    Value first = code.mul(group, own);
    Element element = reader(input, first, many * own);
    auto copy = [&](Value at, Value to) {
      code.loop(
          own, [&](Value i) { code.storeF(element(code.add(at, i), 0), target, code.add(to, i)); });
    };
    if (many == 1)
      copy(first, code.c(offset));
    else
      code.loop(many, [&](Value g) {
        copy(code.add(first, code.mul(g, own)), code.add(code.mul(g, width), offset));
      });
    offset += own;
  }
}

void RowValues::computeGroupSum(GroupSumOp op, Value from, int64_t cols, Pointer<float> target) {
  const int64_t width = colsOf(op.getInput().getType()) / colsOf(op.getType());
  Pointer<const float> source = place(op.getInput(), code.mul(from, width), cols * width);
  code.loop(cols, [&](Value g) {
    Pointer<const float> first = code.at(source, code.mul(g, width));
    code.storeF(code.call("qk_sum", {first, code.c(width)}), target, g);
  });
}

// The row is a sequence's; tokens are added one after the other, in float32.
void RowValues::computePool(PoolOp op, Value from, int64_t cols, Pointer<float> target) {
  Value first = kernel.index(offsetof(QuernStepArgs, cu_seqlens), row);
  Value end = kernel.index(offsetof(QuernStepArgs, cu_seqlens), code.add(row, 1));
  auto of = [&](Value token) { return RowValues(kernel, token).place(op.getInput(), from, cols); };
  auto copy = [&](Value token) {
    Pointer<const float> x = of(token);
    code.loop(cols, [&](Value i) { code.storeF(code.loadF(x, i), target, i); });
  };
  const PoolKind kind = op.getFn();
  copy(kind == PoolKind::last ? code.sub(end, code.c(1)) : first);
  if (kind == PoolKind::first || kind == PoolKind::last)
    return;
  code.loop(code.add(first, 1), end, [&](Value token) {
    Pointer<const float> x = of(token);
    Value weight = code.toF32(code.add(code.sub(token, first), 1));
    code.loop(cols, [&](Value i) {
      Value sum = code.loadF(target, i), next = code.loadF(x, i);
      if (kind == PoolKind::weighted_mean)
        next = code.fmul(next, weight);
      code.storeF(kind == PoolKind::max ? Value(arith::MaximumFOp::create(code.b, sum, next))
                                        : code.fadd(sum, next),
                  target, i);
    });
  });
  if (kind == PoolKind::max)
    return;
  Value count = code.toF32(code.sub(end, first)), divisor = count;
  if (kind == PoolKind::root_mean)
    divisor = code.call("qk_sqrt", {count});
  if (kind == PoolKind::weighted_mean)
    divisor = code.fmul(code.fmul(count, code.fadd(count, code.cf(1))), code.cf(0.5f));
  code.loop(cols,
            [&](Value i) { code.storeF(code.fdiv(code.loadF(target, i), divisor), target, i); });
}

void RowValues::computeTranspose(TransposeOp op, Value from, int64_t cols, Pointer<float> target) {
  const int64_t all = colsOf(op.getType()), groups = static_cast<int64_t>(op.getGroups());
  const int64_t width = all / groups;
  Pointer<const float> source = place(op.getInput(), code.c(0), all);
  if (cols != all)
    return code.loop(cols, [&](Value i) {
      Value at = code.add(from, i);
      Value column = code.add(code.mul(code.rem(at, groups), width), code.div(at, groups));
      code.storeF(code.loadF(source, column), target, i);
    });
  code.loop(width, [&](Value j) {
    code.loop(groups, [&](Value g) {
      code.storeF(code.loadF(source, code.add(code.mul(g, width), j)), target,
                  code.add(code.mul(j, groups), g));
    });
  });
}

void RowValues::computeRopeTable(RopeTableOp op, Pointer<float> target) {
  ArrayRef<float> frequencies = op.getInvFreq();
  int64_t n = frequencies.size();
  Pointer<const float> data = code.floats(frequencies);
  Value position = kernel.index(offsetof(QuernStepArgs, positions), row);
  Value p = arith::SIToFPOp::create(code.b, code.f32(), position);
  Value scale = code.cf(op.getScale().convertToFloat());
  code.loop(n, [&](Value i) {
    Value angle = code.fmul(p, code.loadF(data, i));
    Value cosine = code.call("qk_cos", {angle});
    Value sine = code.call("qk_sin", {angle});
    code.storeF(code.fmul(cosine, scale), target, i);
    code.storeF(code.fmul(sine, scale), target, code.add(i, n));
  });
}
