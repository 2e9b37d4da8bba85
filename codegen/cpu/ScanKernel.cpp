// Kernels that walk a sequence in order: linear recurrences and causal convolutions.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/Rows.h"

#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateRecurrence() {
  auto scan = cast<LinearRecurrenceOp>(anchor);
  ArrayRef<int64_t> shape = scan.getState().getType().getShape();
  int64_t heads = shape[0], keyDim = shape[1], valueDim = shape[2];
  int64_t shared = heads / static_cast<int64_t>(scan.getGroups());
  int64_t decayCols = colsOf(scan.getDecay().getType()) / heads;
  Value out = code.scratch(code.f32(), valueDim);

  // A head of a sequence is one worker's: its state stays in the first cache over the step's
  // tokens.
  code.loop(code.c(0), count("B"), [&](Value seq) {
    Value first = index(offsetof(QuernStepArgs, cu_seqlens), seq);
    Value end = single ? code.c(1) : index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
    Value states = fixedState(scan.getState(), seq);
    code.loop(code.rem(code.add(worker, seq), workers), code.c(heads), workers, [&](Value head) {
      Value state = code.atBytes(states, code.mul(head, keyDim * valueDim * 4));
      Value keyFrom = code.mul(code.div(head, shared), keyDim);
      Value valueFrom = code.mul(head, valueDim);
      code.loop(first, end, [&](Value token) {
        Rows rows(*this, token);
        Value r = rows.place(scan.getR(), keyFrom, keyDim);
        Value k = rows.place(scan.getK(), keyFrom, keyDim);
        Value v = rows.place(scan.getV(), valueFrom, valueDim);
        Value decay = rows.place(scan.getDecay(), code.mul(head, decayCols), decayCols);
        Value kind = code.c32(static_cast<int64_t>(scan.getDecayKind()));
        SmallVector<Value> inputs = {state, r, k, v, decay, kind};
        if (scan.getA()) {
          inputs.push_back(rows.place(scan.getA(), keyFrom, keyDim));
          inputs.push_back(rows.place(scan.getB(), keyFrom, keyDim));
        }
        inputs.append({code.c(keyDim), code.c(valueDim), out});
        code.call(scan.getA() ? "qk_recurrence_step_delta" : "qk_recurrence_step", inputs);
        rows.bind(scan.getResult(), [&](Value col, int64_t shift) {
          return code.loadF(out, code.sub(code.add(col, shift), valueFrom));
        });
        for (auto [i, value] : llvm::enumerate(yield.getValues())) {
          Value start = code.add(code.mul(token, heads * valueDim), valueFrom);
          rows.write(value, valueFrom, valueDim, code.at(result(i), code.f32(), start));
        }
      });
    });
  });
  return success();
}

LogicalResult Kernel::generateConv() {
  auto conv = cast<CausalConv1dOp>(anchor);
  int64_t channels = colsOf(conv.getInput().getType());
  int64_t taps = cast<WeightType>(conv.getWeight().getType()).getShape()[1], past = taps - 1;
  // Channels a block: its history stays in the first cache.
  constexpr int64_t kBlock = 64;
  Value history = code.scratch(code.f32(), std::max<int64_t>(1, past) * kBlock);
  Value current = code.scratch(code.f32(), kBlock);
  Value weights = pointer(conv.getWeight());
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
      Rows rows(*this, token);
      Rows::Element input = rows.reader(conv.getInput(), channel, kBlock);
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
      Rows finished(*this, token);
      finished.bind(conv.getResult(), [&](Value col, int64_t shift) {
        return code.loadF(current, code.sub(code.add(col, shift), channel));
      });
      for (auto [i, value] : llvm::enumerate(yield.getValues())) {
        mlir::Value yielded = value;
        Value target = code.at(result(i), code.f32(), code.mul(token, channels));
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
