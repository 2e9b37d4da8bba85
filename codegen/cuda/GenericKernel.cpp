// Kernels of general tensor programs.
#include "codegen/cuda/Kernel.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateGeneric() {
  return op.emitError("the cuda target has no code yet for general tensor ops\n"
                      "hint: --target cpu");
}

} // namespace quern::cuda
