// See CpuCodegen.h.
#include "codegen/cpu/CpuCodegen.h"

#include "codegen/cpu/Backend.h"
#include "codegen/cpu/Bucket.h"
#include "codegen/cpu/Kernel.h"
#include "passes/analysis/Entries.h"
#include "runtime/abi/Variants.h"

#include "absl/strings/str_cat.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;

namespace quern::cpu {

const std::vector<Variant> &variants() {
  static const std::vector<Variant> all = [] {
    std::vector<Variant> made;
    for (const CpuVariant &known : llvm::reverse(kCpuVariants)) {
      std::string name(known.name);
      // LLVM's level of that name, and what Quern asks for beyond it.
      made.push_back({name,
                      name,
                      name == "x86-64-v4" ? "+avx512vnni" : "",
                      {known.features.begin(), known.features.end()}});
    }
    return made;
  }();
  return all;
}

const Variant *findVariant(std::string_view name) {
  for (const Variant &variant : variants())
    if (variant.name == name)
      return &variant;
  return nullptr;
}

absl::StatusOr<std::string> generate(ModuleOp planned, const Variant &variant,
                                     const Options &options) {
  MLIRContext *context = planned.getContext();
  context->loadDialect<arith::ArithDialect, scf::SCFDialect, cf::ControlFlowDialect,
                       LLVM::LLVMDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(planned.getLoc());
  Code code(*module, UnknownLoc::get(context));

  // A kernel is generated once for all buckets of many tokens, and once for single ones.
  llvm::StringMap<LLVM::LLVMFuncOp> functions;
  auto kernelFor = [&](KernelOp op, bool single) -> LLVM::LLVMFuncOp {
    std::string name = absl::StrCat(op.getSymName().str(), single ? ".one" : ".many");
    auto [entry, fresh] = functions.try_emplace(name);
    if (!fresh)
      return entry->second;
    OpBuilder::InsertionGuard guard(code.b);
    LLVM::LLVMFuncOp outer = code.function;
    Kernel kernel(code, op, name, single);
    LLVM::LLVMFuncOp function = code.function;
    LogicalResult result = kernel.generate();
    code.function = outer;
    if (failed(result))
      return nullptr;
    return functions[name] = function;
  };
  for (auto bucket : planned.getOps<func::FuncOp>())
    if (bucket->hasAttr(attrs::kBucket) && failed(generateBucket(code, bucket, kernelFor)))
      return absl::InternalError("code generation failed; see the diagnostics above");

  if (options.emit) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream);
    options.emit(absl::StrCat("kernels.", variant.name, ".mlir"), text);
  }
  return buildObject(*module, variant, options);
}

} // namespace quern::cpu
