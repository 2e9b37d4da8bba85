// quern-opt: runs passes on textual IR; registration, flags and MlirOptMain, nothing else.
#include "compiler/opt/QuernOpt.h"

#include "compiler/pipeline/Pipeline.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/VerifySemantics.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;
using quern::reference::VerifySemanticsOptions;

namespace {

struct VerifySemanticsFlags {
  llvm::cl::OptionCategory category{"Semantic verification of passes"};
  llvm::cl::opt<bool> enabled{
      "verify-semantics",
      llvm::cl::desc("Run the module in the interpreter before and after each pass, and fail at "
                     "the first pass that changes its numbers"),
      llvm::cl::cat(category)};
  llvm::cl::opt<uint64_t> seed{
      "verify-semantics-seed", llvm::cl::desc("Seed of the trial batches' tokens"),
      llvm::cl::init(VerifySemanticsOptions().seed), llvm::cl::cat(category)};
  llvm::cl::opt<double> tolerance{
      "verify-semantics-tolerance",
      llvm::cl::desc("How far an output may move, in standard deviations of the outputs"),
      llvm::cl::init(VerifySemanticsOptions().tolerance), llvm::cl::cat(category)};
  llvm::cl::list<std::string> lossy{
      "verify-semantics-lossy",
      llvm::cl::desc("Passes that may round numbers by choosing formats (a trailing * matches any "
                     "rest), and are held to the tolerance with formats that round nothing; "
                     "default: quern-quantize*"),
      llvm::cl::CommaSeparated, llvm::cl::cat(category)};
  llvm::cl::opt<double> lossyTolerance{
      "verify-semantics-lossy-tolerance",
      llvm::cl::desc("How far the rounding of such a pass may move the outputs, root mean square, "
                     "in standard deviations"),
      llvm::cl::init(VerifySemanticsOptions().lossy_tolerance), llvm::cl::cat(category)};

  VerifySemanticsOptions options() const {
    VerifySemanticsOptions options;
    options.seed = seed;
    options.tolerance = tolerance;
    if (lossy.getNumOccurrences())
      options.lossy.assign(lossy.begin(), lossy.end());
    options.lossy_tolerance = lossyTolerance;
    return options;
  }
};

LogicalResult runOnFile(const std::string &input, const std::string &output,
                        DialectRegistry &registry, const MlirOptMainConfig &config) {
  std::string error;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(input, &error);
  if (!buffer) {
    llvm::errs() << error << "\n";
    return failure();
  }
  std::unique_ptr<llvm::ToolOutputFile> file = openOutputFile(output, &error);
  if (!file) {
    llvm::errs() << error << "\n";
    return failure();
  }
  if (failed(MlirOptMain(file->os(), std::move(buffer), registry, config)))
    return failure();
  file->keep();
  return success();
}

} // namespace

int quern::run_quern_opt(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  DialectRegistry registry;
  registry.insert<QuernDialect, func::FuncDialect, arith::ArithDialect, linalg::LinalgDialect,
                  math::MathDialect, scf::SCFDialect, tensor::TensorDialect>();
  registerTransformsPasses();
  quern::registerPipelines();

  VerifySemanticsFlags flags;
  auto [input, output] =
      registerAndParseCLIOptions(argc, argv, "Quern optimizer driver\n", registry);
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  if (flags.enabled) {
    // The passes the command line asks for, then the watch over them.
    MlirOptMainConfig asked = config;
    config.setPassPipelineSetupFn([asked, options = flags.options()](PassManager &pm) {
      if (failed(asked.setupPassPipeline(pm)))
        return failure();
      reference::verify_semantics(pm, options);
      return success();
    });
  }
  return asMainReturnCode(runOnFile(input, output, registry, config));
}
