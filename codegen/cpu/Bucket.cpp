// See Bucket.h.
#include "codegen/cpu/Bucket.h"

#include "codegen/schedule/Loops.h"
#include "ir/quern/AttributeNames.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;
using namespace quern::codegen;

namespace {

class Writer {
public:
  Writer(Code &code, func::FuncOp bucket, ArrayRef<Call> calls,
         ArrayRef<LLVM::LLVMFuncOp> functions)
      : code(code), calls(calls), functions(functions) {
    code.b.setInsertionPointToEnd(code.module.getBody());
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(code.b.getContext()),
                                            {code.ptr(), code.i32(), code.i32()});
    code.function = LLVM::LLVMFuncOp::create(code.b, bucketSymbol(bucket), type);
    Block *entry = code.function.addEntryBlock(code.b);
    code.b.setInsertionPointToStart(entry);
    args = Pointer<const QuernStepArgs>(entry->getArgument(0));
    worker32 = entry->getArgument(1);
    workers32 = entry->getArgument(2);
    worker = code.toI64(worker32);
    workers = code.toI64(workers32);
    loadBases(bucket);
  }

  void write(ArrayRef<Loop> loops) {
    size_t next = 0;
    for (const Loop &loop : loops) {
      writeEach(next, loop.first);
      writeLoop(loop);
      next = loop.end();
    }
    writeEach(next, calls.size());
    LLVM::ReturnOp::create(code.b, ValueRange{});
  }

private:
  using Base = Operand::Base;
  /// Operand `i` of a call as a number: its value, or its bytes behind its base.
  using Number = llvm::function_ref<Value(size_t i)>;

  /// What addresses are made from, and only that: hundreds of weights' addresses at the function's
  /// beginning would all have to be kept until their calls.
  void loadBases(func::FuncOp bucket) {
    weights = code.field(args, offsetof(QuernStepArgs, weights), code.ptr());
    arena = code.field(args, offsetof(QuernStepArgs, arena), code.ptr());
    Value inputSlots = code.field(args, offsetof(QuernStepArgs, inputs), code.ptr());
    Value outputSlots = code.field(args, offsetof(QuernStepArgs, outputs), code.ptr());
    auto load = [&](SmallVector<Value> &all, Value slots, unsigned index) {
      all.resize(std::max<size_t>(all.size(), index + 1));
      if (!all[index])
        all[index] = code.load(code.ptr(), code.at(slots, code.ptr(), code.c(index)));
    };
    for (const Call &call : calls)
      for (const Operand &operand : call.operands) {
        if (operand.base == Base::Input)
          load(inputs, inputSlots, operand.index);
        else if (operand.base == Base::Output)
          load(outputs, outputSlots, operand.index);
        else if (operand.base == Base::Rows && !rows)
          rows = code.field(args, offsetof(QuernStepArgs, rows), code.ptr());
        else if (operand.base == Base::Replicated && !own)
          own = code.scratch<uint8_t>(bucket->getAttrOfType<IntegerAttr>(attrs::kArena).getInt());
      }
  }

  Value address(const Operand &operand, Value bytes) {
    switch (operand.base) {
    case Base::None:
      return bytes;
    case Base::Weights:
      return code.atBytes(weights, bytes);
    case Base::Arena:
      return code.atBytes(arena, bytes);
    case Base::Replicated:
      return code.atBytes(own, bytes);
    case Base::Input:
      return inputs[operand.index];
    case Base::Output:
      return outputs[operand.index];
    case Base::Rows:
      return rows;
    }
    llvm_unreachable("all bases are named");
  }

  /// Call `i`, or one that is like it; `dispatch` is its number.
  void writeCall(size_t i, Value dispatch, Number number) {
    const Call &call = calls[i];
    if (call.barrier)
      code.call("qk_barrier", {args, worker32, workers32});
    SmallVector<Value> operands = {args, call.replicated ? code.c(0) : worker,
                                   call.replicated ? code.c(1) : workers};
    for (const auto &[o, operand] : llvm::enumerate(call.operands))
      operands.push_back(address(operand, number(o)));
    code.call("qk_note_time", {args, worker32, dispatch});
    LLVM::CallOp::create(code.b, functions[i], operands);
  }

  void writeEach(size_t first, size_t end) {
    for (size_t i = first; i < end; ++i)
      writeCall(i, code.c(static_cast<int64_t>(i)),
                [&](size_t o) { return code.c(calls[i].operands[o].number); });
  }

  /// Numbers that are the same at every turn stay constants of the code.
  void writeLoop(const Loop &loop) {
    Value rows = loop.width ? code.integers(loop.table) : Value();
    const auto rowBytes = static_cast<int64_t>(loop.width * sizeof(int64_t));
    code.rolledLoop(static_cast<int64_t>(loop.turns), [&](Value turn) {
      Value row = rows ? code.atBytes(rows, code.mul(turn, rowBytes)) : Value();
      Value before = code.mul(turn, static_cast<int64_t>(loop.period));
      for (size_t i = 0; i < loop.period; ++i)
        writeCall(loop.first + i, code.add(before, static_cast<int64_t>(loop.first + i)),
                  [&](size_t o) {
                    std::optional<size_t> column = loop.columns[i][o];
                    if (!column)
                      return code.c(calls[loop.first + i].operands[o].number);
                    Value place = code.c(static_cast<int64_t>(*column));
                    return code.load(code.i64(), code.at(row, code.i64(), place));
                  });
    });
  }

  Code &code;
  ArrayRef<Call> calls;
  ArrayRef<LLVM::LLVMFuncOp> functions; // of the calls' kernels
  Pointer<const QuernStepArgs> args;
  Value worker, workers, worker32, workers32;
  Value weights, arena, own, rows;
  SmallVector<Value> inputs, outputs;
};

} // namespace

LogicalResult
quern::cpu::generateBucket(Code &code, const SymbolTable &symbols, func::FuncOp bucket,
                           std::function<LLVM::LLVMFuncOp(KernelOp, Form)> kernelFor) {
  FailureOr<std::vector<Call>> calls = callsOf(bucket, symbols);
  if (failed(calls))
    return failure();
  FailureOr<std::vector<Loop>> loops = loopsOf(bucket, *calls);
  if (failed(loops))
    return failure();
  SmallVector<LLVM::LLVMFuncOp> functions;
  for (const Call &call : *calls) {
    functions.push_back(kernelFor(call.kernel, formOf(bucket, call)));
    if (!functions.back())
      return failure();
  }
  Writer(code, bucket, *calls, functions).write(*loops);
  return success();
}
