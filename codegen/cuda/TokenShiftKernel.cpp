// Kernels whose anchor gives each token the row of the token before: as a convolution of two taps
// of which the older alone counts, shared out like one.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"
#include "runtime/abi/CudaStep.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateTokenShift() {
  auto shift = cast<TokenShiftOp>(anchor);
  const int64_t channels = colsOf(shift.getInput().getType());
  const int64_t blocks = llvm::divideCeil(channels, QUERN_CUDA_THREADS);
  constexpr int64_t kChunk = 16; // tokens at a time
  setWork([=](const BucketShape &of) {
    return (llvm::divideCeil(of.max_tokens, kChunk) + of.max_seqs - 1) * blocks;
  });
  include("Convolution.cuh");
  text.line("int next = worker, done = 0;");
  text.open("for (int seq = 0; seq < ", count("B"), "; ++seq)");
  text.line("const int first = ", index("cu_seqlens", "seq"),
            ", end = ", single ? "1" : index("cu_seqlens", "seq + 1"), ";");
  text.line("const int items = (end - first + ", kChunk - 1, ") / ", kChunk, " * ", blocks, ";");
  text.open("for (; next < done + items; next += workers)");
  text.line("const int channel = (next - done) % ", blocks, " * kThreads + thread();");
  text.open("if (channel >= ", channels, ")");
  text.line("continue;");
  text.close();
  text.open("const auto input = [&](int token)");
  text.line("return ", RowValues(*this, "token").element(shift.getInput(), "channel"), ";");
  text.close("};");
  text.line("const Convolution<2, decltype(input)> of{input, ", fixedState(shift.getState(), "seq"),
            " + channel, nullptr, first, end};");
  text.line("const int from = first + (next - done) / ", blocks, " * ", kChunk, ";");
  text.open("for (int token = from; token < least(from + ", kChunk, ", end); ++token)");
  text.line("const float before = of.at(token, 1);");
  RowValues finished(*this, "token");
  bool own = true; // no other column of the result is asked for
  finished.bind(shift.getResult(), [&](const std::string &col, int64_t offset) -> std::string {
    own &= col == "channel" && offset == 0;
    return "before";
  });
  for (auto [i, value] : llvm::enumerate(yield.getValues()))
    text.line(result(i), "[i64(token) * ", channels,
              " + channel] = ", finished.element(value, "channel"), ";");
  text.close();
  text.line("if (from == first)");
  text.line("  of.keep();");
  text.close();
  text.line("done += items;");
  text.close();
  if (!own)
    return op.emitError("has an epilogue that reads other channels: the cuda target has no code "
                        "for it");
  return success();
}

} // namespace quern::cuda
