// Kernels of general tensor programs: loops over what the region yields, shared out among the
// workers.
//
// A result's last dimensions are one loop where what it is computed from lies in memory as it does,
// else its last dimension alone is: contiguous either way, for LLVM's loop vectorizer. Which of it
// is so is found by writing the loop and looking whether the dimensions' own indices are used.
#include "codegen/cpu/Body.h"
#include "codegen/cpu/Contraction.h"
#include "codegen/cpu/ElementTypes.h"
#include "codegen/cpu/WhereTrue.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

// Elements of an innermost loop: enough to share out, and few enough to be shared out evenly.
constexpr int64_t kRun = 1024;
// Neighbours that are reduced together, in memory of the worker's.
constexpr int64_t kColumns = 64;
// Reductions that a worker takes at a time.
constexpr int64_t kRows = 4;

/// A tensor that is written, and where. What lies between it and the result does not move elements.
struct Target {
  mlir::Value value;
  Value memory;
};

class Writer {
public:
  explicit Writer(Kernel &kernel) : kernel(kernel), code(kernel.code), elements(kernel) {}

  LogicalResult write() {
    // Results of one op are computed together.
    llvm::MapVector<Operation *, SmallVector<Target>> groups;
    for (auto [i, yielded] : llvm::enumerate(kernel.yield.getValues())) {
      mlir::Value value = yielded;
      while (Operation *def = value.getDefiningOp()) {
        if (!isa<ReshapeOp, tensor::CastOp>(def))
          break;
        value = def->getOperand(0);
      }
      Target target{value, kernel.result<uint8_t>(i)};
      if (auto where = value.getDefiningOp<WhereTrueOp>()) {
        writeWhereTrue(kernel, elements, where, target.memory);
        continue;
      }
      if (auto generic = value.getDefiningOp<linalg::GenericOp>())
        groups[generic].push_back(target);
      else
        writeOne(target);
    }
    for (auto &[op, targets] : groups)
      writeTogether(cast<linalg::GenericOp>(op), targets);
    return failure(elements.refused);
  }

private:
  /// The elements [from, to) of a run; `at` are the indices of one.
  using At = llvm::function_ref<IndexList(Value)>;
  using Run = llvm::function_ref<void(Value from, Value to, At at)>;

  static RankedTensorType typeOf(mlir::Value value) {
    return cast<RankedTensorType>(value.getType());
  }

  void store(const Target &target, Value value, ArrayRef<Value> at) {
    RankedTensorType type = typeOf(target.value);
    storeElement(code, type.getElementType(), value, target.memory,
                 elements.indices.linear(at, elements.indices.sizes(type)));
  }

  void writeOne(const Target &target) {
    if (auto concat = target.value.getDefiningOp<tensor::ConcatOp>())
      return writeConcat(target, concat);
    overRuns(elements.indices.sizes(typeOf(target.value)), kRun, [&](Value from, Value to, At at) {
      code.loop(from, to, [&](Value i) {
        IndexList index = at(i);
        store(target, elements.element(target.value, index), index);
      });
    });
  }

  /// Each part in loops of its own.
  void writeConcat(const Target &target, tensor::ConcatOp op) {
    const auto dim = static_cast<size_t>(op.getDim());
    IndexList sizes = elements.indices.sizes(op.getType());
    Indices &indices = elements.indices;
    Value stride = indices.product(ArrayRef(sizes).drop_front(dim + 1));
    Value before = indices.constant(0);
    for (mlir::Value part : op.getInputs()) {
      Value offset = indices.mul(before, stride);
      overRuns(indices.sizes(typeOf(part)), kRun, [&](Value from, Value to, At at) {
        code.loop(from, to, [&](Value i) {
          IndexList index = at(i);
          storeElement(code, op.getType().getElementType(), elements.element(part, index),
                       target.memory, indices.add(offset, indices.linear(index, sizes)));
        });
      });
      before = indices.add(before, indices.size(typeOf(part), static_cast<int64_t>(dim)));
    }
  }

