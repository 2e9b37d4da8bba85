// Both, for tests that include MLIR's headers.
#ifndef QUERN_CMAKE_MLIR_TEST_PCH_H
#define QUERN_CMAKE_MLIR_TEST_PCH_H
#include "cmake/mlir_pch.h"
#include "cmake/test_pch.h"

#endif // QUERN_CMAKE_MLIR_TEST_PCH_H
