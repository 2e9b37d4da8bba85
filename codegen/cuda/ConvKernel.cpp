// Kernels whose anchor is a causal convolution, or gives each token the row of the token before,
// which is a convolution of two taps of which the older alone counts. Tokens and channels are
// shared out: the window of past inputs is looked into by a sequence's first tokens alone, and
// whoever has these keeps the new one.
#include "codegen/cuda/Kernel.h"
#include "codegen/cuda/RowValues.h"
#include "runtime/abi/CudaStep.h"

using namespace mlir;

namespace quern::cuda {
namespace {

/// What of each token and channel is computed along a sequence.
struct AlongSequence {
  mlir::Value input, state, result; ///< of the anchor
  int64_t taps;
  std::string weights;     ///< of the channel, const float *
  std::string name, value; ///< of what is computed: an expression of `of`, a Convolution
};

LogicalResult write(Kernel &kernel, const AlongSequence &along) {
  Text &text = kernel.text;
  const int64_t channels = colsOf(along.input.getType()), past = along.taps - 1;
  const int64_t blocks = llvm::divideCeil(channels, QUERN_CUDA_THREADS);
  const int64_t chunk = std::max<int64_t>(16, past); // tokens at a time
  kernel.setWork([=](const BucketShape &of) {
    return (llvm::divideCeil(of.max_tokens, chunk) + of.max_seqs - 1) * blocks;
  });
  kernel.include("Convolution.cuh");
  text.line("int next = worker, done = 0;");
  text.open("for (int seq = 0; seq < ", kernel.count("B"), "; ++seq)");
  text.line("const int first = ", kernel.index("cu_seqlens", "seq"),
            ", end = ", kernel.single ? "1" : kernel.index("cu_seqlens", "seq + 1"), ";");
  text.line("const int items = (end - first + ", chunk - 1, ") / ", chunk, " * ", blocks, ";");
  text.open("for (; next < done + items; next += workers)");
  text.line("const int channel = (next - done) % ", blocks, " * kThreads + thread();");
  text.open("if (channel >= ", channels, ")");
  text.line("continue;");
  text.close();
  text.open("const auto input = [&](int token)");
  text.line("return ", RowValues(kernel, "token").element(along.input, "channel"), ";");
  text.close("};");
  text.line("const Convolution<", along.taps, ", decltype(input)> of{");
  text.line("    input, ", kernel.fixedState(along.state, "seq"), " + channel * ", past, ", ",
            along.weights, ", first, end};");
  text.line("const int from = first + (next - done) / ", blocks, " * ", chunk, ";");
  text.open("for (int token = from; token < least(from + ", chunk, ", end); ++token)");
  text.line("const float ", along.name, " = ", along.value, ";");
  RowValues finished(kernel, "token");
  bool own = true; // no other column of the result is asked for
  finished.bind(along.result, [&](const std::string &col, int64_t shift) -> std::string {
    own &= col == "channel" && shift == 0;
    return along.name;
  });
  for (auto [i, value] : llvm::enumerate(kernel.yield.getValues()))
    text.line(kernel.result(i), "[i64(token) * ", channels,
              " + channel] = ", finished.element(value, "channel"), ";");
  text.close();
  text.line("if (from == first)");
  text.line("  of.keep();");
  text.close();
  text.line("done += items;");
  text.close();
  if (!own)
    return kernel.op.emitError("has an epilogue that reads other channels: the cuda target has no "
                               "code for it");
  return success();
}

} // namespace

LogicalResult Kernel::generateConv() {
  auto conv = cast<CausalConv1dOp>(anchor);
  const int64_t taps = cast<WeightType>(conv.getWeight().getType()).getShape()[1];
  const std::string bias = conv.getBias() ? pointer(conv.getBias()) + "[channel]" : "0.0f";
  return write(*this, {.input = conv.getInput(),
                       .state = conv.getState(),
                       .result = conv.getResult(),
                       .taps = taps,
                       .weights = absl::StrCat(pointer(conv.getWeight()), " + channel * ", taps),
                       .name = "out",
                       .value = absl::StrCat("of.result(token, ", bias, ")")});
}

LogicalResult Kernel::generateTokenShift() {
  auto shift = cast<TokenShiftOp>(anchor);
  return write(*this, {.input = shift.getInput(),
                       .state = shift.getState(),
                       .result = shift.getResult(),
                       .taps = 2,
                       .weights = "nullptr",
                       .name = "before",
                       .value = "of.at(token, 1)"});
}

} // namespace quern::cuda
