// Kernels whose anchor is a causal convolution, which walks a sequence in order.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateConv() {
  auto conv = cast<CausalConv1dOp>(anchor);
  int64_t channels = colsOf(conv.getInput().getType());
  int64_t taps = cast<WeightType>(conv.getWeight().getType()).getShape()[1], past = taps - 1;
  // Channels a block: its history stays in the first cache.
  constexpr int64_t kBlock = 64;
  auto history = code.scratch<float>(std::max<int64_t>(1, past) * kBlock);
  auto current = code.scratch<float>(kBlock);
  auto weights = pointer(conv.getWeight());
  auto [from, to] = code.share(code.c((channels + kBlock - 1) / kBlock), worker, workers);

  auto block = [&](Value seq, Value first, Value end, Value channel, Value width) {
    Value state = code.atBytes(fixedState(conv.getState(), seq), code.mul(channel, past * 4));
    // history[i][c] is the input i - past tokens ago; the state has it as [c][i].
    code.loop(code.c(0), width, [&](Value c) {
      code.loop(past, [&](Value i) {
        code.storeF(code.loadF(state, code.add(code.mul(c, past), i)), history,
                    code.add(code.mul(i, kBlock), c));
      });
    });
    code.loop(first, end, [&](Value token) {
      RowValues rows(*this, token);
      RowValues::Element input = rows.reader(conv.getInput(), channel, kBlock);
      code.loop(code.c(0), width, [&](Value c) {
        Value col = code.add(channel, c);
        Value x = input(col, 0);
        Value w = code.mul(col, taps);
        Value y = conv.getBias() ? code.loadF(pointer(conv.getBias()), col) : code.cf(0);
        for (int64_t i = 0; i < past; ++i) {
          Value h = code.loadF(history, code.add(c, i * kBlock));
          y = code.fma(h, code.loadF(weights, code.add(w, i)), y);
          if (i > 0)
            code.storeF(h, history, code.add(c, (i - 1) * kBlock));
        }
        y = code.fma(x, code.loadF(weights, code.add(w, past)), y);
        if (past > 0)
          code.storeF(x, history, code.add(c, (past - 1) * kBlock));
        code.storeF(y, current, c);
      });
      RowValues finished(*this, token);
      finished.bind(conv.getResult(), [&](Value col, int64_t shift) {
        return code.loadF(current, code.sub(code.add(col, shift), channel));
      });
      for (auto [i, value] : llvm::enumerate(yield.getValues())) {
        mlir::Value yielded = value;
        auto target = code.at(result(i), code.mul(token, channels));
        code.loop(code.c(0), width, [&](Value c) {
          Value col = code.add(channel, c);
          code.storeF(finished.element(yielded, col), target, col);
        });
      }
    });
    code.loop(code.c(0), width, [&](Value c) {
      code.loop(past, [&](Value i) {
        code.storeF(code.loadF(history, code.add(code.mul(i, kBlock), c)), state,
                    code.add(code.mul(c, past), i));
      });
    });
  };

  code.loop(code.c(0), count("B"), [&](Value seq) {
    Value first = index(offsetof(QuernStepArgs, cu_seqlens), seq);
    Value end = single ? code.c(1) : index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
    code.loop(from, to, [&](Value number) {
      Value channel = code.mul(number, kBlock);
      Value width = code.min(code.c(kBlock), code.sub(code.c(channels), channel));
      block(seq, first, end, channel, width);
    });
  });
  return success();
}
