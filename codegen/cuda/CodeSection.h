// A code section of the target cuda: a program's launches and its kernels, compiled for a variant,
// as runtime/artifact/cuda_code.fbs has them.
#ifndef QUERN_CODEGEN_CUDA_CODESECTION_H
#define QUERN_CODEGEN_CUDA_CODESECTION_H

#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/Program.h"

#include <span>
#include <string>

namespace quern::cuda {

/// `compiled`: one for each of the program's kernels, in their order.
std::string codeSection(const Program &program, std::span<const Compiled> compiled);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_CODESECTION_H
