// Kernels whose anchor is a linear recurrence, which walks a sequence in order.
#include "codegen/cpu/Kernel.h"
#include "codegen/cpu/RowValues.h"
#include "runtime/abi/StepArgs.h"

#include <cstddef>

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

namespace {

/// Columns of a head's state, which never meet, that a worker takes at a time: the most that fill
/// whole vectors of it, up to 64, whose keys the first cache holds. All of them where a value that
/// neighbours share would be cut.
int64_t columnsAtATime(KernelOp op, int64_t valueDim) {
  constexpr int64_t kVector = 16, kMost = 64;
  SmallVector<int64_t> shared;
  for (auto binary : op.getBody().front().getOps<BinaryOp>())
    if (auto repeat = static_cast<int64_t>(binary.getRepeat()); repeat > 1 && repeat % valueDim)
      shared.push_back(repeat);
  for (int64_t columns = kMost; columns >= kVector; columns -= kVector)
    if (valueDim % columns == 0 &&
        llvm::all_of(shared, [&](int64_t repeat) { return columns % repeat == 0; }))
      return columns;
  return valueDim;
}

StringRef stepOf(LinearRecurrenceOp scan) {
  if (scan.getA())
    return "qk_recurrence_step_corrected";
  if (scan.getBeta())
    return "qk_recurrence_step_delta";
  return scan.getBonus() ? "qk_recurrence_step_bonus" : "qk_recurrence_step";
}

} // namespace

