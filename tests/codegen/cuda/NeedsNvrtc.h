// Skips a test where there is no NVRTC to compile with.
#ifndef QUERN_TESTS_CODEGEN_CUDA_NEEDSNVRTC_H
#define QUERN_TESTS_CODEGEN_CUDA_NEEDSNVRTC_H

#include "codegen/cuda/Nvrtc.h"

#include <gtest/gtest.h>

#define QUERN_NEEDS_NVRTC()                                                                        \
  if (!quern::cuda::available().ok())                                                              \
  GTEST_SKIP() << "there is no NVRTC (scripts/get-nvrtc)"

#endif // QUERN_TESTS_CODEGEN_CUDA_NEEDSNVRTC_H
