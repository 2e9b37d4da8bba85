// Kernels whose anchor is a scan: the body of a token after the other, blocks of columns shared
// out.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

LogicalResult Kernel::generateScan() {
  auto scan = cast<ScanOp>(anchor);
  const int64_t columns = scan.columns(), states = scan.states();
  // Columns a block: their states stay in the first cache over the step's tokens.
  constexpr int64_t kBlock = 64;
  auto kept = code.scratch<float>(states * kBlock);
  for (auto [argument, input] : llvm::zip(scan.inputArguments(), scan.getInputs()))
    if (isa<WeightType>(input.getType()))
      alias(argument, input);
  auto [from, to] = code.share(code.c((columns + kBlock - 1) / kBlock), worker, workers);

  auto block = [&](Value seq, Value first, Value end, Value column, Value width) {
    auto each = [&](std::function<void(Value)> body) { code.loop(code.c(0), width, body); };
    Pointer<float> state(code.atBytes(fixedState(scan.getState(), seq), code.mul(column, 4)));
    auto move = [&](Value from, int64_t stride, Value to, int64_t toStride) {
      for (int64_t s = 0; s < states; ++s)
        each([&](Value c) {
          code.storeF(code.loadF(from, code.add(c, s * stride)), to, code.add(c, s * toStride));
        });
    };
    move(state, columns, kept, kBlock);
    code.loop(first, end, [&](Value token) {
      RowValues rows(*this, token);
      for (auto [s, argument] : llvm::enumerate(scan.stateArguments()))
        rows.bind(argument, [&, at = static_cast<int64_t>(s) * kBlock](Value col, int64_t shift) {
          return code.loadF(kept, code.add(code.sub(code.add(col, shift), column), at));
        });
      for (auto [argument, input] : llvm::zip(scan.inputArguments(), scan.getInputs())) {
        if (isa<WeightType>(input.getType()))
          continue;
        // Of one that is repeated all columns are read: which they are is computed.
        const int64_t cols = colsOf(input.getType());
        rows.bind(argument, cols == columns ? rows.reader(input, column, kBlock)
                                            : rows.reader(input, code.c(0), cols));
      }
      each([&](Value c) {
        Value col = code.add(column, c);
        SmallVector<Value> values;
        for (mlir::Value yielded : scan.yield().getValues())
          values.push_back(rows.element(yielded, col));
        for (int64_t s = 0; s < states; ++s)
          code.storeF(values[s], kept, code.add(c, s * kBlock));
        for (auto [i, value] : llvm::enumerate(yield.getValues())) {
          const unsigned which = cast<OpResult>(value).getResultNumber();
          code.storeF(values[states + which], code.at(result(i), code.mul(token, columns)), col);
        }
      });
    });
    move(kept, kBlock, state, columns);
  };

  code.loop(code.c(0), count("B"), [&](Value seq) {
    Value first = index(offsetof(QuernStepArgs, cu_seqlens), seq);
    Value end = single ? code.c(1) : index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
    code.loop(from, to, [&](Value number) {
      Value column = code.mul(number, kBlock);
      Value width = code.min(code.c(kBlock), code.sub(code.c(columns), column));
      block(seq, first, end, column, width);
    });
  });
  return success();
}
