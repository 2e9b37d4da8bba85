// See Bucket.h.
#include "codegen/cpu/Bucket.h"

#include "codegen/cpu/Kernel.h"
#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Buffers.h"
#include "runtime/abi/StepArgs.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallSet.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

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
    KernelOp kernel = kernelOf(dispatch);
    return (kernel.getAnchor() == "rows" || kernel.getAnchor() == "embedding") &&
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
      if (auto producer = input.getDefiningOp<DispatchOp>())
        llvm::append_range(used, ranges(producer));
    }
    llvm::append_range(used, ranges(dispatch));
  }

private:
  bool fetches(DispatchOp dispatch) const {
    return fetchesWork(replicated->kernelOf(dispatch), shape->max_tokens == 1);
  }

  using Range = std::pair<int64_t, int64_t>;
  /// Where a dispatch's results and scratch memory lie in the arena that all workers share.
  SmallVector<Range> ranges(DispatchOp dispatch) const {
    SmallVector<Range> result;
    if (replicated->contains(dispatch))
      return result;
    for (auto [value, offset] : llvm::zip(dispatch.getResults(), *dispatch.getOffsets()))
      if (offset >= 0)
        result.push_back({offset, offset + bufferBytes(value.getType(), *shape)});
    if (std::optional<uint64_t> scratch = dispatch.getScratch()) {
      auto offset = static_cast<int64_t>(*scratch);
      result.push_back({offset, offset + scratchBytes(replicated->kernelOf(dispatch), true)});
    }
    return result;
  }

  const BucketShape *shape;
  const Replicated *replicated;
  bool fetching = false;
  llvm::DenseSet<mlir::Value> written;
  llvm::SmallSet<StringRef, 4> states;
  SmallVector<Range> used;
};

} // namespace

std::string quern::cpu::bucketSymbol(func::FuncOp bucket) {
  return ("quern_" + bucket->getAttrOfType<StringAttr>(attrs::kEntry).getValue() + "_" +
          bucket->getAttrOfType<StringAttr>(attrs::kBucket).getValue())
      .str();
}

bool quern::cpu::isSingle(func::FuncOp bucket) {
  return bucket->getAttrOfType<IntegerAttr>(attrs::kMaxTokens).getInt() == 1;
}

LogicalResult
quern::cpu::generateBucket(Code &code, const SymbolTable &symbols, func::FuncOp bucket,
                           std::function<LLVM::LLVMFuncOp(KernelOp, bool)> kernelFor) {
  code.b.setInsertionPointToEnd(code.module.getBody());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(code.b.getContext()),
                                          {code.ptr(), code.i32(), code.i32()});
  code.function = LLVM::LLVMFuncOp::create(code.b, bucketSymbol(bucket), type);
  Block *entry = code.function.addEntryBlock(code.b);
  code.b.setInsertionPointToStart(entry);
  Value args = entry->getArgument(0);
  Value worker = code.toI64(entry->getArgument(1)), workers = code.toI64(entry->getArgument(2));
  Value weights = code.field(args, offsetof(QuernStepArgs, weights), code.ptr());
  Value arena = code.field(args, offsetof(QuernStepArgs, arena), code.ptr());
  Value inputs = code.field(args, offsetof(QuernStepArgs, inputs), code.ptr());
  Value outputs = code.field(args, offsetof(QuernStepArgs, outputs), code.ptr());

  // Where each value of the schedule lies. A weight's address is made where it is used, which is
  // once: hundreds of them at the function's beginning would all have to be kept until then.
  llvm::DenseMap<mlir::Value, SmallVector<Value, 2>> places;
  llvm::DenseMap<mlir::Value, int64_t> offsets;
  unsigned nextInput = 0;
  for (BlockArgument arg : bucket.getArguments()) {
    if (isa<BatchType>(arg.getType())) {
      places[arg] = {};
    } else if (isIndices(arg.getType()) && rowsOf(arg.getType()) == "R") {
      places[arg] = {code.field(args, offsetof(QuernStepArgs, rows), code.ptr())};
    } else {
      Value slot = code.at(inputs, code.ptr(), code.c(nextInput++));
      places[arg] = {code.load(code.ptr(), slot)};
    }
  }
  auto returned = cast<func::ReturnOp>(bucket.getBody().front().getTerminator());

  FailureOr<BucketShape> shape = bucketShape(bucket);
  if (failed(shape))
    return failure();
  int64_t arenaBytes = bucket->getAttrOfType<IntegerAttr>(attrs::kArena).getInt();
  Replicated replicated(symbols, isSingle(bucket), arenaBytes);
  Value own; // this worker's second arena
  Touched touched(*shape, replicated);
  int64_t dispatches = 0;
  for (Operation &inner : bucket.getBody().front()) {
    if (auto ref = dyn_cast<WeightRefOp>(inner)) {
      auto packed = symbols.lookup<PackedOp>(ref.getName());
      if (!packed || !packed.getOffset())
        return ref.emitError("a planned weight has an offset");
      offsets[ref.getResult()] = *packed.getOffset();
    } else if (auto ref = dyn_cast<StateRefOp>(inner)) {
      auto state = symbols.lookup<DeclareStateOp>(ref.getName());
      if (!state || !state.getOffset())
        return ref.emitError("a planned state has an offset");
      places[ref.getResult()] = {code.c(state.getGroup().value_or(0)), code.c(*state.getOffset())};
    } else if (auto dispatch = dyn_cast<DispatchOp>(inner)) {
      KernelOp kernel = replicated.kernelOf(dispatch);
      LLVM::LLVMFuncOp function = kernelFor(kernel, isSingle(bucket));
      if (!function)
        return failure();
      if (touched.conflicts(dispatch)) {
        code.call("qk_barrier", {args, entry->getArgument(1), entry->getArgument(2)});
        touched = Touched(*shape, replicated);
      }
      touched.add(dispatch);
      bool alone = replicated.contains(dispatch);
      if (alone && !own)
        own = code.scratch(code.b.getI8Type(), arenaBytes);
      SmallVector<Value> operands = {args, alone ? code.c(0) : worker, alone ? code.c(1) : workers};
      for (mlir::Value input : dispatch.getInputs())
        if (auto offset = offsets.find(input); offset != offsets.end())
          operands.push_back(code.atBytes(weights, code.c(offset->second)));
        else
          llvm::append_range(operands, places[input]);
      for (auto [i, value] : llvm::enumerate(dispatch.getResults())) {
        int64_t offset = (*dispatch.getOffsets())[i];
        if (offset >= 0) {
          places[value] = {code.atBytes(alone ? own : arena, code.c(offset))};
        } else {
          auto position =
              llvm::find(returned.getOperands(), value) - returned.getOperands().begin();
          places[value] = {code.load(code.ptr(), code.at(outputs, code.ptr(), code.c(position)))};
        }
        operands.push_back(places[value].front());
      }
      if (std::optional<uint64_t> scratch = dispatch.getScratch())
        operands.push_back(code.atBytes(arena, code.c(static_cast<int64_t>(*scratch))));
      code.call("qk_note_time", {args, entry->getArgument(1), code.c(dispatches++)});
      LLVM::CallOp::create(code.b, function, operands);
    } else if (!isa<func::ReturnOp>(inner)) {
      return inner.emitError("a schedule holds dispatches only");
    }
  }
  LLVM::ReturnOp::create(code.b, ValueRange{});
  return success();
}
