// See Calls.h.
#include "codegen/schedule/Calls.h"

#include "passes/analysis/Buffers.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace quern;
using namespace quern::codegen;

namespace {

/// Anchors whose single row is no more than one worker's work, and touches no state.
bool isReplicable(Anchor anchor) { return anchor == Anchor::rows || anchor == Anchor::embedding; }
/// Anchors whose kernels fetch work: between two of them there must be a barrier.
bool fetchesWork(KernelOp kernel) {
  return kernel.getAnchor() == Anchor::linear || kernel.getAnchor() == Anchor::attention;
}

/// A bucket of one token: kernels of a single row that no more than one worker could share are run
/// by every worker, for itself, in memory of its own. It saves the barrier behind each (the others
/// would have waited for as long), and the row's next reader finds it in its own cache.
class Replicated {
public:
  Replicated(const SymbolTable &symbols, bool single, int64_t arenaBytes)
      : symbols(symbols), possible(single && arenaBytes <= kMostBytes) {}

  bool contains(DispatchOp dispatch) const {
    if (!possible)
      return false;
    return isReplicable(kernelOf(dispatch).getAnchor()) &&
           llvm::all_of(*dispatch.getOffsets(), [](int64_t offset) { return offset >= 0; });
  }

  KernelOp kernelOf(DispatchOp dispatch) const {
    return symbols.lookup<KernelOp>(dispatch.getKernel());
  }

private:
  /// Of the stack, which holds a second arena.
  static constexpr int64_t kMostBytes = 1 << 20;
  const SymbolTable &symbols;
  bool possible;
};

/// What dispatches since the last barrier have touched, to see whether the next one has to wait.
class Touched {
public:
  Touched(const BucketShape &shape, const Replicated &replicated)
      : shape(&shape), replicated(&replicated) {}

  bool conflicts(DispatchOp dispatch) const {
    if (fetching && fetches(dispatch))
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
    if (!replicated->contains(dispatch))
      written.insert(dispatch.getResults().begin(), dispatch.getResults().end());
    for (mlir::Value input : dispatch.getInputs()) {
      if (auto state = input.getDefiningOp<StateRefOp>())
        states.insert(state.getName());
      // Of what its producer wrote, that alone: the rest may be another's by now.
      if (auto producer = input.getDefiningOp<DispatchOp>();
          producer && !replicated->contains(producer))
        if (std::optional<Range> range = rangeOf(producer, cast<OpResult>(input)))
          used.push_back(*range);
    }
    llvm::append_range(used, ranges(dispatch));
  }

private:
  bool fetches(DispatchOp dispatch) const { return fetchesWork(replicated->kernelOf(dispatch)); }

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
    if (replicated->contains(dispatch))
      return result;
    for (OpResult value : dispatch->getOpResults())
      if (std::optional<Range> range = rangeOf(dispatch, value))
        result.push_back(*range);
    if (std::optional<uint64_t> scratch = dispatch.getScratch()) {
      auto offset = static_cast<int64_t>(*scratch);
      result.push_back({offset, offset + scratchBytes(replicated->kernelOf(dispatch), true)});
    }
    return result;
  }

  const BucketShape *shape;
  const Replicated *replicated;
  bool fetching = false; // some dispatch's workers fetch work
  llvm::DenseSet<mlir::Value> written;
  llvm::SmallSet<StringRef, 4> states;
  SmallVector<Range> used;
};

/// Reads a schedule from its first dispatch to its last.
class Reader {
public:
  Reader(func::FuncOp bucket, const SymbolTable &symbols, const BucketShape &shape)
      : bucket(bucket), symbols(symbols), shape(shape),
        replicated(symbols, isSingle(bucket),
                   bucket->getAttrOfType<IntegerAttr>(attrs::kArena).getInt()),
        touched(shape, replicated) {}

