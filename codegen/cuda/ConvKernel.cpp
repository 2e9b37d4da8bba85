// Kernels whose anchor is a causal convolution. Tokens and channels are shared out: the window of
// past inputs is looked into by a sequence's first tokens alone, and whoever has these keeps the
// new one.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"
#include "runtime/abi/CudaStep.h"

using namespace mlir;

namespace quern::cuda {

LogicalResult Kernel::generateConv() {
  auto conv = cast<CausalConv1dOp>(anchor);
  const int64_t channels = colsOf(conv.getInput().getType());
  const int64_t taps = cast<WeightType>(conv.getWeight().getType()).getShape()[1], past = taps - 1;
  const int64_t blocks = llvm::divideCeil(channels, QUERN_CUDA_THREADS);
  const int64_t chunk = std::max<int64_t>(16, past); // tokens at a time
  setWork([=](const BucketShape &of) {
    return (llvm::divideCeil(of.max_tokens, chunk) + of.max_seqs - 1) * blocks;
  });
  include("Convolution.cuh");
  text.line("int next = worker, done = 0;");
  text.open("for (int seq = 0; seq < ", count("B"), "; ++seq)");
  text.line("const int first = ", index("cu_seqlens", "seq"),
            ", end = ", single ? "1" : index("cu_seqlens", "seq + 1"), ";");
  text.line("const int items = (end - first + ", chunk - 1, ") / ", chunk, " * ", blocks, ";");
  text.open("for (; next < done + items; next += workers)");
  text.line("const int channel = (next - done) % ", blocks, " * kThreads + thread();");
  text.open("if (channel >= ", channels, ")");
  text.line("continue;");
  text.close();
  text.open("const auto input = [&](int token)");
  text.line("return ", RowValues(*this, "token").element(conv.getInput(), "channel"), ";");
  text.close("};");
  text.line("const Convolution<", taps, ", decltype(input)> of{");
  text.line("    input, ", fixedState(conv.getState(), "seq"), " + channel * ", past, ", ",
            pointer(conv.getWeight()), " + channel * ", taps, ", first, end};");
  text.line("const int from = first + (next - done) / ", blocks, " * ", chunk, ";");
  text.open("for (int token = from; token < least(from + ", chunk, ", end); ++token)");
  text.line("const float out = of.result(token, ",
            conv.getBias() ? pointer(conv.getBias()) + "[channel]" : "0.0f", ");");
  RowValues finished(*this, "token");
  bool own = true; // no other column of the result is asked for
  finished.bind(conv.getResult(), [&](const std::string &col, int64_t shift) -> std::string {
    own &= col == "channel" && shift == 0;
    return "out";
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