  void writeTogether(linalg::GenericOp op, ArrayRef<Target> targets) {
    unsigned first = cast<OpResult>(targets.front().value).getResultNumber();
    IndexList sizes = elements.indices.sizes(typeOf(targets.front().value));
    auto finish = [&](ArrayRef<Value> point, ValueRange values) {
      for (const Target &target : targets) {
        unsigned result = cast<OpResult>(target.value).getResultNumber();
        OpOperand *init = op.getDpsInitOperand(result);
        store(target, values[result], elements.operandIndices(op, *init, point));
      }
    };
    if (auto contraction = findContraction(elements, op))
      return writeContraction(kernel, elements, *contraction,
                              [&](ArrayRef<Value> point, Value value) { finish(point, value); });
    if (op.getNumReductionLoops() != 0 && readsColumns(op, first))
      return overRuns(sizes, kColumns, [&](Value from, Value to, At at) {
        auto pointAt = [&](Value i) { return elements.pointOf(op, first, at(i)); };
        writeColumns(op, from, to, pointAt, finish);
      });
    auto each = [&](Value from, Value to, At at) {
      code.loop(from, to, [&](Value i) {
        IndexList point = elements.pointOf(op, first, at(i));
        finish(point, elements.results(op, point));
      });
    };
    if (op.getNumReductionLoops() == 0)
      return overRuns(sizes, kRun, each);
    writeRuns(sizes, sizes.size(), kRows, each);
  }

  /// Whether neighbours of the result are computed from neighbours: the last dimension of the
  /// result is the last of all operands that have it, and of one at least.
  bool readsColumns(linalg::GenericOp op, unsigned result) {
    AffineMap out = op.getIndexingMapMatchingResult(op->getResult(result));
    if (out.getNumResults() == 0 || !llvm::all_of(op.getResultTypes(), [](Type type) {
          Type element = cast<RankedTensorType>(type).getElementType();
          return valueType(element).getIntOrFloatBitWidth() >= 8;
        }))
      return false;
    auto dim = dyn_cast<AffineDimExpr>(out.getResults().back());
    if (!dim)
      return false;
    bool any = false;
    for (OpOperand *input : op.getDpsInputOperands()) {
      AffineMap map = op.getMatchingIndexingMap(input);
      for (auto [i, expression] : llvm::enumerate(map.getResults())) {
        if (!expression.isFunctionOfDim(dim.getPosition()))
          continue;
        if (i + 1 != map.getNumResults())
          return false;
        any = true;
      }
    }
    return any;
  }

  /// Reduces a run of elements together: the reduction's loops are the outer ones.
  void writeColumns(linalg::GenericOp op, Value from, Value to,
                    llvm::function_ref<IndexList(Value)> pointAt,
                    llvm::function_ref<void(ArrayRef<Value>, ValueRange)> finish) {
    SmallVector<std::pair<Type, Value>> carried; // type and memory
    for (Type type : op.getResultTypes()) {
      Type value = valueType(cast<RankedTensorType>(type).getElementType());
      carried.emplace_back(value, code.scratch(value, kColumns));
    }
    auto each = [&](llvm::function_ref<void(Value, IndexList)> body) {
      code.loop(from, to, [&](Value i) { body(code.sub(i, from), pointAt(i)); });
    };
    auto load = [&](Value lane) {
      return llvm::map_to_vector(carried, [&](auto &of) {
        return code.load(of.first, code.at(of.second, of.first, lane));
      });
    };
    auto keep = [&](Value lane, ValueRange values) {
      for (auto [of, value] : llvm::zip_equal(carried, values))
        code.store(value, code.at(of.second, of.first, lane));
    };
    each([&](Value lane, IndexList point) {
      SmallVector<Value> init;
      for (OpOperand &operand : op.getDpsInitsMutable())
        init.push_back(
            elements.element(operand.get(), elements.operandIndices(op, operand, point)));
      keep(lane, init);
    });
    IndexList reduced(op.getNumLoops()), extents = elements.extents(op);
    SmallVector<unsigned> dims;
    op.getReductionDims(dims);
    std::function<void(size_t)> nest = [&](size_t next) {
      if (next < dims.size())
        return code.loop(elements.indices.constant(0), extents[dims[next]],
                         [&](Value i) {
                           reduced[dims[next]] = i;
                           nest(next + 1);
                         }),
               void();
      each([&](Value lane, IndexList point) {
        for (unsigned dim : dims)
          point[dim] = reduced[dim];
        Body body(elements, op, point);
        for (auto [argument, value] : llvm::zip_equal(op.getRegionOutputArgs(), load(lane)))
          body.bind(argument, value);
        keep(lane, llvm::map_to_vector(op.getBody()->getTerminator()->getOperands(),
                                       [&](mlir::Value value) { return body.get(value); }));
      });
    };
    nest(0);
    each([&](Value lane, IndexList point) { finish(point, load(lane)); });
  }

