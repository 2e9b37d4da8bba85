// A planned module as CUDA C++: the kernels' texts, and each bucket as launches of them.
#ifndef QUERN_CODEGEN_CUDA_PROGRAM_H
#define QUERN_CODEGEN_CUDA_PROGRAM_H

#include "codegen/schedule/Calls.h"

#include "mlir/IR/BuiltinOps.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern::cuda {

/// A __global__ function.
struct KernelText {
  std::string name;        ///< of the function: "linear_0_many"
  std::string text;        ///< CUDA C++: a translation unit, if it were alone
  int64_t shared;          ///< dynamic shared memory of a block, in bytes
  bool persistent = false; ///< it runs a whole bucket (PersistentKernel.h)
  size_t module = 0;       ///< of Program::modules
};

/// A translation unit.
struct ModuleText {
  std::string name; ///< the kernel's, or "rows_0_one_and_5_more"
  std::string text; ///< CUDA C++
  std::vector<size_t> kernels;
};

struct Launch {
  size_t kernel;       ///< of Program::kernels
  size_t dispatch;     ///< which of the bucket's dispatches it is
  int64_t max_workers; ///< blocks beyond which there is nothing more to share out
  llvm::SmallVector<codegen::Operand, 8> operands;
};

struct BucketLaunches {
  std::string symbol; ///< as the manifest names it: "quern_step_decode1"
  std::vector<Launch> launches;
  std::optional<Launch> persistent; ///< all of it in one
};

struct Program {
  std::vector<KernelText> kernels; ///< each once, whatever the number of layers
  /// Kernels that include the same headers are compiled together: of a small one's time most is
  /// reading those and starting the compilers.
  std::vector<ModuleText> modules;
  std::vector<BucketLaunches> buckets;
};

/// The program of a module that holds what the plan phase promises. Error: Internal; what cannot be
/// done is an error on the kernel, given to the context's diagnostic handler.
absl::StatusOr<Program> writeProgram(mlir::ModuleOp planned);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_PROGRAM_H
