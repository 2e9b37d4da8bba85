// Kernels of general tensor programs.
#include "codegen/cpu/Kernel.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateGeneric() {
  return op.emitError("the cpu target has no code yet for general tensor ops");
}
