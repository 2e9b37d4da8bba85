// Kernels whose anchor is a long convolution: a thread walks a sequence's tokens with a channel's
// states.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"
#include "runtime/abi/CudaStep.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateLongConv() {
  auto conv = cast<LongConvOp>(anchor);
  const int64_t channels = colsOf(conv.getInput().getType()), share = conv.channelsThatShare();
  const int64_t blocks = llvm::divideCeil(channels, QUERN_CUDA_THREADS);
  setWork([=](const BucketShape &of) { return of.max_seqs * blocks; });
  include("LongConvolution.cuh");
  include("State.cuh");
  text.open("for (int item = worker; item < ", times(count("B"), blocks), "; item += workers)");
  text.line("const int seq = item / ", blocks, ", channel = item % ", blocks,
            " * kThreads + thread();");
  text.open("if (channel >= ", channels, ")");
  text.line("continue;");
  text.close();
  text.line("const int first = ", index("cu_seqlens", "seq"),
            ", end = ", single ? "1" : index("cu_seqlens", "seq + 1"), ";");
  const std::string filter = share == 1 ? "channel" : absl::StrCat("channel / ", share);
  text.line("LongConvolution<", conv.modes(), "> of(", fixedState(conv.getState(), "seq"),
            " + channel, ", channels, ", ", pointer(conv.getPoles()), " + ", filter, ", ",
            pointer(conv.getResidues()), " + ", filter, ", ", channels / share, ");");
  text.open("for (int token = first; token < end; ++token)");
  RowValues rows(*this, "token");
  text.line("const float x = ", rows.element(conv.getInput(), "channel"), ";");
  text.line("const float out = ",
            conv.getSkip()
                ? absl::StrCat("fma(", pointer(conv.getSkip()), "[channel], x, of.step(x))")
                : "of.step(x)",
            ";");
  bool own = true; // no other column of the result is asked for
  rows.bind(conv.getResult(), [&](const std::string &col, int64_t shift) -> std::string {
    own &= col == "channel" && shift == 0;
    return "out";
  });
  for (auto [i, value] : llvm::enumerate(yield.getValues()))
    text.line(result(i), "[i64(token) * ", channels,
              " + channel] = ", rows.element(value, "channel"), ";");
  text.close();
  text.line("of.keep();");
  text.close();
  if (!own)
    return op.emitError("has an epilogue that reads other channels: the cuda target has no "
                        "code for it");
  return success();
}

} // namespace quern::cuda
