// Tests what the compiler relies on: the bitcode holds every microkernel and refers to nothing
// else, and a loop that calls one becomes vector code once they are linked together and optimized.
#include "codegen/cpu/microkernels/Bitcode.h"

#include "codegen/cpu/microkernels/Microkernels.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Linker/Linker.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <gtest/gtest.h>

namespace quern::codegen {
namespace {

std::unique_ptr<llvm::Module> parse(std::string_view variant, llvm::LLVMContext &context) {
  const std::string_view bytes = microkernel_bitcode(variant);
  auto module = llvm::parseBitcodeFile(
      llvm::MemoryBufferRef(llvm::StringRef(bytes.data(), bytes.size()), "microkernels"), context);
  EXPECT_TRUE(static_cast<bool>(module)) << llvm::toString(module.takeError());
  return std::move(*module);
}

TEST(Bitcode, KnowsItsVariants) {
  EXPECT_EQ(microkernel_variants().size(), 3u);
  for (const std::string_view variant : microkernel_variants())
    EXPECT_GT(microkernel_bitcode(variant).size(), 10000u);
  EXPECT_TRUE(microkernel_bitcode("x86-64-v2").empty());
}

TEST(Bitcode, DefinesEveryMicrokernelAndNeedsNothing) {
  for (const std::string_view variant : microkernel_variants()) {
    llvm::LLVMContext context;
    const auto module = parse(variant, context);
    EXPECT_FALSE(llvm::verifyModule(*module, &llvm::errs()));
#define QK_CHECK(RESULT, NAME, PARAMETERS)                                                         \
  EXPECT_TRUE(module->getFunction(#NAME) && !module->getFunction(#NAME)->isDeclaration()) << #NAME;
    QK_FOR_EACH_KERNEL(QK_CHECK)
#undef QK_CHECK
    for (const llvm::Function &function : *module)
      if (function.isDeclaration() && !function.isIntrinsic())
        EXPECT_TRUE(function.getName() == "memcpy" || function.getName() == "memset")
            << function.getName().str();
    for (const llvm::GlobalVariable &global : module->globals())
      EXPECT_TRUE(global.isConstant()) << global.getName().str();
  }
}

TEST(Bitcode, CallsInLoopsVectorize) {
  llvm::InitializeNativeTarget();
  for (const std::string_view variant : microkernel_variants())
    for (const char *name : {"qk_exp",
                             "qk_log",
                             "qk_log1p",
                             "qk_sigmoid",
                             "qk_silu",
                             "qk_tanh",
                             "qk_erf",
                             "qk_gelu_tanh",
                             "qk_gelu_erf",
                             "qk_softplus",
                             "qk_relu",
                             "qk_mish",
                             "qk_relu6",
                             "qk_leaky_relu",
                             "qk_hardswish",
                             "qk_gelu_10",
                             "qk_sqrt",
                             "qk_rsqrt",
                             "qk_sin",
                             "qk_cos",
                             "qk_abs",
                             "qk_log_sigmoid",
                             "qk_one_minus_square_root"}) {
      llvm::LLVMContext context;
      auto kernels = parse(variant, context);
      llvm::SMDiagnostic problem;
      auto module = llvm::parseAssemblyString("declare float @" + std::string(name) + R"((float)
define void @loop(ptr noalias %in, ptr noalias %out, i64 %n) {
entry:
  br label %body
body:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %from = getelementptr inbounds float, ptr %in, i64 %i
  %to = getelementptr inbounds float, ptr %out, i64 %i
  %x = load float, ptr %from
  %y = call float @)" + std::string(name) + R"((float %x)
  store float %y, ptr %to
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %body, label %exit
exit:
  ret void
})",
                                              problem, context);
      ASSERT_TRUE(module) << problem.getMessage().str();
      module->setDataLayout(kernels->getDataLayout());
      module->setTargetTriple(kernels->getTargetTriple());
      // What Bitcode.h tells callers to do.
      llvm::Function *loop = module->getFunction("loop");
      for (const char *attribute : {"target-cpu", "target-features", "tune-cpu",
                                    "prefer-vector-width", "min-legal-vector-width"})
        if (const auto value = kernels->getFunction(name)->getFnAttribute(attribute);
            value.isStringAttribute())
          loop->addFnAttr(value);
      const std::string cpu = loop->getFnAttribute("target-cpu").getValueAsString().str();
      ASSERT_FALSE(
          llvm::Linker::linkModules(*module, std::move(kernels), llvm::Linker::LinkOnlyNeeded));

      std::string error;
      const llvm::Target *target =
          llvm::TargetRegistry::lookupTarget(module->getTargetTriple(), error);
      ASSERT_TRUE(target) << error;
      std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
          module->getTargetTriple(), cpu, "", llvm::TargetOptions(), llvm::Reloc::PIC_));
      llvm::PassBuilder builder(machine.get());
      llvm::LoopAnalysisManager loops;
      llvm::FunctionAnalysisManager functions;
      llvm::CGSCCAnalysisManager components;
      llvm::ModuleAnalysisManager modules;
      builder.registerModuleAnalyses(modules);
      builder.registerCGSCCAnalyses(components);
      builder.registerFunctionAnalyses(functions);
      builder.registerLoopAnalyses(loops);
      builder.crossRegisterProxies(loops, functions, components, modules);
      builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(*module, modules);

      unsigned widest = 0;
      for (const llvm::Instruction &instruction : llvm::instructions(module->getFunction("loop"))) {
        if (const auto *call = llvm::dyn_cast<llvm::CallInst>(&instruction))
          EXPECT_TRUE(call->getCalledFunction() && call->getCalledFunction()->isIntrinsic())
              << name;
        if (const auto *store = llvm::dyn_cast<llvm::StoreInst>(&instruction))
          if (const auto *type =
                  llvm::dyn_cast<llvm::FixedVectorType>(store->getValueOperand()->getType()))
            widest = std::max(widest, type->getNumElements());
      }
      // A register of floats at a time, or of doubles where they are computed with.
      const bool doubles = name == std::string_view("qk_sin") || name == std::string_view("qk_cos");
      EXPECT_GE(widest, (variant == "x86-64-v3" ? 8u : 16u) / (doubles ? 2 : 1))
          << name << " for " << variant;
    }
}

} // namespace
} // namespace quern::codegen
