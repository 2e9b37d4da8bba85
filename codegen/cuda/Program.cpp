// See Program.h.
#include "codegen/cuda/Program.h"

#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/PersistentKernel.h"
#include "passes/analysis/Buffers.h"
#include "passes/analysis/Entries.h"

#include "llvm/ADT/StringMap.h"

#include <absl/strings/str_cat.h>

#include <map>
#include <memory>

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
    writeModules();
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
    BucketLaunches made{codegen::bucketSymbol(bucket), {}, {}};
    for (auto [i, call] : llvm::enumerate(*calls)) {
      FailureOr<size_t> number = kernelFor(call.kernel, codegen::formOf(bucket, call));
      if (failed(number))
        return failure();
      made.launches.push_back({*number, i,
                               std::max<int64_t>(1, kernels.at(*number)->mostWorkers(*shape)),
                               call.operands});
    }
    if (codegen::isSingle(bucket) && failed(writeWhole(bucket, *calls, made)))
      return failure();
    program.buckets.push_back(std::move(made));
    return success();
  }

  /// The bucket in one launch.
  LogicalResult writeWhole(func::FuncOp bucket, ArrayRef<codegen::Call> calls,
                           BucketLaunches &made) {
    FailureOr<std::vector<codegen::Loop>> loops = codegen::loopsOf(bucket, calls);
    if (failed(loops))
      return failure();
    std::vector<const Kernel *> used;
    int64_t most = 1;
    for (const Launch &launch : made.launches) {
      used.push_back(kernels.at(launch.kernel).get());
      most = std::max(most, launch.max_workers);
    }
    PersistentKernel whole = writePersistent(made.symbol, calls, *loops, used);
    made.persistent = Launch{program.kernels.size(), 0, most, std::move(whole.operands)};
    program.kernels.push_back({made.symbol, std::move(whole.text), whole.shared, true});
    return success();
  }

  void writeModules() {
    std::map<std::string, size_t> byHead;
    for (auto [i, kernel] : llvm::enumerate(program.kernels)) {
      const auto known = kernels.find(i);
      const std::string head = known == kernels.end() ? "" : known->second->head();
      kernel.module = program.modules.size();
      if (!head.empty())
        kernel.module = byHead.try_emplace(head, kernel.module).first->second;
      if (kernel.module == program.modules.size())
        program.modules.push_back({kernel.name, kernel.text, {i}});
      else {
        program.modules[kernel.module].text += known->second->unit();
        program.modules[kernel.module].kernels.push_back(i);
      }
    }
    for (ModuleText &module : program.modules)
      if (module.kernels.size() > 1)
        absl::StrAppend(&module.name, "_and_", module.kernels.size() - 1, "_more");
  }

  /// A kernel is written once for all buckets of many tokens, and once for single ones.
  FailureOr<size_t> kernelFor(KernelOp op, Form form) {
    const std::string name = (op.getSymName() + "_" + nameOf(form)).str();
    auto [entry, fresh] = numbers.try_emplace(name, program.kernels.size());
    if (!fresh)
      return entry->second;
    auto kernel = std::make_unique<Kernel>(op, name, form, labels.lookup(op.getSymName()));
    if (failed(kernel->generate()))
      return failure();
    program.kernels.push_back({name, kernel->source(), kernel->sharedBytes()});
    kernels.try_emplace(entry->second, std::move(kernel));
    return entry->second;
  }

  ModuleOp planned;
  const SymbolTable symbols;
  llvm::StringMap<std::vector<std::string>> labels;
  llvm::StringMap<size_t> numbers;
  std::map<size_t, std::unique_ptr<Kernel>> kernels; ///< by their numbers in the program
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
