// One planned kernel being written as CUDA C++: its function, and where its operands and results
// lie.
//
// A kernel becomes
//
//     __device__ void NAME(const QuernCudaStep &step, int worker, int workers, u8 *shared,
//                          operands..., results..., scratch)
//
// in namespace quern::kernels, which all threads of a block run together: worker of the workers
// that share the kernel's work. It needs NAME_shared bytes of shared memory, and leaves that with
// all its threads through with it. A __global__ function of the same name launches it alone: a
// worker a block. Rows, q8_rows, indices and weights are pointers, a state is two numbers (its kv
// group, its offset in the page or in the slot), the batch is in the step.
//
// The text is short: what a kernel does is in the device library (codegen/cuda/device), as
// templates that are specialised by the model's constants.
#ifndef QUERN_CODEGEN_CUDA_KERNEL_H
#define QUERN_CODEGEN_CUDA_KERNEL_H

#include "codegen/cuda/Text.h"
#include "codegen/schedule/Calls.h"
#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Buffers.h"

#include "llvm/ADT/DenseMap.h"

#include <functional>
#include <string>
#include <vector>

namespace quern::cuda {

class Kernel;

/// Writes the body of an anchor's kernels. Fails with a diagnostic on what it cannot do.
using Generator = mlir::LogicalResult (Kernel::*)();

/// The table of them: a new anchor's generator is named here. Null where there is none.
Generator generatorOf(Anchor anchor);

using codegen::Form;
/// How names end: "many", "one", "last".
llvm::StringRef nameOf(Form form);

/// Threads that work on a row together: a whole block, or one warp of it.
enum class Team { Block, Warp };

class Kernel {
public:
  /// Begins the kernel `name`. `labels` are the source's names of what it computes.
  Kernel(KernelOp op, std::string name, Form form, std::vector<std::string> labels);

  /// Writes the body, by the kernel's anchor. Fails with a diagnostic on what its generator cannot
  /// do.
  mlir::LogicalResult generate();

  /// The translation unit: the __device__ function and the __global__ one. It is a head, which
  /// other kernels may have alike, and what is the kernel's own.
  std::string source() const { return head() + unit(); }
  std::string head() const;
  std::string unit() const;
  /// The __device__ function alone, with what it needs above it, for a text of several kernels.
  /// That has to include includes(). `inlined`: where it is called, as the compiler sees fit; else
  /// it is code of its own.
  std::string function(bool inlined = true) const;
  const std::vector<std::string> &includes() const { return includes_; }
  const std::string &name() const { return name_; }
  /// The types of its parameters behind the shared memory, in the order of a call's operands.
  std::vector<std::string> parameterTypes() const;
  /// Whether it reads weights that are worth fetching before it runs, and then the __device__
  /// function NAME_prefetch(worker, workers, weights) that calls the first of them into the second
  /// cache, and the number of the parameter that they are.
  bool prefetches() const { return !prefetch_.empty(); }
  /// `inlined`: as function()'s.
  std::string prefetchFunction(bool inlined) const {
    return (inlined ? "__device__ void " : "__device__ __noinline__ void ") + prefetch_;
  }
  size_t prefetchedParameter() const { return prefetched_; }
  /// Shared memory of a block, in bytes.
  int64_t sharedBytes() const { return sharedBytes_; }
  /// Workers beyond which there is nothing left to share out, in the largest step of a bucket.
  int64_t mostWorkers(const BucketShape &shape) const { return work_(shape); }

  Text text{1}; ///< the body
  KernelOp op;
  bool single; ///< one token of one sequence
  bool last;   ///< its result is the entry's
  /// The op the loops are built around; null for `rows`.
  mlir::Operation *anchor = nullptr;
  YieldOp yield;

  // ---- What the body may say