  FailureOr<std::vector<Call>> read() {
    readArguments();
    for (Operation &inner : bucket.getBody().front()) {
      if (auto ref = dyn_cast<WeightRefOp>(inner)) {
        auto packed = symbols.lookup<PackedOp>(ref.getName());
        if (!packed || !packed.getOffset())
          return ref.emitError("a planned weight has an offset");
        places[ref.getResult()] = {{Base::Weights, static_cast<int64_t>(*packed.getOffset())}};
      } else if (auto ref = dyn_cast<StateRefOp>(inner)) {
        auto state = symbols.lookup<DeclareStateOp>(ref.getName());
        if (!state || !state.getOffset())
          return ref.emitError("a planned state has an offset");
        places[ref.getResult()] = {{Base::None, static_cast<int64_t>(state.getGroup().value_or(0))},
                                   {Base::None, static_cast<int64_t>(*state.getOffset())}};
      } else if (auto dispatch = dyn_cast<DispatchOp>(inner)) {
        read(dispatch);
      } else if (!isa<func::ReturnOp>(inner)) {
        return inner.emitError("a schedule holds dispatches only");
      }
    }
    return std::move(calls);
  }

private:
  using Base = Operand::Base;

  void readArguments() {
    unsigned inputs = 0;
    for (BlockArgument arg : bucket.getArguments()) {
      if (isa<BatchType>(arg.getType()))
        places[arg] = {};
      else if (isIndices(arg.getType()) && rowsOf(arg.getType()) == "R")
        places[arg] = {{Base::Rows}};
      else
        places[arg] = {{Base::Input, 0, inputs++}};
    }
  }

  void read(DispatchOp dispatch) {
    Call call;
    call.kernel = replicated.kernelOf(dispatch);
    call.replicated = replicated.contains(dispatch);
    call.barrier = touched.conflicts(dispatch);
    if (call.barrier)
      touched = Touched(shape, replicated);
    touched.add(dispatch);
    for (mlir::Value input : dispatch.getInputs())
      llvm::append_range(call.operands, places[input]);
    auto returned = bucket.getBody().front().getTerminator()->getOperands();
    for (auto [value, offset] : llvm::zip(dispatch.getResults(), *dispatch.getOffsets())) {
      if (offset >= 0)
        places[value] = {{call.replicated ? Base::Replicated : Base::Arena, offset}};
      else
        places[value] = {{Base::Output, 0,
                          static_cast<unsigned>(llvm::find(returned, value) - returned.begin())}};
      call.operands.push_back(places[value].front());
    }
    call.last = isSingle(bucket) && returned.size() == 1 && dispatch.getResults().size() == 1 &&
                dispatch.getResults().front() == returned.front();
    if (std::optional<uint64_t> scratch = dispatch.getScratch())
      call.operands.push_back({Base::Arena, static_cast<int64_t>(*scratch)});
    calls.push_back(std::move(call));
  }

  func::FuncOp bucket;
  const SymbolTable &symbols;
  const BucketShape &shape;
  Replicated replicated;
  Touched touched;
  llvm::DenseMap<mlir::Value, SmallVector<Operand, 2>> places; // where each value lies
  std::vector<Call> calls;
};

} // namespace

bool Call::alike(const Call &other) const {
  return kernel == other.kernel && barrier == other.barrier && replicated == other.replicated &&
         last == other.last &&
         llvm::equal(operands, other.operands, [](const Operand &a, const Operand &b) {
           return a.base == b.base && a.index == b.index;
         });
}

bool quern::codegen::isSingle(func::FuncOp bucket) {
  return bucket->getAttrOfType<IntegerAttr>(attrs::kMaxTokens).getInt() == 1;
}

Form quern::codegen::formOf(func::FuncOp bucket, const Call &call) {
  return call.last ? Form::Last : isSingle(bucket) ? Form::One : Form::Many;
}

std::string quern::codegen::bucketSymbol(func::FuncOp bucket) {
  return ("quern_" + bucket->getAttrOfType<StringAttr>(attrs::kEntry).getValue() + "_" +
          bucket->getAttrOfType<StringAttr>(attrs::kBucket).getValue())
      .str();
}

FailureOr<std::vector<Call>> quern::codegen::callsOf(func::FuncOp bucket,
                                                     const SymbolTable &symbols) {
  FailureOr<BucketShape> shape = bucketShape(bucket);
  if (failed(shape))
    return failure();
  return Reader(bucket, symbols, *shape).read();
}