  /// Has `run` write all elements of a tensor of these sizes, in runs of at most `width`
  /// neighbours.
  void overRuns(ArrayRef<Value> sizes, int64_t width, Run run) {
    for (size_t joined = std::max<size_t>(sizes.size(), 1);; --joined) {
      const Elements::Mark mark = elements.mark();
      Block *block = code.b.getInsertionBlock();
      Operation *before = block->empty() ? nullptr : &block->back();
      split.clear();
      writeRuns(sizes, std::min(joined, sizes.size()), width, run);
      elements.forget(mark);
      if (joined == 1 || elements.refused || !isTorn(before))
        return;
      while (&block->back() != before)
        block->back().erase();
    }
  }

  /// The last `joined` dimensions as one.
  void writeRuns(ArrayRef<Value> sizes, size_t joined, int64_t width, Run run) {
    Indices &indices = elements.indices;
    ArrayRef<Value> outer = sizes.drop_back(joined), inner = sizes.take_back(joined);
    Value count = indices.product(inner), most = indices.constant(width);
    std::optional<int64_t> known = Indices::known(count);
    Value runs =
        known ? indices.constant(llvm::divideCeil(*known, width)) : code.ceilDiv(count, width);
    auto [first, end] =
        code.share(indices.mul(indices.product(outer), runs), kernel.worker, kernel.workers);
    code.loop(first, end, [&](Value item) {
      IndexList around = indices.split(indices.div(item, runs), outer);
      Value from = indices.mul(indices.rem(item, runs), most);
      Value to = known && *known <= width ? count : code.min(code.add(from, most), count);
      run(from, to, [&](Value i) {
        IndexList at = around;
        for (Value index : indices.split(i, inner)) {
          at.push_back(index);
          // What it was computed from, too: a part of them is a number of its own.
          for (Value from = index; from != i && from.getDefiningOp();) {
            split.insert(from.getDefiningOp());
            if (from.getDefiningOp()->getNumOperands() == 0)
              break;
            from = from.getDefiningOp()->getOperand(0);
          }
        }
        return at;
      });
    });
  }

  /// Whether something uses indices that one number was split into, of the ops behind `before`.
  /// What nothing uses is gone after it.
  bool isTorn(Operation *before) {
    bool torn = false;
    for (Operation *op = &code.b.getInsertionBlock()->back(); op != before;) {
      Operation *previous = op->getPrevNode();
      torn |= isTornIn(op);
      op = previous;
    }
    return torn;
  }
  bool isTornIn(Operation *op) {
    bool torn = false;
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Operation &inner : llvm::make_early_inc_range(llvm::reverse(block))) {
          torn |= isTornIn(&inner);
          if (isOpTriviallyDead(&inner))
            inner.erase();
          else
            torn |= split.contains(&inner);
        }
    return torn;
  }

  Kernel &kernel;
  Code &code;
  Elements elements;
  llvm::SetVector<Operation *> split;
};

} // namespace

LogicalResult Kernel::generateGeneric() { return Writer(*this).write(); }
