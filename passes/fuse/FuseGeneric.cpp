// --quern-fuse-generic: general tensor programs, cut into regions of one result each.
#include "passes/analysis/Entries.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/analysis/Remarks.h"
#include "passes/fuse/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSEGENERIC
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-generic"};

/// Whether the op's results are tensors that could be written to memory: not a size, nor what only
/// has a shape.
bool makesTensor(Operation *op) {
  return op->getNumResults() != 0 && isa<RankedTensorType>(op->getResult(0).getType()) &&
         !isa<tensor::EmptyOp, arith::ConstantOp, WeightTensorOp>(op);
}

bool isReduction(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && generic.getNumReductionLoops() != 0;
}

/// Whether computing an element of the op costs more than finding where it lies.
bool computes(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic)
    return false;
  return llvm::any_of(generic.getBody()->without_terminator(), [](Operation &inner) {
    return inner.getNumRegions() != 0 || isa<CheckIndexOp, CheckDivisorOp>(inner) ||
           (isa<arith::ArithDialect, math::MathDialect>(inner.getDialect()) &&
            llvm::any_of(inner.getResultTypes(), [](Type type) { return !type.isIndex(); }) &&
            !inner.hasTrait<OpTrait::ConstantLike>());
  });
}

/// Whether the op reads an element of `value` for several elements of its own.
bool readsRepeatedly(Operation *user, Value value) {
  auto generic = dyn_cast<linalg::GenericOp>(user);
  if (!generic)
    return false;
  for (OpOperand &operand : generic->getOpOperands()) {
    if (operand.get() != value)
      continue;
    const AffineMap map = generic.getMatchingIndexingMap(&operand);
    const SmallVector<int64_t> ranges = generic.getStaticLoopRanges();
    for (unsigned dim = 0; dim < map.getNumDims(); ++dim)
      if (ranges[dim] != 1 && !map.isFunctionOfDim(dim))
        return true;
  }
  // By an index that its body computes.
  return generic
      .walk([&](tensor::ExtractOp extract) {
        return extract.getTensor() == value ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

/// A region computes so many ops at most, each as often as it is asked for at different places: the
/// time that it takes to make code of one grows with the square, what it reads of one value at two
/// places doubles with every op that does so again, and generators go as deep as a region is long.
constexpr size_t kMostOps = 512;

/// What an element of the op costs: its body's ops, functions a few.
size_t costOf(Operation *op) {
  if (!makesTensor(op))
    return 0;
  size_t cost = 1;
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    generic.getBody()->walk([&](Operation *inner) {
      if (!inner->hasTrait<OpTrait::ConstantLike>() && !isa<linalg::YieldOp>(inner))
        cost += isa<math::MathDialect>(inner->getDialect()) ? 4 : 1;
    });
  return cost;
}

/// Where an op is asked for an element: a number for each way to say it.
using Places = llvm::SmallDenseSet<size_t, 2>;

/// Calls `visit` with every value that the op reads, and what says where beside the op's own place:
/// nothing where that is the same.
void forEachPlace(Operation *op, llvm::function_ref<void(Value, size_t)> visit) {
  size_t number = 0;
  auto generic = dyn_cast<linalg::GenericOp>(op);
  llvm::DenseSet<Value> operands;
  for (OpOperand &operand : op->getOpOperands()) {
    ++number;
    operands.insert(operand.get());
    if (generic) {
      const AffineMap map = generic.getMatchingIndexingMap(&operand);
      if (map.isProjectedPermutation()) {
        visit(operand.get(), map.isIdentity() ? 0 : size_t(llvm::hash_combine(map)));
        continue;
      }
    }
    visit(operand.get(), size_t(llvm::hash_combine(op, number)));
  }
  forEachRead(op, [&](Value value) {
    if (!operands.contains(value))
      visit(value, size_t(llvm::hash_combine(op, ++number)));
  });
}

class EntryFuser {
public:
  explicit EntryFuser(func::FuncOp entry) : block(entry.getBody().front()) {}

  /// Gives every general op a region; the number of regions.
  int64_t run() {
    takeSlices();
    shareReshapes();
    findRoots();
    for (Operation *root : llvm::reverse(roots))
      build(root);
    // Readers first.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isGeneral(&op) && op.use_empty())
        op.erase();
    return static_cast<int64_t>(roots.size());
  }

private:
  /// Columns of a merged linear's result that general ops read are a slice in their own terms.
  void takeSlices() {
    for (auto slice : llvm::to_vector(block.getOps<SliceOp>())) {
      if (slice.getGroups() != 1 || llvm::none_of(slice->getUsers(), isGeneral))
        continue;
      OpBuilder builder(slice);
      const Location loc = slice.getLoc();
      Value rows = SizeOp::create(builder, loc, builder.getIndexType(),
                                  builder.getStringAttr(rowsOf(slice.getType())));
      const OpFoldResult offsets[] = {
          builder.getIndexAttr(0), builder.getIndexAttr(static_cast<int64_t>(slice.getOffset()))};
      const OpFoldResult sizes[] = {rows, builder.getIndexAttr(colsOf(slice.getType()))};
      const OpFoldResult strides[] = {builder.getIndexAttr(1), builder.getIndexAttr(1)};
      Value columns =
          tensor::ExtractSliceOp::create(builder, loc, cast<RankedTensorType>(slice.getType()),
                                         slice.getInput(), offsets, sizes, strides);
      slice.getResult().replaceUsesWithIf(columns,
                                          [](OpOperand &use) { return isGeneral(use.getOwner()); });
    }
  }

  /// What a model op reads under another shape is written in that shape, and what else reads it
  /// looks at it through a reshape, which costs nothing inside a region: nothing is written twice.
  void shareReshapes() {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (!isGeneral(&op) || op.getNumResults() != 1 || !makesTensor(&op) || isa<ReshapeOp>(op))
        continue;
      Value value = op.getResult(0);
      auto reshape = llvm::find_if(value.getUsers(), [](Operation *user) {
        return isa<ReshapeOp>(user) && llvm::any_of(user->getUsers(), [](Operation *reader) {
                 return !isGeneral(reader) && !isa<func::ReturnOp>(reader);
               });
      });
      if (reshape == value.getUsers().end() || value.hasOneUse())
        continue;
      auto written = cast<ReshapeOp>(*reshape);
      written->moveAfter(&op);
      OpBuilder builder(written->getContext());
      builder.setInsertionPointAfter(written);
      auto view = ReshapeOp::create(builder, op.getLoc(), value.getType(), written.getResult());
      value.replaceUsesWithIf(view.getResult(), [&](OpOperand &use) {
        return use.getOwner() != written && !isa<func::ReturnOp>(use.getOwner());
      });
      for (Operation *user : llvm::make_early_inc_range(view->getUsers()))
        if (auto again = dyn_cast<ReshapeOp>(user)) {
          again.getInputMutable().assign(written.getResult());
          if (again.getType() == written.getType()) {
            again.getResult().replaceAllUsesWith(written.getResult());
            again.erase();
          }
        }
    }
  }

  struct Use {
    llvm::SmallDenseMap<Operation *, Places, 2> regions; ///< by root, where it needs the op
    bool repeated = false;                               ///< an element is asked for several times
    bool outside = false;                                ///< what is no general op reads it
  };

  /// Goes through the block backwards, so that an op's readers are known when it is met.
  void findRoots() {
    llvm::DenseMap<Operation *, Use> uses;
    for (Operation &op : llvm::reverse(block)) {
      if (!isGeneral(&op)) {
        forEachRead(&op, [&](Value value) {
          if (Operation *def = value.getDefiningOp())
            uses[def].outside = true;
        });
        continue;
      }
      const Use use = uses.lookup(&op);
      uses.erase(&op);
      const bool root = isRoot(&op, use) || (makesTensor(&op) && isTooMuch(&op, use));
      if (root)
        roots.insert(&op);
      const size_t cost = costOf(&op);
      if (root)
        costs[&op] = cost;
      else
        for (const auto &[region, places] : use.regions)
          costs[region] += cost * places.size();
      forEachPlace(&op, [&](Value value, size_t place) {
        Operation *def = value.getDefiningOp();
        if (!def)
          return;
        Use &of = uses[def];
        if (root)
          of.regions[&op].insert(place);
        else
          for (const auto &[region, places] : use.regions)
            for (const size_t at : places)
              of.regions[region].insert(place == 0 ? at : size_t(llvm::hash_combine(at, place)));
        of.repeated |= readsRepeatedly(&op, value) || (!root && use.repeated);
      });
    }
  }

  /// Whether one of the regions that need the op would be too long with it.
  bool isTooMuch(Operation *op, const Use &use) const {
    const size_t cost = costOf(op);
    return llvm::any_of(use.regions, [&](const auto &needs) {
      return costs.lookup(needs.first) + cost * needs.second.size() > kMostOps;
    });
  }

  static bool isRoot(Operation *op, const Use &use) {
    // A model op reads tensors from memory, numbers of the model too: a mask that is a table.
    if (isa<WeightTensorOp, arith::ConstantOp>(op))
      return use.outside && isa<RankedTensorType>(op->getResult(0).getType());
    if (!makesTensor(op))
      return false;
    if (isa<WhereTrueOp>(op)) // whether or not anybody reads it: it sets a size
      return true;
    if (use.outside || isReduction(op))
      return use.outside || !use.regions.empty();
    return computes(op) && (use.repeated || use.regions.size() > 1);
  }

  void build(Operation *root) {
    // What is computed on demand: everything behind the root up to other roots.
    llvm::SetVector<Operation *> members;
    llvm::SetVector<Value> inputs;
    SmallVector<Operation *> pending = {root};
    while (!pending.empty()) {
      Operation *op = pending.pop_back_val();
      if (!members.insert(op))
        continue;
      forEachRead(op, [&](Value value) {
        Operation *def = value.getDefiningOp();
        if (def && isGeneral(def) && !roots.contains(def))
          pending.push_back(def);
      });
    }
    SmallVector<Operation *> ordered(members.begin(), members.end());
    llvm::sort(ordered, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    for (Operation *op : ordered)
      forEachRead(op, [&](Value value) {
        if (!members.contains(value.getDefiningOp()))
          inputs.insert(value);
      });

    OpBuilder builder(root);
    auto fused = FusedOp::create(builder, root->getLoc(), root->getResultTypes(),
                                 inputs.getArrayRef(), Anchor::generic);
    Block &body = fused.getBody().emplaceBlock();
    IRMapping mapping;
    for (Value input : inputs)
      mapping.map(input, body.addArgument(input.getType(), input.getLoc()));
    builder.setInsertionPointToEnd(&body);
    for (Operation *op : ordered)
      builder.clone(*op, mapping);
    YieldOp::create(builder, root->getLoc(),
                    llvm::map_to_vector(root->getResults(),
                                        [&](Value value) { return mapping.lookup(value); }));
    if (members.size() > 1)
      kRemarks.hit(fused) << say("{0} ops in a region", members.size());
    // Later regions read the result; the op itself stays for those that are not built yet only as
    // long as it is their root.
    root->replaceAllUsesWith(fused);
  }

  Block &block;
  llvm::SetVector<Operation *> roots;        ///< last first
  llvm::DenseMap<Operation *, size_t> costs; ///< of their regions so far
};

struct FuseGenericPass : impl::FuseGenericBase<FuseGenericPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      numRegions += EntryFuser(entry).run();
  }
};

} // namespace
} // namespace quern
