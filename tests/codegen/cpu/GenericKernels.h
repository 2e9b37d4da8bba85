// Kernels of general regions, one of each kind, for GenericKernelTest.cpp.
#ifndef QUERN_TESTS_CODEGEN_CPU_GENERICKERNELS_H
#define QUERN_TESTS_CODEGEN_CPU_GENERICKERNELS_H

#include <string>

namespace quern::test {

/// All of them, as text. Matrices are a x b, products a x b x c.
std::string generic_kernels();

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_CPU_GENERICKERNELS_H
