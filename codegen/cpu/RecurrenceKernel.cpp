// Kernels whose anchor is a linear recurrence, which walks a sequence in order.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
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
  auto out = code.scratch<float>(valueDim);

  // A head of a sequence is one worker's: its state stays in the first cache over the step's
  // tokens.
  code.loop(code.c(0), count("B"), [&](Value seq) {
    Value first = index(offsetof(QuernStepArgs, cu_seqlens), seq);
    Value end = single ? code.c(1) : index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
    Value states = fixedState(scan.getState(), seq);
    code.loop(code.rem(code.add(worker, seq), workers), code.c(heads), workers, [&](Value head) {
      auto state = code.at(Pointer<float>(states), code.mul(head, keyDim * valueDim));
      Value keyFrom = code.mul(code.div(head, shared), keyDim);
      Value valueFrom = code.mul(head, valueDim);
      code.loop(first, end, [&](Value token) {
        RowValues rows(*this, token);
        auto r = rows.place(scan.getR(), keyFrom, keyDim);
        auto k = rows.place(scan.getK(), keyFrom, keyDim);
        auto v = rows.place(scan.getV(), valueFrom, valueDim);
        auto decay = rows.place(scan.getDecay(), code.mul(head, decayCols), decayCols);
        Value kind = code.c32(static_cast<int64_t>(scan.getDecayKind()));
        auto correction = [&](mlir::Value value) {
          return value ? rows.place(value, keyFrom, keyDim) : code.null<const float>();
        };
        auto a = correction(scan.getA()), b = correction(scan.getB());
        code.call(scan.getA() ? "qk_recurrence_step_delta" : "qk_recurrence_step",
                  {code.pack<QkRecurrence>({.state = state,
                                            .r = r,
                                            .k = k,
                                            .v = v,
                                            .decay = decay,
                                            .a = a,
                                            .b = b,
                                            .dk = code.c(keyDim),
                                            .dv = code.c(valueDim),
                                            .out = out}),
                   kind});
        rows.bind(scan.getResult(), [&](Value col, int64_t shift) {
          return code.loadF(out, code.sub(code.add(col, shift), valueFrom));
        });
        for (auto [i, value] : llvm::enumerate(yield.getValues())) {
          Value start = code.add(code.mul(token, heads * valueDim), valueFrom);
          rows.write(value, valueFrom, valueDim, code.at(result(i), start));
        }
      });
    });
  });
  return success();
}
