// One kernel of textual IR, generated, compiled by NVRTC, and run by the PTX interpreter with all
// its detectors: every launch in another order of warps and blocks, and without bank conflicts
// above 2-way.
#ifndef QUERN_TESTS_CODEGEN_CUDA_KERNELRUN_H
#define QUERN_TESTS_CODEGEN_CUDA_KERNELRUN_H

#include "codegen/cuda/Kernel.h"
#include "tests/ptx/Interpreter.h"
#include "tests/ptx/Watch.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace quern::test {

/// A step of sequences, each `tokens` more behind `before` that it has.
struct Sequence {
  int before, tokens;
};

class KernelRun {
public:
  /// `text`: a quern.kernel @k. Failures end the test.
  static std::unique_ptr<KernelRun> create(const std::string &text, cuda::Form form);

  ptx::Device device;
  /// Counts launches from now on.
  void count() { watch.count(true); }
  /// The last launch's counters.
  const ptx::Counters &counters() { return watch.counting()->kernels().back(); }

  /// What the step has: set before `launch`.
  void setSequences(const std::vector<Sequence> &sequences);
  /// kv state: pages of `bytes` from `pool` on; those of sequence b are tables[b].
  void setPages(uint64_t pool, int64_t bytes, const std::vector<std::vector<int32_t>> &tables);
  void setFixedStates(const std::vector<uint64_t> &slots);

  /// Runs the kernel by `workers` blocks, with operands as CudaStep.h has them. Anything that the
  /// interpreter reports fails the test.
  void launch(uint32_t workers, const std::vector<uint64_t> &operands);
  /// The largest number of workers that can have something to do in a step of that size.
  int64_t mostWorkers(const BucketShape &shape) const { return kernel->mostWorkers(shape); }

  int numTokens() const { return static_cast<int>(positions.size()); }
  std::vector<int32_t> cu, positions, tokenSeq;

private:
  ptx::Watch watch{ptx::kDeviceBase, device.memory().reserve()};
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<cuda::Kernel> kernel;
  const ptx::Module *code = nullptr;
  uint64_t kv = 0, fixedStates = 0, arrivals = 0;
};

/// Random numbers in [-1, 1), the same on every machine.
std::vector<float> random_floats(uint32_t seed, size_t count);

} // namespace quern::test

#endif // QUERN_TESTS_CODEGEN_CUDA_KERNELRUN_H
