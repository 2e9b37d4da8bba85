// Kernels whose anchor gives each token the row of the token before.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateTokenShift() {
  auto shift = cast<TokenShiftOp>(anchor);
  const int64_t channels = colsOf(shift.getInput().getType());
  // Channels a block: those of a row are a worker's for all of the step's tokens.
  constexpr int64_t kBlock = 64;
  auto before = code.scratch<float>(kBlock);
  auto [from, to] = code.share(code.c((channels + kBlock - 1) / kBlock), worker, workers);

  auto block = [&](Value seq, Value first, Value end, Value channel, Value width) {
    auto each = [&](std::function<void(Value)> body) { code.loop(code.c(0), width, body); };
    Value state = code.atBytes(fixedState(shift.getState(), seq), code.mul(channel, 4));
    each([&](Value c) { code.storeF(code.loadF(state, c), before, c); });
    code.loop(first, end, [&](Value token) {
      RowValues finished(*this, token);
      finished.bind(shift.getResult(), [&](Value col, int64_t offset) {
        return code.loadF(before, code.sub(code.add(col, offset), channel));
      });
      for (auto [i, value] : llvm::enumerate(yield.getValues())) {
        mlir::Value yielded = value;
        auto target = code.at(result(i), code.mul(token, channels));
        each([&](Value c) {
          Value col = code.add(channel, c);
          code.storeF(finished.element(yielded, col), target, col);
        });
      }
      RowValues rows(*this, token);
      RowValues::Element input = rows.reader(shift.getInput(), channel, kBlock);
      each([&](Value c) { code.storeF(input(code.add(channel, c), 0), before, c); });
    });
    each([&](Value c) { code.storeF(code.loadF(before, c), state, c); });
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
