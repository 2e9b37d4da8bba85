// See Backend.h.
#include "codegen/cpu/Backend.h"

#include "codegen/cpu/microkernels/Bitcode.h"

#include "absl/strings/str_cat.h"
#include "lld/Common/Driver.h"
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
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/IPO/Internalize.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

LLD_HAS_DRIVER(elf)

namespace quern::cpu {
namespace {

constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

absl::StatusOr<std::unique_ptr<llvm::TargetMachine>> targetMachine(const Variant &variant) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
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
  std::string_view bytes = codegen::microkernel_bitcode(variant.name);
  if (bytes.empty())
    return absl::InternalError(absl::StrCat("there are no microkernels for ", variant.name));
  auto buffer =
      llvm::MemoryBuffer::getMemBuffer({bytes.data(), bytes.size()}, "microkernels", false);
  auto library = llvm::parseBitcodeFile(*buffer, module.getContext());
  if (!library)
    return absl::InternalError(absl::StrCat("the microkernels of ", variant.name, ": ",
                                            llvm::toString(library.takeError())));
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

/// A scratch file, removed when it goes out of scope.
class ScratchFile {
public:
  static absl::StatusOr<ScratchFile> create(llvm::StringRef suffix) {
    ScratchFile file;
    if (std::error_code error = llvm::sys::fs::createTemporaryFile("quern", suffix, file.path))
      return absl::InternalError(absl::StrCat("no temporary file could be made: ", error.message(),
                                              " (is TMPDIR writable?)"));
    return file;
  }
  ScratchFile() = default;
  ScratchFile(ScratchFile &&other) : path(std::move(other.path)) { other.path.clear(); }
  ~ScratchFile() {
    if (!path.empty())
      llvm::sys::fs::remove(path);
  }
  llvm::SmallString<128> path;
};

/// Links one relocatable object into a shared one that needs no library but libc's memory
/// functions.
absl::StatusOr<std::string> linkShared(const std::string &object) {
  auto input = ScratchFile::create("o");
  if (!input.ok())
    return input.status();
  auto output = ScratchFile::create("so");
  if (!output.ok())
    return output.status();
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(input->path, error);
    stream << object;
    stream.close();
    if (stream.has_error())
      error = stream.error();
    stream.clear_error();
    if (error)
      return absl::ResourceExhaustedError(absl::StrCat(input->path.str().str(),
                                                       ": cannot write: ", error.message(),
                                                       "\nhint: set TMPDIR to a folder with room"));
  }
  std::string messages;
  llvm::raw_string_ostream errors(messages);
  std::string in = input->path.str().str(), out = output->path.str().str();
  const char *args[] = {"ld.lld", "-shared",   "--build-id=none", "--hash-style=gnu", "-z",
                        "now",    "-z",        "noexecstack",     "-soname=quern",    "-s",
                        "-o",     out.c_str(), in.c_str()};
  static std::mutex lld; // lld's state is global
  std::lock_guard lock(lld);
  lld::Result result = lld::lldMain(args, errors, errors, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return absl::InternalError(absl::StrCat("lld: ", messages));
  auto buffer = llvm::MemoryBuffer::getFile(out);
  if (!buffer)
    return absl::InternalError("the linked object could not be read back");
  return (*buffer)->getBuffer().str();
}

} // namespace

absl::StatusOr<std::string> buildObject(mlir::ModuleOp module, const Variant &variant,
                                        const Options &options) {
  auto machine = targetMachine(variant);
  if (!machine.ok())
    return machine.status();
  llvm::LLVMContext context;
  auto translated = translate(module, context);
  if (!translated.ok())
    return translated.status();
  llvm::Module &code = **translated;
  code.setTargetTriple(llvm::Triple(kTriple));
  code.setDataLayout((*machine)->createDataLayout());
  if (absl::Status status = linkMicrokernels(code, variant); !status.ok())
    return status;
  optimize(code, **machine);
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
  if (!object.ok())
    return object.status();
  return linkShared(*object);
}

} // namespace quern::cpu
