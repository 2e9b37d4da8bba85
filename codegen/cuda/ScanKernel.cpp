// Kernels whose anchor is a scan: a thread walks a sequence's tokens with the states of a column.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"
#include "runtime/abi/CudaStep.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateScan() {
  auto scan = cast<ScanOp>(anchor);
  const int64_t columns = scan.columns(), states = scan.states();
  const int64_t blocks = llvm::divideCeil(columns, QUERN_CUDA_THREADS);
  setWork([=](const BucketShape &of) { return of.max_seqs * blocks; });
  include("State.cuh");
  for (auto [argument, input] : llvm::zip(scan.inputArguments(), scan.getInputs()))
    if (isa<WeightType>(input.getType()))
      alias(argument, input);
  text.open("for (int item = worker; item < ", times(count("B"), blocks), "; item += workers)");
  text.line("const int seq = item / ", blocks, ", col = item % ", blocks,
            " * kThreads + thread();");
  text.open("if (col >= ", columns, ")");
  text.line("continue;");
  text.close();
  text.line("const int first = ", index("cu_seqlens", "seq"),
            ", end = ", single ? "1" : index("cu_seqlens", "seq + 1"), ";");
  text.line("float *const kept = ", fixedState(scan.getState(), "seq"), " + col;");
  for (int64_t s = 0; s < states; ++s)
    text.line("float state", s, " = kept[", s * columns, "];");
  text.open("for (int token = first; token < end; ++token)");
  RowValues rows(*this, "token");
  for (auto [s, argument] : llvm::enumerate(scan.stateArguments()))
    rows.bind(argument,
              [name = absl::StrCat("state", s)](const std::string &, int64_t) { return name; });
  for (auto [argument, input] : llvm::zip(scan.inputArguments(), scan.getInputs()))
    if (!isa<WeightType>(input.getType()))
      rows.bind(argument, [&rows, input](const std::string &col, int64_t shift) {
        return rows.element(input, plus(col, shift));
      });
  for (auto [i, yielded] : llvm::enumerate(scan.yield().getValues()))
    text.line("const float next", i, " = ", rows.element(yielded, "col"), ";");
  for (int64_t s = 0; s < states; ++s)
    text.line("state", s, " = next", s, ";");
  for (auto [i, value] : llvm::enumerate(yield.getValues()))
    text.line(result(i), "[i64(token) * ", columns, " + col] = next",
              states + cast<OpResult>(value).getResultNumber(), ";");
  text.close();
  for (int64_t s = 0; s < states; ++s)
    text.line("kept[", s * columns, "] = state", s, ";");
  text.close();
  return success();
}

} // namespace quern::cuda
