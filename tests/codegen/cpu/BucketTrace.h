// What a bucket's generated function does, by running the function's IR: which kernels it calls, in
// order, on which addresses, and where it waits.
#ifndef QUERN_TESTS_CODEGEN_CPU_BUCKETTRACE_H
#define QUERN_TESTS_CODEGEN_CPU_BUCKETTRACE_H

#include "codegen/schedule/Calls.h"

#include <string>
#include <vector>

namespace quern::test {

/// The kernels and buckets of a planned module as MLIR.
class GeneratedKernels {
public:
  /// Failures end the test.
  explicit GeneratedKernels(mlir::ModuleOp planned);

  struct Traced {
    std::string function; ///< "linear_3.many"
    int64_t number = 0;   ///< by which its time is noted
    codegen::Call call;   ///< what it does; `last` is not seen here
  };
  /// The calls of a bucket's function, its loops unrolled. What the function does beside calling
  /// kernels and waiting ends the test.
  std::vector<Traced> trace(mlir::func::FuncOp bucket) const;

  /// Whether a function of the module, of a kernel, fetches chunks.
  bool fetches(const std::string &function) const;

private:
  mlir::ModuleOp planned_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
};

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_CPU_BUCKETTRACE_H
