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

/// What dispatches since the last barrier have touched, to see whether the next one has to wait.
class Touched {
public:
  explicit Touched(const BucketShape &shape) : shape(shape) {}

  bool conflicts(DispatchOp dispatch) const {
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
    for (mlir::Value result : dispatch.getResults())
      written.insert(result);
    for (mlir::Value input : dispatch.getInputs()) {
      if (auto state = input.getDefiningOp<StateRefOp>())
        states.insert(state.getName());
      if (auto producer = input.getDefiningOp<DispatchOp>())
        llvm::append_range(used, ranges(producer));
    }
    llvm::append_range(used, ranges(dispatch));
  }

private:
  using Range = std::pair<int64_t, int64_t>;
  /// Where a dispatch's results lie in the arena.
  SmallVector<Range> ranges(DispatchOp dispatch) const {
    SmallVector<Range> result;
    for (auto [value, offset] : llvm::zip(dispatch.getResults(), *dispatch.getOffsets()))
      if (offset >= 0)
        result.push_back({offset, offset + bufferBytes(value.getType(), shape)});
    return result;
  }

  BucketShape shape;
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
quern::cpu::generateBucket(Code &code, func::FuncOp bucket,
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

  // Where each value of the schedule lies.
  llvm::DenseMap<mlir::Value, SmallVector<Value, 2>> places;
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
  Touched touched(*shape);
  for (Operation &inner : bucket.getBody().front()) {
    if (auto ref = dyn_cast<WeightRefOp>(inner)) {
      auto packed = SymbolTable::lookupNearestSymbolFrom<PackedOp>(ref, ref.getNameAttr());
      if (!packed || !packed.getOffset())
        return ref.emitError("a planned weight has an offset");
      places[ref.getResult()] = {code.atBytes(weights, code.c(*packed.getOffset()))};
    } else if (auto ref = dyn_cast<StateRefOp>(inner)) {
      auto state = SymbolTable::lookupNearestSymbolFrom<DeclareStateOp>(ref, ref.getNameAttr());
      if (!state || !state.getOffset())
        return ref.emitError("a planned state has an offset");
      places[ref.getResult()] = {code.c(state.getGroup().value_or(0)), code.c(*state.getOffset())};
    } else if (auto dispatch = dyn_cast<DispatchOp>(inner)) {
      auto kernel =
          SymbolTable::lookupNearestSymbolFrom<KernelOp>(dispatch, dispatch.getKernelAttr());
      LLVM::LLVMFuncOp function = kernelFor(kernel, isSingle(bucket));
      if (!function)
        return failure();
      if (touched.conflicts(dispatch)) {
        code.call("qk_barrier", {args, entry->getArgument(1), entry->getArgument(2)});
        touched = Touched(*shape);
      }
      touched.add(dispatch);
      SmallVector<Value> operands = {args, worker, workers};
      for (mlir::Value input : dispatch.getInputs())
        llvm::append_range(operands, places[input]);
      for (auto [i, value] : llvm::enumerate(dispatch.getResults())) {
        int64_t offset = (*dispatch.getOffsets())[i];
        if (offset >= 0) {
          places[value] = {code.atBytes(arena, code.c(offset))};
        } else {
          auto position =
              llvm::find(returned.getOperands(), value) - returned.getOperands().begin();
          places[value] = {code.load(code.ptr(), code.at(outputs, code.ptr(), code.c(position)))};
        }
        operands.push_back(places[value].front());
      }
      LLVM::CallOp::create(code.b, function, operands);
    } else if (!isa<func::ReturnOp>(inner)) {
      return inner.emitError("a schedule holds dispatches only");
    }
  }
  LLVM::ReturnOp::create(code.b, ValueRange{});
  return success();
}
