// See Backend.h.
#include "codegen/cpu/Backend.h"

#include "codegen/cpu/MicrokernelTable.h"
#include "codegen/cpu/Stopwatch.h"
#include "codegen/cpu/microkernels/Bitcode.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/IPO/Internalize.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <absl/strings/str_cat.h>

#include <mutex>

namespace quern::cpu {
namespace {

constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

absl::StatusOr<std::unique_ptr<llvm::TargetMachine>> targetMachine(const Variant &variant) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser(); // of microkernels' inline assembly
  });
  llvm::Triple triple(kTriple);
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return absl::InternalError(absl::StrCat("LLVM has no x86-64 target: ", error));
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, variant.cpu, variant.features, llvm::TargetOptions(),
                                  llvm::Reloc::PIC_, {}, llvm::CodeGenOptLevel::Aggressive));
}

absl::StatusOr<std::unique_ptr<llvm::Module>> translate(mlir::ModuleOp module,
                                                        llvm::LLVMContext &context) {
  mlir::PassManager passes(module.getContext());
  passes.addPass(mlir::createCanonicalizerPass());
  passes.addPass(mlir::createCSEPass());
  passes.addPass(mlir::createSCFToControlFlowPass());
  passes.addPass(mlir::createArithToLLVMConversionPass());
  passes.addPass(mlir::createConvertControlFlowToLLVMPass());
  passes.addPass(mlir::createReconcileUnrealizedCastsPass());
  if (mlir::failed(passes.run(module)))
    return absl::InternalError("the generated kernels could not be lowered to LLVM");
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  auto result = mlir::translateModuleToLLVMIR(module, context);
  if (!result)
    return absl::InternalError("the generated kernels could not be translated to LLVM IR");
  return result;
}

/// Brings in the microkernels that the module calls, to be inlined.
absl::Status linkMicrokernels(llvm::Module &module, const Variant &variant) {
  std::string_view bytes = variant.microkernels;
  if (bytes.empty())
    bytes = codegen::microkernel_bitcode(variant.name);
  if (bytes.empty())
    return absl::InternalError(absl::StrCat("there are no microkernels for ", variant.name));
  // A megabyte, of which little is called: functions are read where the linker wants them. All of
  // them took 0.1 s a compile, most of a small model's.
  auto library = llvm::getLazyBitcodeModule({{bytes.data(), bytes.size()}, "microkernels"},
                                            module.getContext());
  if (!library)
    return absl::InternalError(absl::StrCat("the microkernels of ", variant.name, ": ",
                                            llvm::toString(library.takeError())));
  if (absl::Status status = checkBitcode(**library, module, variant.name); !status.ok())
    return status;
  // Generated functions get the microkernels' target attributes: a callee of more features is not
  // inlined.
  const llvm::Function *model = (*library)->getFunction("qk_barrier");
  std::set<std::string> exported;
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    for (const char *name : {"target-cpu", "target-features", "tune-cpu", "prefer-vector-width",
                             "min-legal-vector-width"})
      if (model && model->hasFnAttribute(name))
        function.addFnAttr(model->getFnAttribute(name));
    function.addFnAttr(llvm::Attribute::NoUnwind);
    if (!function.hasLocalLinkage())
      exported.insert(function.getName().str());
  }
  (*library)->setTargetTriple(module.getTargetTriple());
  (*library)->setDataLayout(module.getDataLayout());
  if (llvm::Linker::linkModules(module, std::move(*library), llvm::Linker::LinkOnlyNeeded))
    return absl::InternalError("the microkernels could not be linked in");
  // The library keeps its functions alive for itself; here only what is called stays.
  if (llvm::GlobalVariable *used = module.getNamedGlobal("llvm.used"))
    used->eraseFromParent();
  if (llvm::GlobalVariable *used = module.getNamedGlobal("llvm.compiler.used"))
    used->eraseFromParent();
  llvm::internalizeModule(module, [&](const llvm::GlobalValue &value) {
    return exported.count(value.getName().str()) > 0;
  });
  return absl::OkStatus();
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = true;
  tuning.SLPVectorization = true;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  // Before anything else: what a struct hands over are then values, and arguments that all callers
  // agree on become constants of the functions that stay, which happens once, at the beginning.
  builder.registerPipelineStartEPCallback([](llvm::ModulePassManager &passes, auto) {
    passes.addPass(llvm::AlwaysInlinerPass(/*InsertLifetime=*/false));
  });
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

absl::StatusOr<std::string> emit(llvm::Module &module, llvm::TargetMachine &machine,
                                 llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return absl::InternalError("LLVM cannot emit code for this target");
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

} // namespace

absl::StatusOr<std::string> lowerToBitcode(mlir::ModuleOp module) {
  llvm::LLVMContext context;
  auto translated = translate(module, context);
  if (!translated.ok())
    return translated.status();
  std::string bitcode;
  llvm::raw_string_ostream stream(bitcode);
  llvm::WriteBitcodeToFile(**translated, stream);
  return bitcode;
}

absl::StatusOr<std::string> compileObject(std::string_view bitcode, const Variant &variant,
                                          const Options &options) {
  auto machine = targetMachine(variant);
  if (!machine.ok())
    return machine.status();
  llvm::LLVMContext context;
  auto buffer = llvm::MemoryBuffer::getMemBuffer(bitcode, "kernels", false);
  auto parsed = llvm::parseBitcodeFile(*buffer, context);
  if (!parsed)
    return absl::InternalError(
        absl::StrCat("the generated kernels: ", llvm::toString(parsed.takeError())));
  llvm::Module &code = **parsed;
  code.setTargetTriple(llvm::Triple(kTriple));
  code.setDataLayout((*machine)->createDataLayout());
  Stopwatch watch(options);
  if (absl::Status status = linkMicrokernels(code, variant); !status.ok())
    return status;
  watch.took("microkernels");
  optimize(code, **machine);
  watch.took("optimization");
  if (options.emit) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    code.print(stream, nullptr);
    options.emit(absl::StrCat("code.", variant.name, ".ll"), text);
    auto clone = llvm::CloneModule(code);
    auto assembly = emit(*clone, **machine, llvm::CodeGenFileType::AssemblyFile);
    if (!assembly.ok())
      return assembly.status();
    options.emit(absl::StrCat("code.", variant.name, ".s"), *assembly);
  }
  auto object = emit(code, **machine, llvm::CodeGenFileType::ObjectFile);
  watch.took("emission");
  return object;
}

} // namespace quern::cpu