  /// The parameter that is an operand of the kernel (a block argument): const float * of rows and
  /// of weights that are not packed, const u8 * of q8 rows and packed weights, const int * of
  /// indices.
  std::string pointer(mlir::Value operand) const { return pointers_.lookup(operand); }
  /// Has `other`, an argument of a region inside the body, be the parameter that `operand` is.
  void alias(mlir::Value other, mlir::Value operand) {
    pointers_[other] = pointers_.lookup(operand);
  }
  /// The parameter that a result is to be written to: float *, u8 * of q8 rows, int * of choices.
  std::string result(unsigned index) const { return results_[index]; }
  /// What the kernel's workers share in device memory while it runs, float *; empty where there is
  /// no such memory.
  std::string scratch() const { return scratch_; }

  /// How many rows the symbol counts (T, R or B), as an int.
  std::string count(llvm::StringRef symbol) const;
  /// Element `index` of one of the step's int arrays: "positions", "token_seq", "cu_seqlens",
  /// "rows".
  static std::string index(llvm::StringRef array, const std::string &index);
  /// u8 *: a kv state's part of the page that holds page `page` of sequence `seq`.
  std::string kvPage(mlir::Value state, const std::string &seq, const std::string &page) const;
  /// float *: a fixed-size state of sequence `seq`.
  std::string fixedState(mlir::Value state, const std::string &seq) const;

  // ---- What it needs

  /// A header of codegen/cuda/device: "Rows.cuh".
  void include(llvm::StringRef header) { addOnce(includes_, header.str()); }
  /// A line in front of the function, once.
  void declare(const std::string &line) { addOnce(declarations_, line); }
  /// A name that nothing else has: `stem` and a number.
  std::string fresh(llvm::StringRef stem);
  /// Declares an array of shared memory here, `count` of the type for the block, or for each of its
  /// warps; 16-byte aligned. Its name.
  std::string shared(llvm::StringRef type, int64_t count, llvm::StringRef stem,
                     Team team = Team::Block);
  /// Gives shared memory back that was declared since its construction. Before what comes next
  /// writes there, the threads must have met.
  class SharedScope {
  public:
    explicit SharedScope(Kernel &kernel) : kernel(kernel), top(kernel.sharedTop_) {}
    ~SharedScope() { kernel.sharedTop_ = top; }
    SharedScope(const SharedScope &) = delete;

  private:
    Kernel &kernel;
    int64_t top;
  };
  /// The team's threads meet, and see what each wrote before.
  void sync(Team team = Team::Block);
  /// What prefetchFunction() and prefetchedParameter() answer: the function from its name on, and
  /// `weights`, an operand.
  void setPrefetch(std::string function, mlir::Value weights);
  /// What mostWorkers() answers.
  void setWork(std::function<int64_t(const BucketShape &)> work) { work_ = std::move(work); }
  /// Blocks that a multiprocessor is to hold at once, as far as registers go. More of them hide
  /// latencies better; fewer leave a thread more registers. There are fewer than that where they
  /// would spill.
  void setResident(int blocks) { resident_ = blocks; }

  // The generators, by anchor.
  mlir::LogicalResult generateLinear();
  mlir::LogicalResult generateBlockLinear();
  mlir::LogicalResult generateAttention();
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
  struct Parameter {
    std::string type, name;
  };
  std::string parameters() const;
  static void addOnce(std::vector<std::string> &all, std::string one) {
    if (!llvm::is_contained(all, one))
      all.push_back(std::move(one));
  }

  std::string name_;
  std::vector<std::string> labels_;
  std::vector<Parameter> parameters_;
  llvm::DenseMap<mlir::Value, std::string> pointers_;
  llvm::DenseMap<mlir::Value, std::pair<std::string, std::string>> states_; // group, offset
  std::vector<std::string> results_;
  std::string scratch_;
  std::vector<std::string> includes_, declarations_;
  std::string prefetch_;
  size_t prefetched_ = 0;
  int64_t sharedTop_ = 0, sharedBytes_ = 0;
  int names_ = 0;
  int resident_ = 2;
  std::function<int64_t(const BucketShape &)> work_ = [](const BucketShape &) { return 1; };
};

/// The name of a team's struct in the device library.
llvm::StringRef nameOf(Team team);
/// How many they are.
int64_t threadsOf(Team team);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_KERNEL_H
