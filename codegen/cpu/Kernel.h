// One kernel being generated: its function, and where its operands and results lie.
//
// A kernel becomes `void name(QuernStepArgs *args, i64 worker, i64 workers, operands...,
// results...)`: rows, q8_rows, indices and weights are pointers, a state is two i64 (kv group,
// offset in the page or in the slot), the batch is in `args`. Pointers never alias: the plan keeps
// buffers apart. Attention of a single token has one more, where its workers leave what they found;
// a kernel that can find faults (Faults.h) has the dispatch's number, last.
#ifndef QUERN_CODEGEN_CPU_KERNEL_H
#define QUERN_CODEGEN_CPU_KERNEL_H

#include "codegen/cpu/Code.h"
#include "codegen/schedule/Calls.h"
#include "ir/quern/QuernDialect.h"

#include "llvm/ADT/DenseMap.h"

#include <memory>
#include <string>

namespace quern::cpu {

class Faults;
class Kernel;

/// Operands a dispatch passes for a value of this type.
llvm::SmallVector<Type> loweredTypes(Type type);

/// Writes the body of an anchor's kernels.
using Generator = mlir::LogicalResult (Kernel::*)();

/// The table of them: a new anchor's is named here.
Generator generatorOf(Anchor anchor);

using codegen::Form;

class Kernel {
public:
  /// Begins the function `name`.
  Kernel(Code &code, KernelOp op, llvm::StringRef name, Form form);
  ~Kernel();

  /// Writes the body, by the kernel's anchor, and ends the function. Fails with a diagnostic on
  /// what its generator cannot do.
  mlir::LogicalResult generate();

  Code &code;
  KernelOp op;
  bool single; ///< one token of one sequence
  bool last;   ///< its result is the entry's
  Pointer<const QuernStepArgs> args;
  Value worker, workers;

  /// What the kernel's workers share while it runs; null where there is no such memory.
  Pointer<float> shared;
  /// The op the loops are built around; null for `rows`.
  mlir::Operation *anchor = nullptr;
  YieldOp yield;

  /// Where an operand of the kernel (a block argument) lies: numbers of rows and of weights that
  /// are not packed, QkPanel, QkQ8Row, int32_t of indices.
  template <class T = float> Pointer<const T> pointer(mlir::Value operand) const {
    return Pointer<const T>(pointers.lookup(operand));
  }
  /// Where a result is to be written.
  template <class T = float> Pointer<T> result(unsigned index) const {
    return Pointer<T>(results[index]);
  }

  /// Has body(from, to) called for parts that make up [0, count), each by one worker: an equal part
  /// of the first half for each, then chunks of about `chunk` items for whoever comes, so that a
  /// core that others slow down holds nobody up. Few items are shared out evenly.
  void scheduleGuided(Value count, Value chunk, std::function<void(Value, Value)> body);

  /// A number for whoever asks, from 0 on, each given once (qk_next_chunk).
  Value nextChunk() { return code.call("qk_next_chunk", {args}); }

  /// Has `other`, an argument of a region inside the body, lie where `operand` does.
  void alias(mlir::Value other, mlir::Value operand) { pointers[other] = pointers.lookup(operand); }

  /// How many rows the symbol counts: T, R or B; or the value of an expression over the module's
  /// `quern.sizes`, as types name it (ir/symbols/Dim.h). One that cannot be read is an error on the
  /// kernel.
  Value count(llvm::StringRef symbol);
  /// Element `index` of one of the int32 arrays in QuernStepArgs, as i64.
  Value index(size_t field, Value index);

  /// Address of a kv state's part of the page that holds `page` of sequence `seq`.
  Value kvPage(mlir::Value state, Value seq, Value page);
  /// Address of a fixed-size state of sequence `seq`.
  Value fixedState(mlir::Value state, Value seq);

  /// What says what is at fault: in a kernel that can find something.
  Faults &faults() { return *own; }

  // The generators, by anchor.
  mlir::LogicalResult generateLinear();
  mlir::LogicalResult generateBlockLinear();
  mlir::LogicalResult generateAttention();
  mlir::LogicalResult generateAttentionRows();
  mlir::LogicalResult generateKvAppend();
  mlir::LogicalResult generateRecurrence();
  mlir::LogicalResult generateConv();
  mlir::LogicalResult generateTokenShift();
  mlir::LogicalResult generateScan();
  mlir::LogicalResult generateLongConv();
  mlir::LogicalResult generateEmbedding();
  mlir::LogicalResult generateRoute();
  mlir::LogicalResult generateExpertLinear();
  mlir::LogicalResult generateRows();
  mlir::LogicalResult generateGeneric();

private:
  llvm::DenseMap<mlir::Value, Value> pointers;
  llvm::DenseMap<mlir::Value, std::pair<Value, Value>> states; // group, offset
  llvm::SmallVector<Value> results;
  bool failedCount = false;    ///< an error of `count` was told
  std::unique_ptr<Faults> own; ///< null where the kernel can find none
};

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_KERNEL_H
