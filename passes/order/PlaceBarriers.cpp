// --quern-place-barriers: where workers wait for each other.
#include "passes/analysis/Buffers.h"
#include "passes/analysis/Remarks.h"
#include "passes/order/Passes.h"
#include "passes/target/Target.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_PLACEBARRIERS
#include "passes/order/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"order", "place-barriers"};

/// What dispatches since the last barrier have touched, to see whether the next one has to wait.
class Touched {
public:
  Touched(const BucketShape &shape, const SymbolTable &symbols, const target::Target &target)
      : shape(&shape), symbols(&symbols), target(&target) {}

  bool conflicts(DispatchOp dispatch) const {
    if (fetching && fetches(dispatch))
      return true;
    const CountedUses sizes = usesOf(dispatch);
    const auto isSet = [&](unsigned size) { return llvm::is_contained(set, size); };
    if (llvm::any_of(sizes.read, isSet) || llvm::any_of(sizes.written, isSet) ||
        llvm::any_of(sizes.written, [&](unsigned size) { return llvm::is_contained(read, size); }))
      return true;
    for (mlir::Value input : dispatch.getInputs()) {
      if (written.contains(input))
        return true;
      if (auto state = input.getDefiningOp<StateRefOp>(); state && states.contains(state.getName()))
        return true;
    }
    return llvm::any_of(ranges(dispatch), [&](Range range) {
      return llvm::any_of(used, [&](Range other) {
        return range.first < other.second && other.first < range.second;
      });
    });
  }

  void add(DispatchOp dispatch) {
    fetching |= fetches(dispatch);
    const CountedUses sizes = usesOf(dispatch);
    llvm::append_range(read, sizes.read);
    llvm::append_range(set, sizes.written);
    if (!dispatch.getReplicated())
      written.insert(dispatch.getResults().begin(), dispatch.getResults().end());
    for (mlir::Value input : dispatch.getInputs()) {
      if (auto state = input.getDefiningOp<StateRefOp>())
        states.insert(state.getName());
      // Of what its producer wrote, that alone: the rest may be another's by now.
      if (auto producer = input.getDefiningOp<DispatchOp>(); producer && !producer.getReplicated())
        if (std::optional<Range> range = rangeOf(producer, cast<OpResult>(input)))
          used.push_back(*range);
    }
    llvm::append_range(used, ranges(dispatch));
  }

private:
  bool fetches(DispatchOp dispatch) const {
    return target->traits(symbols->lookup<KernelOp>(dispatch.getKernel()).getAnchor()).fetchesWork;
  }

  CountedUses usesOf(DispatchOp dispatch) const {
    return countedUses(symbols->lookup<KernelOp>(dispatch.getKernel()));
  }

  using Range = std::pair<int64_t, int64_t>;
  /// Where a result lies in the arena; nothing if it is an output of the entry.
  std::optional<Range> rangeOf(DispatchOp dispatch, OpResult value) const {
    const int64_t offset = (*dispatch.getOffsets())[value.getResultNumber()];
    if (offset < 0)
      return std::nullopt;
    return Range{offset, offset + bufferBytes(value.getType(), *shape)};
  }
  /// Where a dispatch's results and scratch memory lie in the arena that all workers share.
  SmallVector<Range> ranges(DispatchOp dispatch) const {
    SmallVector<Range> result;
    if (dispatch.getReplicated())
      return result;
    for (OpResult value : dispatch->getOpResults())
      if (std::optional<Range> range = rangeOf(dispatch, value))
        result.push_back(*range);
    if (std::optional<uint64_t> scratch = dispatch.getScratch()) {
      auto offset = static_cast<int64_t>(*scratch);
      result.push_back({offset, offset + scratchBytes(dispatch, *shape)});
    }
    return result;
  }

  const BucketShape *shape;
  const SymbolTable *symbols;
  const target::Target *target;
  SmallVector<unsigned> read, set; // sizes that the model counts
  bool fetching = false;           // some dispatch's workers fetch work
  llvm::DenseSet<mlir::Value> written;
  llvm::SmallSet<StringRef, 4> states;
  SmallVector<Range> used;
};

struct PlaceBarriersPass : impl::PlaceBarriersBase<PlaceBarriersPass> {
  void runOnOperation() override {
    const SymbolTable symbols(getOperation());
    for (func::FuncOp bucket : bucketsOf(getOperation()))
      if (failed(place(bucket, symbols)))
        return signalPassFailure();
  }

  LogicalResult place(func::FuncOp bucket, const SymbolTable &symbols) {
    FailureOr<BucketShape> shape = bucketShape(bucket);
    if (failed(shape))
      return failure();
    const Touched nothing(*shape, symbols, target::of(getOperation()));
    Touched touched = nothing;
    int64_t barriers = 0, all = 0;
    for (auto dispatch : bucket.getOps<DispatchOp>()) {
      if (!dispatch.getOffsets())
        return dispatch.emitOpError("has no offsets: its results have no place in the arena");
      dispatch.setBarrier(touched.conflicts(dispatch));
      if (dispatch.getBarrier()) {
        touched = nothing;
        ++barriers;
      }
      touched.add(dispatch);
      ++all;
    }
    bucket->setAttr(attrs::kBarriers, Builder(&getContext()).getI64IntegerAttr(barriers));
    numBarriers += barriers;
    numSpared += all - barriers;
    kRemarks.note(bucket) << say("{0}: workers wait {1} times in {2} dispatches", bucket.getName(),
                                 barriers, all);
    return success();
  }
};

} // namespace
} // namespace quern
