// See Faults.h.
#include "codegen/cpu/Faults.h"

#include "passes/analysis/FaultSites.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace quern;
using namespace quern::cpu;

Faults::Faults(Kernel &kernel, Value dispatch)
    : kernel(kernel), code(kernel.code), dispatch(dispatch) {
  for (Operation *op : faultSites(kernel.op))
    sites.try_emplace(op, static_cast<int64_t>(sites.size()));
}

Value Faults::slotOf(Operation *op, std::variant<int64_t, Value> limit) {
  Kept &of = kept[op];
  if (!of.slot) {
    of = {code.scratch(code.i64(), 1), limit};
    OpBuilder::InsertionGuard guard(code.b);
    code.b.setInsertionPointAfter(of.slot.getDefiningOp());
    code.store(code.c(0), of.slot);
  }
  return of.slot;
}

Value Faults::check(CheckIndexOp op, Value index, Value size) {
  const std::optional<int64_t> known = getConstantIntValue(size);
  Value zero = code.c(0);
  Value at =
      op.getFromEnd() ? code.select(code.less(index, zero), code.add(index, size), index) : index;
  Value within = arith::CmpIOp::create(code.b, arith::CmpIPredicate::ult, at, size);
  if (known || size.getParentBlock() == &code.function.getBody().front()) {
    Value wrong = at;
    if (known.value_or(0) <= 0) // 0 is no index either then, and would look like none
      wrong = arith::OrIOp::create(
          code.b, at, arith::ExtUIOp::create(code.b, code.i64(), code.equal(size, zero)));
    Value slot = known ? slotOf(op, *known) : slotOf(op, size);
    Value worst = arith::MaxUIOp::create(code.b, code.load(code.i64(), slot),
                                         code.select(within, zero, wrong));
    code.store(worst, slot);
  } else {
    code.when(arith::XOrIOp::create(code.b, within,
                                    arith::ConstantIntOp::create(code.b, within.getType(), 1)),
              [&] { report(op, at, size); });
  }
  Value last = known ? code.c(std::max<int64_t>(*known, 1) - 1)
                     : code.sub(code.max(size, code.c(1)), code.c(1));
  return arith::MinUIOp::create(code.b, at, last);
}

Value Faults::check(CheckDivisorOp op, Value divisor) {
  Value zero = arith::ConstantOp::create(code.b, code.b.getZeroAttr(divisor.getType()));
  Value one = arith::ConstantOp::create(code.b, code.b.getIntegerAttr(divisor.getType(), 1));
  Value wrong = code.equal(divisor, zero);
  Value slot = slotOf(op, int64_t{0});
  code.store(arith::OrIOp::create(code.b, code.load(code.i64(), slot),
                                  arith::ExtUIOp::create(code.b, code.i64(), wrong)),
             slot);
  return code.select(wrong, one, divisor);
}

void Faults::report(Operation *op, Value value, Value limit) {
  code.call("qk_report_fault", {kernel.args, dispatch, code.c(sites.lookup(op)), value, limit});
}

void Faults::reportKept() {
  for (auto &[op, of] : kept) {
    Value worst = code.load(code.i64(), of.slot);
    const int64_t *known = std::get_if<int64_t>(&of.limit);
    Value limit = known ? code.c(*known) : std::get<Value>(of.limit);
    code.when(arith::CmpIOp::create(code.b, arith::CmpIPredicate::ne, worst, code.c(0)),
              [&, op = op] { report(op, worst, limit); });
  }
}
