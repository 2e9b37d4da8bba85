// See Program.h.
#include "codegen/cuda/Program.h"

#include "codegen/cuda/Kernel.h"
#include "passes/analysis/Buffers.h"
#include "passes/analysis/Entries.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace quern::cuda {
namespace {

class Writer {
public:
  explicit Writer(ModuleOp planned) : planned(planned), symbols(planned) {}

  FailureOr<Program> write() {
    collectLabels();
    for (auto bucket : planned.getOps<func::FuncOp>())
      if (bucket->hasAttr(attrs::kBucket) && failed(write(bucket)))
        return failure();
    return std::move(program);
  }

private:
  /// A kernel's labels, in the order of the first bucket that has it.
  void collectLabels() {
    for (auto bucket : planned.getOps<func::FuncOp>()) {
      llvm::StringMap<std::vector<std::string>> here;
      for (auto dispatch : bucket.getOps<DispatchOp>())
        here[dispatch.getKernel()].push_back(dispatch.getLabel().str());
      for (auto &entry : here)
        labels.try_emplace(entry.getKey(), std::move(entry.getValue()));
    }
  }

  LogicalResult write(func::FuncOp bucket) {
    FailureOr<BucketShape> shape = bucketShape(bucket);
    if (failed(shape))
      return failure();
    FailureOr<std::vector<codegen::Call>> calls = codegen::callsOf(bucket, symbols);
    if (failed(calls))
      return failure();
    BucketLaunches made{codegen::bucketSymbol(bucket), {}};
    for (auto [i, call] : llvm::enumerate(*calls)) {
      FailureOr<size_t> number = kernelFor(call.kernel, codegen::formOf(bucket, call));
      if (failed(number))
        return failure();
      made.launches.push_back(
          {*number, i, std::max<int64_t>(1, kernels[*number].mostWorkers(*shape)), call.operands});
    }
    program.buckets.push_back(std::move(made));
    return success();
  }

  /// A kernel is written once for all buckets of many tokens, and once for single ones.
  FailureOr<size_t> kernelFor(KernelOp op, Form form) {
    const std::string name = (op.getSymName() + "_" + nameOf(form)).str();
    auto [entry, fresh] = numbers.try_emplace(name, kernels.size());
    if (!fresh)
      return entry->second;
    Kernel &kernel = kernels.emplace_back(op, name, form, labels.lookup(op.getSymName()));
    if (failed(kernel.generate()))
      return failure();
    program.kernels.push_back({name, kernel.source(), kernel.sharedBytes()});
    return entry->second;
  }

  ModuleOp planned;
  const SymbolTable symbols;
  llvm::StringMap<std::vector<std::string>> labels;
  llvm::StringMap<size_t> numbers;
  std::vector<Kernel> kernels;
  Program program;
};

} // namespace

absl::StatusOr<Program> writeProgram(ModuleOp planned) {
  FailureOr<Program> program = Writer(planned).write();
  if (failed(program))
    return absl::InternalError("code generation failed; see the diagnostics above");
  return *std::move(program);
}

} // namespace quern::cuda
