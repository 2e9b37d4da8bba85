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
  // Up to so many taps are written out; longer filters are a loop, over taps first, so that
  // channels stay neighbours.
  constexpr int64_t kWrittenOut = 16;
  constexpr int64_t kMostTaps = 8192; // of a few channels, their inputs and filters fill a stack
  const bool loops = taps > kWrittenOut;
  if (taps > kMostTaps)
    return op.emitError("has filters of ")
           << taps << " taps: the cpu target has code for up to " << kMostTaps;
  // Channels a block at most: its history stays in the first cache, or in the second.
  const int64_t most = loops ? 16 : 64;
  auto history = code.scratch<float>(taps * most);
  auto filters = code.scratch<float>(loops ? taps * most : 1);
  auto current = code.scratch<float>(most);
  auto weights = pointer(conv.getWeight());
  auto [from, to] = code.share(code.c((channels + most - 1) / most), worker, workers);

  auto block = [&](Value seq, Value first, Value end, Value channel, Value width) {
    Value state = code.atBytes(fixedState(conv.getState(), seq), code.mul(channel, past * 4));
    // history[i][c] is the input i - past tokens ago; the state has it as [c][i].
    code.loop(code.c(0), width, [&](Value c) {
      code.loop(past, [&](Value i) {
        code.storeF(code.loadF(state, code.add(code.mul(c, past), i)), history,
                    code.add(code.mul(i, most), c));
      });
    });
    auto convolve = [&](const RowValues::Element &input) {
      code.loop(code.c(0), width, [&](Value c) {
        Value col = code.add(channel, c);
        Value x = input(col, 0);
        Value w = code.mul(col, taps);
        Value y = conv.getBias() ? code.loadF(pointer(conv.getBias()), col) : code.cf(0);
        for (int64_t i = 0; i < past; ++i) {
          Value h = code.loadF(history, code.add(c, i * most));
          y = code.fma(h, code.loadF(weights, code.add(w, i)), y);
          if (i > 0)
            code.storeF(h, history, code.add(c, (i - 1) * most));
        }
        y = code.fma(x, code.loadF(weights, code.add(w, past)), y);
        if (past > 0)
          code.storeF(x, history, code.add(c, (past - 1) * most));
        code.storeF(y, current, c);
      });
    };
    auto convolveInLoops = [&](const RowValues::Element &input) {
      code.loop(code.c(0), width, [&](Value c) {
        Value col = code.add(channel, c);
        code.storeF(conv.getBias() ? code.loadF(pointer(conv.getBias()), col) : code.cf(0), current,
                    c);
        code.storeF(input(col, 0), history, code.add(c, past * most));
      });
      auto tap = [&](Value c, Value row, bool moves) {
        Value at = code.add(row, c), h = code.loadF(history, at);
        code.storeF(code.fma(h, code.loadF(filters, at), code.loadF(current, c)), current, c);
        if (moves)
          code.storeF(h, history, code.sub(at, code.c(most)));
      };
      code.loop(code.c(0), width, [&](Value c) { tap(c, code.c(0), false); });
      code.loop(code.c(1), code.c(taps), [&](Value i) {
        Value row = code.mul(i, most);
        code.loop(code.c(0), width, [&](Value c) { tap(c, row, true); });
      });
    };
    if (loops)
      code.loop(code.c(0), width, [&](Value c) {
        code.loop(taps, [&](Value i) {
          Value w = code.add(code.mul(code.add(channel, c), taps), i);
          code.storeF(code.loadF(weights, w), filters, code.add(code.mul(i, most), c));
        });
      });
    code.loop(first, end, [&](Value token) {
      RowValues rows(*this, token);
      RowValues::Element input = rows.reader(conv.getInput(), channel, most);
      loops ? convolveInLoops(input) : convolve(input);
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
        code.storeF(code.loadF(history, code.add(code.mul(i, most), c)), state,
                    code.add(code.mul(c, past), i));
      });
    });
  };

  code.loop(code.c(0), count("B"), [&](Value seq) {
    Value first = index(offsetof(QuernStepArgs, cu_seqlens), seq);
    Value end = single ? code.c(1) : index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
    code.loop(from, to, [&](Value number) {
      Value channel = code.mul(number, most);
      Value width = code.min(code.c(most), code.sub(code.c(channels), channel));
      block(seq, first, end, channel, width);
    });
  });
  return success();
}
