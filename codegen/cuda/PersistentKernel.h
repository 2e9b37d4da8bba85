// A bucket as one launch: its kernels' functions in the schedule's order, with a barrier of the
// whole grid where workers wait, and a loop where layers are alike.
//
//     extern "C" __global__ void quern_step_decode1(const QuernCudaStep *step, const u8 *weights,
//                                                   u8 *arena, inputs..., results...)
//
// It computes what the launches one by one do, bit for bit. What it saves is the time between them:
// behind each product the weights of the next one are called into the second cache, so that memory
// is read while blocks wait for each other and while other kernels run.
#ifndef QUERN_CODEGEN_CUDA_PERSISTENTKERNEL_H
#define QUERN_CODEGEN_CUDA_PERSISTENTKERNEL_H

#include "codegen/cuda/Kernel.h"
#include "codegen/schedule/Loops.h"

namespace quern::cuda {

struct PersistentKernel {
  std::string text; ///< CUDA C++, of a translation unit
  int64_t shared;   ///< dynamic shared memory of a block, in bytes
  llvm::SmallVector<codegen::Operand, 8> operands;
};

/// The kernel `name` of a bucket's calls and of the loops among them. `kernels` are the calls', in
/// their order.
PersistentKernel writePersistent(llvm::StringRef name, llvm::ArrayRef<codegen::Call> calls,
                                 llvm::ArrayRef<codegen::Loop> loops,
                                 llvm::ArrayRef<const Kernel *> kernels);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_PERSISTENTKERNEL_H