LogicalResult Kernel::generateRecurrence() {
  auto scan = cast<LinearRecurrenceOp>(anchor);
  const int64_t heads = scan.heads(), keyDim = scan.keyDim(), valueDim = scan.valueDim();
  const auto groups = static_cast<int64_t>(scan.getGroups());
  const int64_t products = scan.products(), reads = scan.reads();
  const int64_t decayCols = scan.decayColumns();
  const int64_t columns = columnsAtATime(op, valueDim), slices = valueDim / columns;
  constexpr int64_t kRate = 4; // of the microkernels' kinds of decay
  auto out = code.scratch<float>(columns);

  // Some columns of a head of a sequence are one worker's: they stay in the first cache over the
  // step's tokens.
  code.loop(code.c(0), count("B"), [&](Value seq) {
    Value first = index(offsetof(QuernStepArgs, cu_seqlens), seq);
    Value end = single ? code.c(1) : index(offsetof(QuernStepArgs, cu_seqlens), code.add(seq, 1));
    Value states = fixedState(scan.getState(), seq);
    auto item = [&](Value head, Value column) {
      auto state = code.at(Pointer<float>(states), code.mul(head, keyDim * valueDim));
      Value keyFrom = code.mul(code.div(head, heads / groups), keyDim);
      Value valueFrom = code.mul(head, valueDim);
      Pointer<const float> rate, bonus;
      if (scan.getRate())
        rate = code.at(pointer(scan.getRate()), code.mul(head, keyDim * valueDim));
      if (scan.getBonus())
        bonus = code.at(pointer(scan.getBonus()), code.mul(head, keyDim));
      if (column) {
        valueFrom = code.add(valueFrom, column);
        state = code.at(state, column);
        if (rate)
          rate = code.at(rate, column);
      }
      code.loop(first, end, [&](Value token) {
        RowValues rows(*this, token);
        // Those of the head, of rows with `of` for each of theirs, which heads may share.
        auto placed = [&](mlir::Value value, int64_t of, int64_t theirs, int64_t block = 0) {
          int64_t shared = heads / theirs;
          Value from = code.mul(shared == 1 ? head : code.div(head, shared), of);
          return rows.place(value, block ? code.add(from, block * theirs * of) : from, of);
        };
        auto keys = [&](mlir::Value value, int64_t block) {
          return rows.place(value, code.add(keyFrom, block * groups * keyDim), keyDim);
        };
        auto correction = [&](mlir::Value value) {
          return value ? placed(value, keyDim, heads / scan.headsThatShare(value, keyDim))
                       : code.null<const float>();
        };
        auto decayed = [&]() -> Pointer<const float> {
          const int64_t theirs = heads / scan.headsThatShare(scan.getDecay(), decayCols);
          switch (scan.getDecayKind()) {
          case DecayKind::head:
          case DecayKind::key:
            return placed(scan.getDecay(), decayCols, theirs);
          case DecayKind::value: {
            if (theirs == heads)
              return rows.place(scan.getDecay(), valueFrom, columns);
            auto whole = placed(scan.getDecay(), decayCols, theirs);
            return column ? code.at(whole, column) : whole;
          }
          case DecayKind::elementwise: {
            auto whole = placed(scan.getDecay(), decayCols, theirs);
            return column ? code.at(whole, column) : whole;
          }
          }
          llvm_unreachable("a decay kind of the dialect");
        };
        auto ofBlock = [&](Value from, int64_t block) {
          return block ? code.add(from, block * heads * valueDim) : from;
        };
        auto r = keys(scan.getR(), 0);
        for (int64_t p = 0; p < products; ++p) {
          auto k = keys(scan.getK(), p);
          auto v = rows.place(scan.getV(), ofBlock(valueFrom, p), columns);
          // What is added after the first product finds the state decayed.
          auto decay = p ? code.floats({1.0f}) : decayed();
          const int64_t kind = p                ? static_cast<int64_t>(DecayKind::head)
                               : scan.getRate() ? kRate
                                                : static_cast<int64_t>(scan.getDecayKind());
          Value kindValue = code.c32(kind);
          const bool corrected = scan.getA() && p == 0;
          auto a = correction(corrected ? scan.getA() : mlir::Value());
          auto b = correction(corrected ? scan.getB() : mlir::Value());
          Value beta = code.cf(0);
          if (scan.getBeta())
            beta = code.loadF(placed(scan.getBeta(), 1, heads, p), code.c(0));
          code.call(scan.getA() && p ? "qk_recurrence_step" : stepOf(scan),
                    {code.pack<QkRecurrence>({.state = state,
                                              .r = r,
                                              .k = k,
                                              .v = v,
                                              .decay = decay,
                                              .a = a,
                                              .b = b,
                                              .rate = rate ? rate : code.null<const float>(),
                                              .bonus = bonus ? bonus : code.null<const float>(),
                                              .beta = beta,
                                              .dk = code.c(keyDim),
                                              .dv = code.c(columns),
                                              .stride = code.c(valueDim),
                                              .out = out}),
                     kindValue});
        }
        for (int64_t q = 0; q < reads; ++q) {
          if (q)
            code.call("qk_recurrence_read",
                      {code.pack<QkRecurrence>({.state = state,
                                                .r = keys(scan.getR(), q),
                                                .k = code.null<const float>(),
                                                .v = code.null<const float>(),
                                                .decay = code.null<const float>(),
                                                .a = code.null<const float>(),
                                                .b = code.null<const float>(),
                                                .rate = code.null<const float>(),
                                                .bonus = code.null<const float>(),
                                                .beta = code.cf(0),
                                                .dk = code.c(keyDim),
                                                .dv = code.c(columns),
                                                .stride = code.c(valueDim),
                                                .out = out})});
          Value from = ofBlock(valueFrom, q);
          rows.bind(scan.getResult(), [&](Value col, int64_t shift) {
            return code.loadF(out, code.sub(code.add(col, shift), from));
          });
          for (auto [i, value] : llvm::enumerate(yield.getValues())) {
            Value start = code.add(code.mul(token, reads * heads * valueDim), from);
            rows.write(value, from, columns, code.at(result(i), start));
          }
        }
      });
    };
    Value mine = code.rem(code.add(worker, seq), workers);
    code.loop(mine, code.c(heads * slices), workers, [&](Value number) {
      if (slices == 1)
        return item(number, {});
      item(code.div(number, slices), code.mul(code.rem(number, slices), columns));
    });
  });
  return success();
}
